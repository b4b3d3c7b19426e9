"""Fields: what a user gives becomes checked columns, and what is none is refused with its name, value and remedy."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given as forall
from hypothesis import strategies as st
from small import named

from simulacra.data import DataSpec
from simulacra.derived import Derived, Down
from simulacra.errors import DataError, SimulacraError, UsageError
from simulacra.fields import (
    ClassLabel,
    Field,
    Index,
    LabelMap,
    Levels,
    Many,
    Real,
    Record,
    Tokens,
    columns_of,
    describe_all,
    each_leaf,
    numeric,
)
from simulacra.parts import as_part, spelled, to_json

X = Levels((1, 4, 6), 17)
COLOURS = ("red", "green", "blue")
OBJECT = Record({"kind": ClassLabel(3, ("cat", "dog", "cow")), "box": Real((4,))})
FIELDS: dict[str, Field] = {
    "class": ClassLabel(3, ("a", "b", "c")),
    "unnamed": ClassLabel(3),
    "levels": Levels((1, 2, 3), 17),
    "many levels": Levels((5,), 1000),
    "real": Real((2,)),
    "map": LabelMap(4, (2, 3)),
    "tokens": Tokens(COLOURS, 4),
    "index": Index("objects", 5),
    "record": OBJECT,
    "nested record": Record({"own": OBJECT, "size": Real((1,))}),
    "many classes": Many(ClassLabel(3), 4),
    "many vectors": Many(Real((2,)), 3),
    "many tokens": Many(Tokens(COLOURS, 2), 3),
    "many records": Many(OBJECT, 3),
    "derived": Derived(Down(2), Levels((1, 2, 3), 17)),
}
every_field = pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)


def taken(field: Field, values: object) -> dict[str, np.ndarray]:
    """As a model takes the value of a condition `f`."""
    return field.convert("f", values, field.is_single(values))


def only(field: Field, values: object) -> np.ndarray:
    (column,) = taken(field, values).values()
    return column


def some(field: Field, n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Columns of n random values of a field `f`, as a data set holds them."""
    rng = np.random.default_rng(seed)

    def column(name: str, leaf: Field, n: int) -> np.ndarray:
        ((shape, dtype),) = leaf.columns(name).values()
        if dtype.kind == "f":
            return rng.normal(size=(n, *shape)).astype(dtype)
        most = getattr(leaf, "count", 0) or getattr(leaf, "levels", 0) or getattr(leaf, "classes", 0) or len(COLOURS)
        return rng.integers(0, most, (n, *shape)).astype(dtype)

    own = field.own if isinstance(field, Derived) else field
    if not isinstance(own, Many):
        return {name: column(name, leaf, n) for name, leaf in each_leaf("f", own)}
    mask = np.arange(own.most) < rng.integers(0, own.most + 1, (n, 1))
    rows = {name: column(name, leaf, n * own.most) for name, leaf in each_leaf("f", own)}
    return {"f.mask": mask} | {name: values.reshape(n, own.most, *values.shape[1:]) for name, values in rows.items()}


# One value, or one for each item


@pytest.mark.parametrize("value", [1, "b", "1", np.int64(1), np.array(1), torch.tensor(1), True])
def test_a_class_has_a_number_and_a_name(value):
    found = taken(FIELDS["class"], value)["f"]
    assert found.dtype == np.int64
    assert found.tolist() == [1]


@pytest.mark.parametrize(
    "values",
    [[2, 0], ["c", "a"], ("2", "a"), np.array([2, 0], np.uint8), np.array([[2], [0]]), np.array(["c", "a"]),
     torch.tensor([2, 0])],
    ids=repr,
)  # fmt: skip
def test_classes_of_several_items(values):
    assert taken(FIELDS["class"], values)["f"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("field", "value", "dtype"),
    [
        (Levels((1, 2, 3), 17), np.arange(6).reshape(1, 2, 3), np.uint8),
        (Levels((5,), 1000), [0, 1, 999, 3, 4], np.int16),
        (Real((2,)), [1, 2.5], np.float32),
        (LabelMap(4, (2, 3)), [[0, 1, 2], [3, 0, 0]], np.uint8),
        (LabelMap(300, (1, 2)), [[0, 299]], np.int16),
        (Index("objects", 5), 4, np.int64),
    ],
)
def test_arrays_of_one_item_and_of_several(field, value, dtype):
    """Nested lists, arrays of another integer or real type, and tensors."""
    for given in (value, np.array(value), torch.tensor(np.array(value))):
        found = only(field, given)
        assert found.dtype == dtype
        assert found.shape == (1, *np.shape(value))
        np.testing.assert_allclose(found[0], value)
        several = only(field, np.stack([np.array(value)] * 3))
        assert several.shape == (3, *np.shape(value))
        assert (several == found).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("red blue", [[0, 2, -1, -1]]),
        ("", [[-1] * 4]),
        ([], [[-1] * 4]),
        (["red", "blue"], [[0, -1, -1, -1], [2, -1, -1, -1]]),
        ([["red", "blue"]], [[0, 2, -1, -1]]),
        ([0, 2], [[0, 2, -1, -1]]),
        ([0, "blue"], [[0, 2, -1, -1]]),
        (["red blue", "green"], [[0, 2, -1, -1], [1, -1, -1, -1]]),
        ([["red"], []], [[0, -1, -1, -1], [-1] * 4]),
        (np.array([0, 1, 2, -1]), [[0, 1, 2, -1]]),
        (torch.tensor([[0, 1, -1, -1], [2, 2, 2, 2]]), [[0, 1, -1, -1], [2, 2, 2, 2]]),
        (np.array(["red", "blue green"]), [[0, -1, -1, -1], [2, 1, -1, -1]]),
    ],
    ids=repr,
)
def test_tokens_are_words_numbers_or_padded_arrays(value, expected):
    found = only(FIELDS["tokens"], value)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@forall(st.lists(st.lists(st.sampled_from(COLOURS), max_size=4), min_size=1, max_size=4))
def test_padding_comes_behind_and_says_how_many_tokens_there_are(sentences):
    tokens = FIELDS["tokens"]
    found = only(tokens, [" ".join(words) for words in sentences])
    assert [(row >= 0).sum() for row in found] == [len(words) for words in sentences]
    assert [[COLOURS[k] for k in row if k >= 0] for row in found] == sentences
    assert not tokens.wrong(found).any()
    assert np.array_equal(only(tokens, found), found)  # an array that is padded already


def test_a_record_is_a_table_by_field():
    one = taken(OBJECT, {"kind": "dog", "box": [0, 0, 1, 2]})
    assert {name: column.tolist() for name, column in one.items()} == {"f.kind": [1], "f.box": [[0, 0, 1, 2]]}
    two = taken(OBJECT, [{"kind": "dog", "box": [0, 0, 1, 2]}, {"kind": 2, "box": [1, 1, 1, 1]}])
    by_field = taken(OBJECT, {"kind": ["dog", 2], "box": [[0, 0, 1, 2], [1, 1, 1, 1]]})
    for found in (two, by_field):
        assert found["f.kind"].tolist() == [1, 2]
        assert found["f.box"].tolist() == [[0, 0, 1, 2], [1, 1, 1, 1]]
    nested = taken(FIELDS["nested record"], {"own": {"kind": 0, "box": [0, 0, 1, 2]}, "size": [3]})
    assert list(nested) == ["f.own.kind", "f.own.box", "f.size"]


@pytest.mark.parametrize(
    ("field", "single", "several"),
    [
        (Many(ClassLabel(3, ("a", "b", "c")), 4), ["b", 0], [["b", 0], [], [2, 2, 2, 2]]),
        (Many(Real((2,)), 3), [[1, 2], [3, 4]], [[[1, 2], [3, 4]], [], [[5, 6]]]),
        (Many(Tokens(COLOURS, 2), 3), ["red blue", "green"], [["red blue", "green"], [], [""]]),
        (Many(OBJECT, 3), [{"kind": 1, "box": [0, 0, 1, 2]}], [[{"kind": 1, "box": [0, 0, 1, 2]}], [], []]),
        (Many(Index("objects", 3), 2), [2, -1], [[2, -1], [], [0]]),
    ],
    ids=lambda value: value.describe() if isinstance(value, Field) else "",
)
def test_a_list_is_padded_with_zeros_and_has_a_mask(field, single, several):
    one, three = taken(field, single), taken(field, several)
    assert one["f.mask"].tolist() == [[i < len(single) for i in range(field.most)]]
    assert three["f.mask"].sum(1).tolist() == [len(item) for item in several]
    for name, column in three.items():
        assert np.array_equal(column[:1], one[name])
        assert (column[~three["f.mask"]] == 0).all()
        assert (column.shape[1:], column.dtype) == field.columns("f")[name]
    assert [len(taken(field, empty)["f.mask"]) for empty in ([], [[]], [[], []])] == [1, 1, 2]


def test_the_columns_of_a_list_may_be_given_and_their_padding_is_forgotten():
    field = FIELDS["many records"]
    mask = np.array([[True, False, True]])
    kinds, boxes = np.array([[2, 99, 1]]), np.full((1, 3, 4), np.nan)
    boxes[mask] = 0.5
    found = taken(field, {"mask": mask, "kind": kinds, "box": boxes})
    assert found["f.kind"].tolist() == [[2, 0, 1]]
    assert found["f.box"][0, :, 0].tolist() == [0.5, 0, 0.5]
    one = taken(field, {"mask": mask[0], "kind": kinds[0], "box": boxes[0]})
    assert all(np.array_equal(one[name], column) for name, column in found.items())


def test_an_index_may_be_that_of_none():
    assert only(Index("objects", 5), [0, -1, 4]).tolist() == [0, -1, 4]


# What is none


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        (FIELDS["class"], 3, "label 3 does not exist: the labels are 0 to 2"),
        (FIELDS["class"], -1, "label -1 does not exist"),
        (FIELDS["class"], [0, 7], "label 7 does not exist"),
        (FIELDS["class"], np.array([0, 7]), "label 7 does not exist"),
        (FIELDS["class"], "bb", "there is no class 'bb'. Did you mean"),
        (FIELDS["unnamed"], "cat", "there is no class 'cat'. Known: 0, 1, 2"),
        (FIELDS["class"], 1.5, "a label is an integer or a name, not 1.5"),
        (FIELDS["class"], np.array([0.0, 1.0]), "labels are integers, not float64"),
        (FIELDS["class"], None, "a label is an integer or a name, not None"),
        (FIELDS["levels"], np.full((1, 2, 3), 17), "'f' is integers 0 to 16: 17 is none"),
        (FIELDS["levels"], np.full((1, 2, 3), -1), "'f' is integers 0 to 16: -1 is none"),
        (FIELDS["levels"], np.full((1, 2, 3), 300), "300 is none"),
        (FIELDS["levels"], np.full((1, 2, 3), 1.0), "'f' is integers 0 to 16, not float64"),
        (FIELDS["levels"], np.zeros((2, 3)), r"'f' is integers 0 to 16 of shape \(1, 2, 3\), not of shape \(3,\)"),
        (FIELDS["levels"], "x", r"of shape \(1, 2, 3\), not of shape \(\)"),
        (FIELDS["levels"], [[[1, 2, 3], [4, 5]]], "'f' is an array of numbers; these rows have different lengths"),
        (FIELDS["real"], [1.0, float("nan")], "'f' is finite real numbers: nan is none"),
        (FIELDS["real"], [1.0, -float("inf")], "-inf is none"),
        (FIELDS["real"], [1.0, 1e300], r"1e\+300 is none"),
        (FIELDS["real"], ["a", "b"], "'f' is finite real numbers, not <U1"),
        (FIELDS["real"], [None, 1.0], "'f' is an array of numbers, not list"),
        (FIELDS["map"], np.full((2, 3), 4), "'f' is classes 0 to 3: 4 is none"),
        (FIELDS["tokens"], "red yellow", "'f': 'yellow' is not in the vocabulary"),
        (FIELDS["tokens"], "red gren", "'gren' is not in the vocabulary. Did you mean 'green'"),
        (FIELDS["tokens"], "red " * 5, "'f' has at most 4 tokens, not 5"),
        (FIELDS["tokens"], [0, 3], "'f' is tokens 0 to 2, padded with -1: 3 is none"),
        (FIELDS["tokens"], [0, -1, 1], "padded with -1: 1 is none"),
        (FIELDS["tokens"], [[1.7]], "'f': a token is a word or its number, not 1.7"),
        (FIELDS["tokens"], 3, "'f' has a list of values, not 3"),
        (FIELDS["tokens"], np.zeros((2, 3), int), r"of shape \(4,\), not of shape \(3,\)"),
        (FIELDS["index"], 5, "'f' is a place in 'objects', 0 to 4, or -1 for none: 5 is none"),
        (FIELDS["index"], -2, "-2 is none"),
        (OBJECT, {"kind": 1}, "'f' is a table with kind, box, not {'kind': 1}"),
        (OBJECT, {"kind": 1, "bx": [0, 0, 0, 0]}, "'f' is a table with kind, box, not"),
        (OBJECT, [{"kind": 1}], "'f' is a table with kind, box, not {'kind': 1}"),
        (OBJECT, [3], "'f' is a table with kind, box, not 3"),
        (OBJECT, 3, "'f' has a list of values, not 3"),
        (OBJECT, {"kind": 1, "box": [[0, 0, 0, 0]]}, "'f.kind' has a list of values, not 1"),
        (OBJECT, {"kind": 9, "box": [0, 0, 0, 0]}, "label 9 does not exist"),
        (OBJECT, {"kind": 1, "box": [0, 0, 0]}, r"'f.box' is finite real numbers of shape \(4,\)"),
        (FIELDS["many classes"], [0] * 5, "'f' has at most 4 elements, not 5"),
        (FIELDS["many classes"], [0, 3], "label 3 does not exist"),
        (FIELDS["many classes"], 3, "'f' has a list of values, not 3"),
        (FIELDS["many classes"], "ab", "'f' has a list of values, not 'ab'"),
        (FIELDS["many records"], [{"kind": 1}], "'f' is a table with kind, box"),
        (FIELDS["many records"], {"mask": [True] * 3}, "'f' has the columns f.mask, f.kind, f.box, not f.mask"),
        (
            FIELDS["many classes"],
            {"mask": [True] * 3, "": [0, 0, 0]},
            r"'f.mask' has the shape \(4,\) for each item, not \(3,\)",
        ),
        (FIELDS["many classes"], {"mask": [True] * 4, "": [0, 0, 0, 9]}, "label 9 does not exist"),
        (FIELDS["many classes"], {"mask": [True] * 4, "": [0, 0, 0, 0.5]}, "labels are integers, not float64"),
        (FIELDS["many classes"], {"mask": [[True] * 4] * 2, "": [[0] * 4]}, "'f' has 1 items, and the mask 2"),
        (FIELDS["derived"], np.full((1, 2, 3), 17), "'f' is integers 0 to 16: 17 is none"),
    ],
)
def test_what_is_no_value_is_refused_with_its_name_and_the_remedy(field, values, message):
    with pytest.raises(UsageError, match=message):
        taken(field, values)


STRANGE = [
    None, 3, -1, 2.5, float("nan"), True, "x", "", b"x", [], {}, (), [[]], [None], ["x"], [[["x"]]], [1, [2]],
    [[1], [1, 2]], {"mask": 3}, {"mask": None}, {"": 3}, {"kind": None, "box": None}, [{}], [{"kind": 1, "box": [0]}],
    object(), [object()], np.zeros(0), np.zeros((0, 3)), np.zeros((2, 2, 2, 2, 2)), np.array(None),
    np.array(["x", "y"]), np.array("x"), np.array([1 + 2j]), np.array(["2020-01-01"], "M8[D]"), torch.tensor(2.5),
    torch.zeros(3, 0), int, [10**30], 10**30, {1: 2},
]  # fmt: skip


@every_field
@pytest.mark.parametrize("strange", STRANGE, ids=named)
def test_whatever_is_given_becomes_columns_of_the_field_or_is_refused(field, strange):
    try:
        found = taken(field, strange)
    except UsageError:
        return
    assert {name: (column.shape[1:], column.dtype) for name, column in found.items()} == field.columns("f")
    field.check("f", found)


# Arrays of a data set


@every_field
def test_columns_are_checked_and_converted_to_themselves(field):
    columns = some(field, 6)
    assert {name: (column.shape[1:], column.dtype) for name, column in columns.items()} == field.columns("f")
    field.check("f", columns)


@pytest.mark.parametrize(
    ("field", "wrong", "value", "message"),
    [
        (ClassLabel(3), (4,), 3, "f: the value 3 of item 4 is not a class, 0 to 2"),
        (ClassLabel(3), (4,), -1, "the value -1 of item 4"),
        (Levels((1, 2, 3), 17), (4, 0, 1, 2), 17, "f: the value 17 of item 4 is not integers 0 to 16"),
        (Real((2,)), (4, 1), np.nan, "f: the value nan of item 4 is not finite real numbers"),
        (LabelMap(4, (2, 3)), (4, 1, 1), 9, "the value 9 of item 4"),
        (Tokens(COLOURS, 4), (4, 2), 3, "the value 3 of item 4"),
        (Tokens(COLOURS, 4), (4, 2), -1, "the value . of item 4 is not tokens 0 to 2, padded with -1"),
        (Index("x", 5), (4,), 5, "f: the value 5 of item 4 is not a place in 'x', 0 to 4"),
        (Derived(Down(2), Levels((1, 2, 3), 17)), (4, 0, 0, 0), 99, "the value 99 of item 4"),
    ],
    ids=lambda value: value.describe() if isinstance(value, Field) else "",
)
def test_the_first_wrong_item_is_named(field, wrong, value, message):
    columns = some(field, 6)
    columns["f"][wrong] = value
    columns["f"][(5, *wrong[1:])] = value
    with pytest.raises(DataError, match=message):
        field.check("f", columns)


def test_the_first_wrong_item_of_a_list_is_named_and_its_padding_may_be_anything():
    field = FIELDS["many records"]
    columns = some(field, 6)
    columns["f.mask"][:] = [True, True, False]
    columns["f.kind"][:, 2] = 99
    field.check("f", columns)
    columns["f.kind"][4, 1] = 7
    with pytest.raises(DataError, match=r"f.kind: the value 7 of item 4 is not a class, 0 to 2"):
        field.check("f", columns)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("f.mask", lambda mask: mask.astype(np.uint8), r"f.mask: items are uint8 of shape \(3,\), not bool"),
        ("f.mask", lambda mask: mask[:, :2], r"f.mask: items are bool of shape \(2,\)"),
        ("f.kind", lambda kind: kind[:4], r"f.kind: \(4, 3\) are not the elements of a mask \(6, 3\)"),
        ("f.kind", lambda kind: kind.astype(np.int32), "f.kind: items are int32"),
        ("f.box", lambda box: box[..., :2], r"f.box: items are float32 of shape \(2,\), not float32 of shape \(4,\)"),
    ],
)
def test_columns_of_another_kind_or_shape_are_refused(name, change, message):
    columns = some(FIELDS["many records"], 6)
    columns["f.mask"][:] = True
    with pytest.raises(DataError, match=message):
        FIELDS["many records"].check("f", columns | {name: change(columns[name])})


# What a field is


@every_field
def test_a_field_is_json_and_a_spec_of_fields_too(field):
    spec = DataSpec(X, {"f": field, "label": ClassLabel(3)})
    again = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.columns == spec.columns == columns_of(spec.condition)
    assert as_part("field", json.loads(json.dumps(to_json(field)))) == field
    assert field.describe() in spec.describe()
    assert describe_all({"f": field}) == f", f: {field.describe()}"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("levels:shape=(1,8,8),levels=17", Levels((1, 8, 8), 17)),
        ("class:count=2,names=(a,b)", ClassLabel(2, ("a", "b"))),
        ("real:shape=(3)", Real((3,))),
        ("many:field=(class:count=3),most=2", Many(ClassLabel(3), 2)),
        ("tokens:vocabulary=(red,green),most=3", Tokens(("red", "green"), 3)),
    ],
)
def test_a_field_may_be_written_as_text(text, field):
    assert as_part("field", text) == field
    assert as_part("field", spelled(field)) == field


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassLabel(0), "at least one class, not 0"),
        (lambda: ClassLabel(3, ("a", "b")), "a label field with 3 classes has 2 names"),
        (lambda: Levels((), 2), r"shape \(\) of Levels has sides that are no positive integers"),
        (lambda: Levels((1, 0), 2), r"shape \(1, 0\) of Levels"),
        (lambda: Levels((1, 2.5), 2), "shape of field 'levels' is an integer, not 2.5"),
        (lambda: Levels((1, 2), 1), "levels must be 2 to 32768, or None for continuous data, not 1"),
        (lambda: Levels((1, 2), 1 << 16), "not 65536"),
        (lambda: Real((0,)), r"shape \(0,\) of Real"),
        (lambda: Real((1 << 40, 2)), "no positive integers"),
        (lambda: LabelMap(1, (2, 2)), "2 to 32768 classes"),
        (lambda: LabelMap(2, (1, 2, 2)), r"a shape \(H, W\)"),
        (lambda: Tokens((), 3), "a vocabulary of different words"),
        (lambda: Tokens(("a", "a"), 3), "a vocabulary of different words"),
        (lambda: Tokens(("a",), 0), "room for at least one"),
        (lambda: Record({}), "at least one field"),
        (lambda: Record({"a.b": Real((1,))}), "names hold no dot"),
        (lambda: Record({"mask": Real((1,))}), "none is called mask"),
        (lambda: Many(ClassLabel(3), 0), "room for at least one element"),
        (lambda: Many(Many(ClassLabel(3), 2), 2), "its elements hold no lists"),
        (lambda: Many(Record({"a": Many(ClassLabel(3), 2)}), 2), "its elements hold no lists"),
        (lambda: DataSpec((1, 8, 8)), r"'x' of a DataSpec is a field, such as Levels\(.*\), not \(1, 8, 8\)"),
        (lambda: DataSpec(X, 17), "'condition' of a DataSpec is a field, .* not 17"),
        (lambda: DataSpec(X, {"label": 3}), "'label' of a DataSpec is a field, .* not 3"),
        (lambda: DataSpec.from_json({"x": {"levls": {}}, "condition": {}}), "no field 'levls'. Did you mean 'levels'"),
    ],
)
def test_what_cannot_be_a_field_is_refused(make, message):
    with pytest.raises(SimulacraError, match=message):
        make()


def test_numbers_are_on_a_grid_or_real():
    assert numeric([1, 2], 5) == Levels((1, 2), 5)
    assert numeric(np.array([3]), None) == Real((3,))


def test_a_spec_says_what_x_is():
    assert (DataSpec(X).shape, DataSpec(X).levels, DataSpec(X).dims, DataSpec(X).is_image) == ((1, 4, 6), 17, 24, True)
    assert (DataSpec(Real((2,))).levels, DataSpec(Real((2,))).is_image) == (None, False)
    with pytest.raises(UsageError, match="continuous and have no levels"):
        _ = DataSpec(Real((2,))).grid_levels
    with pytest.raises(UsageError, match="x is 3 classes, and the models are of levels on a grid or of real numbers"):
        _ = DataSpec(ClassLabel(3)).shape


def test_a_spec_of_classes_alone():
    spec = DataSpec(X, {"label": ClassLabel(3), "ink": ClassLabel(2)})
    assert spec.classes("it") == spec.condition
    with pytest.raises(UsageError, match="it is conditioned on classes alone, and 'small' is 2, continuous"):
        DataSpec(X, {"small": Real((2,))}).classes("it")


def test_centred_values_are_on_the_grid_again():
    spec = DataSpec(Levels((1, 8, 8), 17))
    x = torch.arange(17)
    assert spec.centred(x)[[0, 8, 16]].tolist() == [-1, 0, 1]
    assert torch.equal(spec.on_grid(spec.centred(x)), x.byte())
