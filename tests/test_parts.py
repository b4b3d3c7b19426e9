"""Parts: three forms that say the same, and messages that name what does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import named

from simulacra import parts
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel
from simulacra.parts import (
    above,
    as_part,
    convert,
    is_part,
    kind,
    kind_of,
    modules_of,
    part,
    share,
    spelled,
    table,
    to_json,
    within,
)
from simulacra.schema import alternatives, arguments


@kind("animal")
class Animal(Protocol):
    """Has a sound."""

    def sound(self) -> str: ...


@part("animal", "dog")
class Dog:
    """Barks.

    Attributes:
        age: in years.
        tame: whether it knows people.
    """

    age: int = 3
    tame: bool = True
    weight: float | None = None

    def __post_init__(self) -> None:
        within(0, age=self.age)

    def sound(self) -> str:
        return "wau"


@part("animal", "fish")
class Fish:
    """Says nothing."""

    def sound(self) -> str:
        return ""


@part("animal", "herd")
class Herd:
    leader: Animal = Dog()
    others: tuple[Animal, ...] = ()
    heir: Animal | None = None
    order: Literal["line", "heap"] = "line"
    names: tuple[str, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    centre: tuple[float, float] = (0.0, 0.0)

    def sound(self) -> str:
        return self.leader.sound()


@part("animal", "zoo")
class Zoo:
    """Must be given its cages."""

    cages: Mapping[str, Animal]

    def sound(self) -> str:
        return ""


@kind("food")
class Food(Protocol):
    def eat(self) -> None: ...


@part("food", "hay")
class Hay:
    dry: float = 0.5

    def eat(self) -> None: ...


@kind("tool")
class Tool(Protocol):
    """Has attributes of three sorts, and a method."""

    weight: ClassVar[float]
    length: float

    @property
    def every(self) -> int: ...

    def use(self) -> None: ...


OURS = (
    {name: table._kinds.pop(name) for name in ("animal", "food", "tool")},
    {name: table._parts.pop(name) for name in ("animal", "food", "tool")},
)


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """The kinds of this file exist in its tests alone, and what a test registers is gone after it."""
    kinds, known = OURS
    monkeypatch.setattr(table, "_kinds", {**parts.kinds(), **kinds})
    monkeypatch.setattr(table, "_parts", {name: dict(own) for name, own in {**table._parts, **known}.items()})


# Three forms

FORMS = [
    (Fish(), "fish", {"fish": {}}),
    (Dog(), "dog", {"dog": {"age": 3, "tame": True, "weight": None}}),
    (Dog(5, False), "dog:age=5,tame=false", {"dog": {"age": 5, "tame": False, "weight": None}}),
    (Dog(weight=2.5), "dog:weight=2.5", {"dog": {"age": 3, "tame": True, "weight": 2.5}}),
    (Herd(Fish()), "herd:leader=fish", None),
    (Herd(Dog(5)), "herd:leader=(dog:age=5)", None),
    (Herd(Herd(Dog(5))), "herd:leader=(herd:leader=(dog:age=5))", None),
    (Herd(others=(Dog(5, False), Fish())), "herd:others=((dog:age=5,tame=false),fish)", None),
    (Herd(others=(Dog(5, False),)), "herd:others=((dog:age=5,tame=false))", None),
    (Herd(heir=Dog()), "herd:heir=dog", None),
    (Herd(order="heap"), "herd:order=heap", None),
    (Herd(names=("a", "b")), "herd:names=(a,b)", None),
    (Herd(names=("a",)), "herd:names=(a)", None),
    (Herd(places=((1, 2), (3,))), "herd:places=((1,2),(3))", None),
    (Herd(places=((1, 2),)), "herd:places=((1,2))", None),
    (Herd(places=((),)), "herd:places=(())", None),
    (Herd(centre=(0.5, -1e-9)), "herd:centre=(0.5,-1e-09)", None),
    (Herd(Dog(4), (Fish(),), order="heap"), "herd:leader=(dog:age=4),others=(fish),order=heap", None),
]


@pytest.mark.parametrize(("made", "text", "record"), FORMS, ids=[text for _, text, _ in FORMS])
def test_the_three_forms_say_the_same(made, text, record):
    assert spelled(made) == text
    assert as_part("animal", text) == made
    assert as_part("animal", f"({text})") == made
    assert as_part("animal", made) is made
    again = json.loads(json.dumps(to_json(made)))
    assert as_part("animal", again) == made
    assert record in (None, again)


ages = st.integers(0, 99)
words = st.text("abcxyz", min_size=1, max_size=4)
dogs = st.builds(Dog, ages, st.booleans(), st.none() | st.floats(-1e6, 1e6))
animals = st.recursive(
    dogs | st.just(Fish()),
    lambda inner: st.builds(
        Herd,
        inner,
        st.lists(inner, max_size=3).map(tuple),
        st.none() | inner,
        st.sampled_from(["line", "heap"]),
        st.lists(words, max_size=3).map(tuple),
        st.lists(st.lists(ages, max_size=3).map(tuple), max_size=3).map(tuple),
        st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    ),
    max_leaves=4,
)


@given(animals)
def test_what_is_spelled_is_read_back(animal):
    assert as_part("animal", spelled(animal)) == animal
    assert spelled(as_part("animal", spelled(animal))) == spelled(animal)


@given(animals)
def test_what_is_json_is_read_back(animal):
    assert as_part("animal", json.loads(json.dumps(to_json(animal)))) == animal


@given(st.lists(animals, max_size=3).map(tuple))
def test_a_list_of_parts_is_read_back(herd):
    assert convert(tuple[Animal, ...], spelled(herd), "herd") == herd
    assert convert(tuple[Animal, ...], to_json(herd), "herd") == herd


def test_defaults_are_spelled_out_in_json_and_left_out_in_text():
    """So that a default that changes changes no saved model."""
    assert to_json(Herd())["herd"].keys() == {"leader", "others", "heir", "order", "names", "places", "centre"}
    assert to_json(Herd())["herd"]["leader"] == {"dog": {"age": 3, "tame": True, "weight": None}}
    assert spelled(Herd(Dog(3))) == "herd"


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, "3", 3),
        (int, "-3", -3),
        (float, "3", 3.0),
        (float, 3, 3.0),
        (float, "inf", float("inf")),
        (bool, "true", True),
        (bool, False, False),
        (str, "word", "word"),
        (int | None, None, None),
        (int | None, "none", None),
        (int | None, "3", 3),
        (str | None, "none", None),
        (float | str, "3", 3.0),
        (float | str, "x", "x"),
        (Literal["a", "b"], "b", "b"),
        (Literal["a", "b"] | None, "none", None),
        (tuple[int, ...], "1,2", (1, 2)),
        (tuple[int, ...], "(1,2)", (1, 2)),
        (tuple[int, ...], "1,", (1,)),
        (tuple[int, ...], "", ()),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, ...], 5, (5,)),
        (tuple[int, str], "1,a", (1, "a")),
        (tuple[int, ...] | None, "1,2", (1, 2)),
        (Mapping[str, int], {"a": "1"}, {"a": 1}),
        (Animal | None, "none", None),
        (Animal | None, "fish", Fish()),
        (tuple[Animal, ...], "fish,(dog:age=1,tame=false)", (Fish(), Dog(1, False))),
        (tuple[Animal, ...], ["fish", {"dog": {}}, Dog(9)], (Fish(), Dog(), Dog(9))),
        (tuple[Animal, ...], Fish(), (Fish(),)),
        (Mapping[str, Animal], {"a": "fish"}, {"a": Fish()}),
    ],
    ids=named,
)
def test_a_value_becomes_what_its_type_wants(annotation, value, expected):
    found = convert(annotation, value, "it", text=True)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, "10", "it is an integer, not '10'"),
        (int | None, "10", "it is an integer, not '10'"),
        (int | None, "none", "it is an integer, not 'none'"),
        (float, "1e-3", "it is a number, not '1e-3'"),
        (bool, "true", "it is true or false, not 'true'"),
        (tuple[int, ...], "1,2", r"it is a tuple, such as \(1, ...\), not '1,2'"),
        (tuple[float, float], "0,0.9", r"it is a tuple, such as \(0.5, 0.5\), not '0,0.9'"),
        (tuple[int, ...], ["1"], "it is an integer, not '1'"),
        (Mapping[str, int], {"a": "1"}, "it 'a' is an integer, not '1'"),
    ],
    ids=named,
)
def test_in_python_text_is_no_number(annotation, value, message):
    with pytest.raises(UsageError, match=message):
        convert(annotation, value, "it")


def test_in_python_text_is_a_part_with_its_numbers():
    assert convert(Animal, "dog:age=5", "it") == Dog(5)
    assert convert(tuple[Animal, ...], "fish,dog:age=5", "it") == (Fish(), Dog(5))
    assert convert(Animal | None, "none", "it") is None
    with pytest.raises(UsageError, match="age of animal 'dog' is an integer, not '5'"):
        Dog("5")
    with pytest.raises(UsageError, match="age of animal 'dog' is an integer, not '5'"):
        as_part("animal", {"dog": {"age": "5"}})


def test_what_is_unknown_may_come_from_outside():
    with pytest.raises(UsageError, match="--import MODULE"):
        as_part("animal", "unicorn")


def test_a_record_converts_what_it_is_given_as_it_is_made():
    herd = Herd("dog:age=5", ["fish", {"dog": {"age": 1}}], order="heap", names=["a"], centre=[1, 2])
    assert herd == Herd(Dog(5), (Fish(), Dog(1)), None, "heap", ("a",), (), (1.0, 2.0))
    assert type(herd.centre[0]) is float
    assert Zoo({"west": "fish"}).cages == {"west": Fish()}


# What does not fit


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("dgo", "there is no animal 'dgo'. Did you mean 'dog'"),
        ("quark", "there is no animal 'quark'. Known: dog, fish, herd, zoo."),
        ("dog:agee=3", "animal 'dog' has no argument 'agee'. Did you mean 'age'"),
        ("dog:zzz=3", "animal 'dog' has no argument 'zzz'. Known: age, tame, weight."),
        ("dog:leader=fish", "animal 'dog' has no argument 'leader', which herd has. Known: age, tame, weight."),
        ("fish:age=3", "animal 'fish' has no argument 'age', which dog has. It takes none."),
        ("dog:age=old", "age of animal 'dog' is an integer, not 'old'"),
        ("dog:age=2.5", "age of animal 'dog' is an integer, not '2.5'"),
        ("dog:age=-1", "age of animal 'dog' must be at least 0, not -1"),
        ("dog:tame=yes", "tame of animal 'dog' is true or false, not 'yes'"),
        ("dog:weight=much", "weight of animal 'dog' is a number, not 'much'"),
        ("dog:age", "animal 'dog': 'age' is not NAME=VALUE, as in dog:age=3"),
        ("dog:=3", "'=3' is not NAME=VALUE"),
        ("fish:3", "animal 'fish': '3' is not NAME=VALUE; fish takes no argument"),
        ("zoo:3", "animal 'zoo': '3' is not NAME=VALUE, as in zoo:cages=..."),
        ("herd:dog", r"animal 'herd': 'dog' is not NAME=VALUE, as in herd:leader=dog"),
        ("herd:order=hep", "order of animal 'herd' cannot be 'hep': it is line or heap"),
        ("hay", "there is no animal 'hay': hay is a food. Known: dog, fish, herd, zoo."),
        ("herd:leader=hay", "there is no animal 'hay'"),
        ("herd:heir=quark", "there is no animal 'quark'"),
        ("herd:centre=(1,2,3)", "centre of animal 'herd' has 2 values, not 3"),
        ("herd:places=((1,x))", "places of animal 'herd' is an integer, not 'x'"),
        ("herd:leader=(dog:age=3", "its parentheses do not match"),
        ("herd:leader=dog)", "its parentheses do not match"),
        ("zoo", "animal 'zoo' needs cages, as in zoo:cages=..."),
        ("zoo:cages=fish", "cages of animal 'zoo' is a table of names, not 'fish'"),
        ("", "there is no animal ''"),
        ({"dog": {"age": "old"}}, "age of animal 'dog' is an integer, not 'old'"),
        ({"dog": {"age": True}}, "age of animal 'dog' is an integer, not True"),
        ({"dog": {"age": None}}, "age of animal 'dog' is an integer, not None"),
        ({"dog": {"weight": False}}, "weight of animal 'dog' is a number, not False"),
        ({"dog": {"tame": 1}}, "tame of animal 'dog' is true or false, not 1"),
        ({"herd": {"names": [1]}}, "names of animal 'herd' is a word, not 1"),
        ({"dog": {}, "fish": {}}, r"leader is an animal, not .*: give dog, say. A class of your own .*@part\('animal'"),
        ({}, "leader is an animal, not {}"),
        ({"dog": 3}, "leader is an animal, not {'dog': 3}"),
        (3, "leader is an animal, not 3"),
        (None, "leader is an animal, not None"),
        (Dog, "leader is an animal, not <class"),
        (Hay(), "leader is an animal, and hay is a food"),
        (object(), "leader is an animal, not <object"),
    ],
    ids=named,
)
def test_what_is_no_part_is_refused_with_the_remedy(value, message):
    with pytest.raises(UsageError, match=message):
        as_part("animal", value, "leader")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dog("old"), "age of animal 'dog' is an integer, not 'old'"),
        (lambda: Dog(age=-1), "age of animal 'dog' must be at least 0, not -1"),
        (lambda: Herd(Hay()), "leader of animal 'herd' is an animal, and hay is a food"),
        (lambda: Herd(others=(Fish(), Hay())), "others of animal 'herd' is an animal, and hay is a food"),
        (lambda: Herd(order="hep"), "cannot be 'hep': it is line or heap"),
        (lambda: Zoo({"west": 3}), "cages of animal 'zoo' 'west' is an animal, not 3"),
    ],
)
def test_a_record_made_of_what_does_not_fit_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_a_part_is_immutable_and_knows_its_name():
    with pytest.raises(AttributeError):
        Dog().age = 4
    assert parts.called(Dog()) == ("animal", "dog")
    with pytest.raises(UsageError, match=r"int is no registered part: put @part\(kind, name\) above its class"):
        parts.called(3)
    with pytest.raises(UsageError, match="neither a number, a word nor a registered part"):
        to_json({"a": object()})


def test_a_subclass_is_a_part_once_it_is_registered():
    class Puppy(Dog):
        pass

    assert is_part(Dog())
    assert not is_part(Puppy())
    with pytest.raises(UsageError, match=r"Puppy\(.*\) is neither a number, a word nor a registered part"):
        to_json((Puppy(),))
    part("animal", "puppy")(Puppy)
    assert as_part("animal", "puppy:age=1") == Puppy(1)
    assert Puppy(1) != Dog(1)


# Registration


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="two parts of the kind 'animal' are called 'dog'"):

        @part("animal", "dog")
        class Wolf:
            def sound(self):
                return "huu"

    assert parts.named("animal")["dog"] is Dog


def test_a_name_may_be_of_two_kinds():
    @part("food", "fish")
    class Fillet:
        def eat(self):
            return None

    assert as_part("food", "fish") == Fillet()
    assert as_part("animal", "fish") == Fish()


def test_a_class_defined_again_takes_its_place():
    """As in a notebook, whose cell is run twice."""
    for years in (1, 2):

        @part("animal", "cat")
        class Cat:
            age: int = years

            def sound(self):
                return "miau"

    assert as_part("animal", "cat").age == 2


def test_a_part_has_the_methods_of_its_kind():
    with pytest.raises(ValueError, match=r"Stone is no animal: it lacks sound"):

        @part("animal", "stone")
        class Stone:
            pass

    class Silent(Animal):
        """The signature's own method is none."""

    with pytest.raises(ValueError, match="it lacks sound"):
        part("animal", "silent")(Silent)
    assert "stone" not in parts.named("animal")


def test_a_part_has_the_attributes_of_its_kind():
    """In whatever form: an argument, a constant or a property."""

    class Used:
        def use(self) -> None: ...

    with pytest.raises(ValueError, match="Saw is no tool: it lacks every, weight, length"):

        @part("tool", "saw")
        class Saw(Used):
            pass

    with pytest.raises(ValueError, match="Hammer is no tool: it lacks use"):

        @part("tool", "hammer")
        class Hammer:
            length: float
            every: int
            weight: ClassVar[float] = 3.0
            use: ClassVar[str] = "no method"

    @part("tool", "axe")
    class Axe(Used):
        length: float
        weight: ClassVar[float] = 2.0

        @property
        def every(self) -> int:
            return 1

    assert as_part("tool", "axe:length=2").length == 2


def test_a_value_without_a_type_is_refused_since_it_would_be_no_argument():
    with pytest.raises(
        ValueError, match=r"Cow\.age would be no argument of Cow: write `age: int = 9` in the body of Cow"
    ):

        @part("animal", "cow")
        class Cow(Dog):
            age = 9

    class Base:
        horns: int = 2

        def sound(self) -> str:
            return "moo"

    with pytest.raises(ValueError, match=r"Base\.horns would be no argument of Bull: write `horns: int = 2` in"):

        @part("animal", "bull")
        class Bull(Base):
            pass

    assert "cow" not in parts.named("animal")

    @part("animal", "ox")
    class Ox(Base):
        horns: int = 4
        legs: ClassVar[int] = 4
        _mark = "x"

    assert as_part("animal", "ox:horns=3").horns == 3


def test_a_constant_may_take_the_place_of_what_a_base_declares():
    class Named:
        title: str

        @property
        def rank(self) -> int:
            raise NotImplementedError

    @part("animal", "king")
    class King(Named):
        title = "the king"
        rank = 1

        def sound(self) -> str:
            return self.title

    assert spelled(King()) == "king"


def test_a_kind_that_nobody_made_is_said():
    with pytest.raises(ValueError, match=r"there is no kind of parts 'animl'. Did you mean 'animal'"):
        part("animl", "cat")(type("Cat", (), {}))


def test_kinds_are_found_in_signatures():
    assert [kind_of(each) for each in (Animal, Animal | None, tuple[Food, ...], tuple[Food, ...] | None)] == [
        "animal",
        "animal",
        "food",
        "food",
    ]
    assert [kind_of(each) for each in (int, None, str | None, tuple[int, ...])] == [None] * 4


def test_parts_with_an_argument():
    assert parts.parts_with("animal", "age") == ["dog"]
    assert parts.parts_with("animal", "colour") == []


def test_modules_are_those_from_outside_however_deep():
    assert modules_of([{"a": Herd(others=(Dog(),))}, 3]) == {__name__}
    assert modules_of(as_part("prior", "mixture:components=3")) == set()


def test_bounds_name_the_value():
    within(1, width=1, depth=None)
    within(0, 1, share=1)
    share(dropout=0.0)
    above(0, scale=1e-9, rate=None)
    above(0, 1, share=1.0)
    for call, message in (
        (lambda: within(1, width=0), "width must be at least 1, not 0"),
        (lambda: within(0, 1, share=1.5), "share must be 0 to 1, not 1.5"),
        (lambda: within(0, rate=float("nan")), "rate must be at least 0, not nan"),
        (lambda: within(0, rate=float("inf")), "rate must be finite, not inf"),
        (lambda: share(dropout=1.0), "dropout must be at least 0 and below 1, not 1.0"),
        (lambda: above(0, scale=0.0), "scale must be positive, not 0.0"),
        (lambda: above(2, 3, scale=2.0), "scale must be above 2 and at most 3, not 2.0"),
    ):
        with pytest.raises(UsageError, match=message):
            call()


def numbers_of_parts() -> list[tuple[str, str, str]]:
    """Every argument of a part of the package that is a number, but for the fields', which data are checked by."""
    return [
        (of, name, argument.name)
        for of, known in table._parts.items()
        if of not in (*OURS[0], "field")
        for name, cls in known.items()
        for argument in arguments(cls).values()
        if {int, float} & set(alternatives(argument.type))
    ]


def test_a_number_out_of_range_names_its_part():
    assert len(numbers_of_parts()) > 25
    for of, name, argument in numbers_of_parts():
        for wrong in ("-5", "-2000000"):
            with pytest.raises(UsageError, match=rf"^{argument} of {of} '{re.escape(name)}' must be .*, not -\d"):
                as_part(of, f"{name}:{argument}={wrong}")


def test_every_part_of_the_package_is_read_back_and_documented():
    """Those with defaults; the others are made of them."""
    found = 0
    for of, own in table._parts.items():
        if of in OURS[0]:
            continue
        for name, cls in own.items():
            assert cls.__doc__
            assert not cls.__doc__.startswith(f"{cls.__name__}("), f"{of} {name} has no docstring"
            needed = [argument for argument in arguments(cls).values() if argument.required]
            if not needed:
                assert as_part(of, spelled(cls())) == as_part(of, to_json(cls())) == cls()
                found += 1
    assert found > 25


def test_half_a_character_is_no_word():
    """It would be written to a config.json that nothing reads again."""
    with pytest.raises(UsageError, match="half a character"):
        ClassLabel(2, ("a", "\ud800"))
