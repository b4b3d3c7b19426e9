"""Parts: small records of which models are composed. A part is plain data that *builds* a module or a function.

A *kind* of parts (priors, networks, games, penalties, fields, ...) is a class that states the signature of all of them;
a part is a frozen dataclass with a name of its own within its kind:

    @kind("penalty")
    class Penalty(Protocol):
        def loss(self, turn: Turn) -> Tensor: ...

    @part("penalty", "r1")
    class R1:
        weight: float = 10.0
        every: int = 16

It has three forms that say the same: Python `R1(5)`, JSON `{"r1": {"weight": 5, "every": 16}}`, and on the command line
`r1:weight=5`. Wherever a signature asks for a kind, any of the three is taken. Arguments of parts are numbers, words,
other parts (`outer:inner=(r1:weight=5)`), and tuples of these (`sizes=(1,2,3)`).
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

from simulacra.declarations import lacking, refuse_untyped
from simulacra.errors import UsageError, did_you_mean
from simulacra.schema import NONE, alternatives, arguments, choices, element

C = TypeVar("C", bound=type)
OUTSIDE = " (One from outside Simulacra is known once its module is imported: --import MODULE on the command line.)"

_kinds: dict[str, type] = {}
_parts: dict[str, dict[str, type]] = {}
_to_import: list[Callable[[], None]] = []


def filled_by(import_modules: Callable[[], None]) -> None:
    """Call `import_modules` before parts or models are looked up for the first time: it registers them."""
    _to_import.append(import_modules)


def fill() -> None:
    """Import whatever registers parts and models, once."""
    while _to_import:
        import_modules = _to_import.pop(0)
        try:
            import_modules()
        except BaseException:
            _to_import.insert(0, import_modules)  # the next call fails with the same reason, not with half a table
            raise


def kind(name: str) -> Callable[[C], C]:
    """Class decorator: parts of the kind `name` have the methods of this class (a Protocol, or a base class)."""

    def enter(signature: C) -> C:
        _kinds[name] = signature
        _parts.setdefault(name, {})
        return signature

    return enter


@typing.dataclass_transform(frozen_default=True)
def part(of: str, name: str) -> Callable[[C], C]:
    """Class decorator: make a record of typed fields, known as the part `name` of the kind `of`.

    A value that is given to the record is brought to its field's type, in any of its forms, before `__post_init__`,
    which bounds it by `within`, `above` and `share`; their messages name the part.
    Raises ValueError for a kind that does not exist, a name that is taken, a value that would silently be no argument,
    and a class without the kind's methods and attributes.
    """

    def enter(cls: C) -> C:
        refuse_untyped(cls)
        made = cls if "__dataclass_params__" in vars(cls) else _record(cls, of, name)
        if of not in _kinds:
            fill()
        if of not in _kinds:
            raise ValueError(f"there is no kind of parts {of!r}.{did_you_mean(of, _kinds)}")
        known = _parts[of].get(name)
        if known is not None and (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__):
            raise ValueError(f"two parts of the kind {of!r} are called {name!r}: {known} and {made}")
        if missing := lacking(made, _kinds[of]):
            raise ValueError(f"{made.__qualname__} is no {of}: it lacks {', '.join(missing)}")
        made.__part__ = (of, name)
        _parts[of][name] = made
        return made  # pyright: ignore[reportReturnType]

    return enter


def _record(cls: type, of: str, name: str) -> type:
    """A frozen dataclass whose values are converted to the types of its fields."""
    check = getattr(cls, "__post_init__", None)

    def post_init(self: Any) -> None:
        for key, argument in arguments(type(self)).items():
            object.__setattr__(self, key, convert(argument.type, getattr(self, key), f"{key} of {of} {name!r}"))
        if check is not None:
            try:
                check(self)
            except OutOfRange as error:
                raise OutOfRange(error.argument, error.bound, f" of {of} {name!r}") from None

    cls.__post_init__ = post_init  # pyright: ignore[reportAttributeAccessIssue]
    return dataclasses.dataclass(frozen=True)(cls)


def kinds() -> dict[str, type]:
    """Every kind of part by its name, with the protocol or base class that its parts keep."""
    fill()
    return dict(_kinds)


def named(of: str) -> dict[str, type]:
    """All parts of a kind by name, in the order of their registration."""
    fill()
    return dict(_parts[of])


def is_part(value: object) -> bool:
    return "__part__" in vars(type(value))


def kind_of(annotation: Any) -> str | None:
    """The kind that a type stands for in a signature, also as `Kind | None` or `tuple[Kind, ...]`; else None."""
    for each in alternatives(annotation):
        inner = element(each) or each
        for name, signature in _kinds.items():
            if inner is signature:
                return name
    return None


def called(value: object) -> tuple[str, str]:
    """The kind and the name of a part; raises UsageError for what is none, with the remedy."""
    if not is_part(value):
        raise UsageError(f"{type(value).__name__} is no registered part: put @part(kind, name) above its class")
    return type(value).__part__  # pyright: ignore[reportAttributeAccessIssue]


def modules_of(value: Any) -> set[str]:
    """The modules, outside this package, that parts within a value come from: who loads it imports them first."""
    if is_part(value):
        own = {type(value).__module__} if is_outside(type(value).__module__) else set()
        return own.union(*(modules_of(getattr(value, field.name)) for field in dataclasses.fields(value)))
    if isinstance(value, Mapping):
        return set().union(*map(modules_of, value.values()))
    return set().union(*map(modules_of, value)) if isinstance(value, tuple | list) else set()


def outside() -> set[str]:
    """The modules, outside this package, of all parts that are registered now."""
    return {cls.__module__ for own in _parts.values() for cls in own.values() if is_outside(cls.__module__)}


def is_outside(module: str) -> bool:
    """Whether a module is not one of this package."""
    return not module.startswith("simulacra.")


def to_json(value: Any) -> Any:
    """A part as {name: {argument: ...}}, with all arguments spelled out; numbers, words and sequences as they are."""
    if is_part(value):
        fields = dataclasses.fields(value)
        return {called(value)[1]: {field.name: to_json(getattr(value, field.name)) for field in fields}}
    if isinstance(value, Mapping):
        return {str(name): to_json(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(
        f"{value!r} is neither a number, a word nor a registered part; put @part(kind, name) above its class"
    )


def spelled(value: Any) -> str:
    """A value as the command line takes it: `mixture:components=50`; arguments at their defaults are left out."""
    if is_part(value):
        defaults = {name: argument.default for name, argument in arguments(type(value)).items()}
        fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        changed = [f"{name}={_enclosed(each)}" for name, each in fields if each != defaults[name]]
        return ":".join([called(value)[1], *([",".join(changed)] if changed else [])])
    if isinstance(value, tuple | list):
        return ",".join(map(_enclosed, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _enclosed(value: Any) -> str:
    nested = isinstance(value, tuple | list) or (is_part(value) and ":" in spelled(value))
    return f"({spelled(value)})" if nested else spelled(value)


def convert(annotation: Any, value: Any, where: str, text: bool = False) -> Any:
    """A value as its type wants it: parts from any of their three forms.

    `where` names the argument in a message. `text`: the value is from a command line or the text of a part, where
    numbers are written out; from Python "10" is no number. Raises UsageError for what does not fit, with what would.
    """
    reasons, options = [], alternatives(annotation)
    worded = text or any(map(kind_of, options))
    if NONE in options and (value is None or (worded and isinstance(value, str) and value == "none")):
        return None
    for each in options:
        try:
            return _convert(each, value, where, text)
        except UsageError as error:
            reasons.append(error)
    raise next((reason for reason in reversed(reasons) if str(reason)), UsageError(f"{where} cannot be {value!r}"))


def _convert(wanted: Any, value: Any, where: str, text: bool) -> Any:
    if wanted is NONE:
        raise UsageError("")
    if (of := kind_of(wanted)) is not None and element(wanted) is None:
        return as_part(of, value, where)
    if choices(wanted):
        return _choice(choices(wanted), value, where)
    if typing.get_origin(wanted) is tuple:
        return _as_tuple(wanted, value, where, text)
    if wanted in (bool, int, float, str):
        return _PLAIN[wanted](value, where, text)
    origin = typing.get_origin(wanted)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _as_mapping(typing.get_args(wanted)[1], value, where, text)
    return value


def _choice(allowed: Sequence[Any], value: Any, where: str) -> Any:
    if value not in allowed:
        raise UsageError(f"{where} cannot be {value!r}: it is {' or '.join(map(str, allowed))}")
    return value


def _bool(value: Any, where: str, text: bool) -> bool:
    if isinstance(value, bool) or (text and value in ("true", "false")):
        return value is True or value == "true"
    raise UsageError(f"{where} is true or false, not {value!r}")


def _int(value: Any, where: str, text: bool) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    try:
        return int(value) if text and isinstance(value, str) else _fail()
    except ValueError:
        raise UsageError(f"{where} is an integer, not {value!r}") from None


def _float(value: Any, where: str, text: bool) -> float:
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    try:
        return float(value) if text and isinstance(value, str) else _fail()
    except ValueError:
        raise UsageError(f"{where} is a number, not {value!r}") from None


def _fail() -> Any:
    raise ValueError


def _str(value: Any, where: str, text: bool) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where} is a word, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:  # could be written to a config.json, and not be read again
        raise UsageError(f"{where} is a word, and {value!r:.60} holds half a character") from None
    return value


_PLAIN: dict[type, Callable[[Any, str, bool], Any]] = {bool: _bool, int: _int, float: _float, str: _str}


def _as_tuple(wanted: Any, value: Any, where: str, text: bool) -> tuple[Any, ...]:
    """One value stands for a tuple of one; text is split at its commas."""
    inner = element(wanted)
    if isinstance(value, str) and not text and set(typing.get_args(wanted)) & {bool, int, float}:
        raise UsageError(f"{where} is a tuple, such as {_some_tuple(wanted)}, not {value!r}")
    if isinstance(value, str):
        composed = any(typing.get_origin(kind) is tuple or kind_of(kind) for kind in typing.get_args(wanted))
        listed: Sequence[Any] = [_unwrapped(word) for word in split(value if composed else _unwrapped(value))]
    else:
        listed = list(value) if isinstance(value, Sequence) else [value]
    kinds = [inner] * len(listed) if inner is not None else list(typing.get_args(wanted))
    if len(kinds) != len(listed):
        raise UsageError(f"{where} has {len(kinds)} values, not {len(listed)}")
    return tuple(convert(kind, each, where, text) for kind, each in zip(kinds, listed, strict=True))


def _some_tuple(wanted: Any) -> str:
    """A tuple of its kind, as Python writes it."""
    samples = {bool: "True", int: "1", float: "0.5"}
    return f"({', '.join(samples.get(kind, '...') for kind in typing.get_args(wanted))})"


def _as_mapping(inner: Any, value: Any, where: str, text: bool) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} is a table of names, not {value!r}")
    return {str(name): convert(inner, each, f"{where} {name!r}", text) for name, each in value.items()}


def as_part(of: str, value: Any, where: str = "") -> Any:
    """A part of the kind `of` from a part, its text or its JSON; raises UsageError, with the nearest name."""
    if is_part(value):
        if called(value)[0] != of:
            raise UsageError(f"{where or of} is {a(of)}, and {spelled(value)} is {a(called(value)[0])}")
        return value
    if isinstance(value, str):
        name, _, text = _unwrapped(value).partition(":")
        return make(of, name, dict(_pairs(text, of, name)) if text else {}, text=True)
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, given),) = value.items()
        if isinstance(name, str) and isinstance(given, Mapping):
            return make(of, name, given)
    known = named(of)
    raise UsageError(
        f"{where or of} is {a(of)}, not {value!r:.60}: give {next(iter(known), 'one')}, say. "
        f"A class of your own is one once @part({of!r}, NAME) stands above it."
    )


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def make(of: str, name: str, given: Mapping[str, Any], text: bool = False) -> Any:
    """The part `name` of a kind with these arguments, each converted as its type wants it; `text` as in `convert`.

    Raises UsageError for a part or an argument that does not exist, with the nearest name.
    """
    known = _find(of, name)
    own = arguments(known)
    for argument in given:
        if argument not in own:
            listed, others = did_you_mean(argument, own) if own else " It takes none.", parts_with(of, argument)
            where = f", which {', '.join(others)} {'have' if len(others) > 1 else 'has'}" if others else ""
            raise UsageError(f"{of} {name!r} has no argument {argument!r}{where}.{listed}")
    values = {key: convert(own[key].type, value, f"{key} of {of} {name!r}", text) for key, value in given.items()}
    if missing := [key for key, argument in own.items() if argument.required and key not in given]:
        raise UsageError(f"{of} {name!r} needs {', '.join(missing)}, as in {name}:{missing[0]}=...")
    return known(**values)


def _find(of: str, name: str) -> type:
    """The class of a part; raises UnknownPart with the nearest name, or with what else is called so."""
    known = _parts[of] if name in _parts[of] else named(of)  # what is here already needs no family: data need no torch
    if name not in known:
        others = [a(kind) for kind, parts in _parts.items() if name in parts]
        listed = " and ".join(filter(None, [", ".join(others[:-1]), *others[-1:]]))
        reason = f": {name} is {listed}. Known: {', '.join(sorted(known))}." if others else ""
        raise UnknownPart(of, name, f"there is no {of} {name!r}{reason or '.' + did_you_mean(name, known)}")
    return known[name]


class UnknownPart(UsageError):
    """Nobody registered a part of this name; `reason` is the message without the hint at modules from outside."""

    def __init__(self, of: str, name: str, reason: str) -> None:
        super().__init__(reason + OUTSIDE)
        self.kind, self.name, self.reason = of, name, reason


def _pairs(text: str, of: str, name: str) -> list[tuple[str, str]]:
    pairs = []
    for word in split(text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{of} {name!r}: {word!r} is not NAME=VALUE{_as_in(of, name)}")
        pairs.append((key, _unwrapped(value)))
    return pairs


def _as_in(of: str, name: str) -> str:
    """How an argument of a part is given on the command line."""
    return f", as in {example(of, name)}" if arguments(_find(of, name)) else f"; {name} takes no argument"


def example(of: str, name: str) -> str:
    """A part as it is given on the command line, with its first argument where it has any: `mixture:components=10`."""
    for argument in arguments(_find(of, name)).values():
        return f"{name}:{argument.name}={'...' if argument.required else _enclosed(argument.default)}"
    return name


def split(text: str) -> list[str]:
    """Text at its commas, but for those within parentheses; raises UsageError where these do not match."""
    words, depth, word = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            words.append(word)
            word = ""
        else:
            word += letter
        if depth < 0:
            break
    if depth:
        raise UsageError(f"{text!r} cannot be read: its parentheses do not match")
    return [*words, word] if word else words  # a comma at the end makes a tuple of one, as in Python


def _unwrapped(text: str) -> str:
    """`(a,b)` -> `a,b`, where the first parenthesis closes at the end."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[1:-1] if i == len(text) - 1 else text
    return text


def parts_with(of: str, argument: str) -> list[str]:
    """The names of those parts of a kind that have an argument of this name."""
    return [name for name, cls in named(of).items() if argument in arguments(cls)]


class OutOfRange(UsageError):
    """A number lies outside its bounds; `where` names the part that it is an argument of."""

    def __init__(self, argument: str, bound: str, where: str = "") -> None:
        super().__init__(f"{argument}{where} must be {bound}")
        self.argument, self.bound = argument, bound


def within(least: float, most: float = math.inf, **values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are finite numbers from `least` to `most`; None is left out."""
    bound = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
    _bounded(bound, lambda value: least <= value <= most, values)


def above(least: float, most: float = math.inf, **values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are finite numbers above `least`, to `most`; None is left out."""
    bound = "positive" if least == 0 else f"above {least:g}"
    bound += "" if most == math.inf else f" and at most {most:g}"
    _bounded(bound, lambda value: least < value <= most, values)


def share(**values: float | None) -> None:
    """Raise OutOfRange unless all these arguments are at least 0 and below 1, so that some of the whole is left."""
    _bounded("at least 0 and below 1", lambda value: 0 <= value < 1, values)


def odd(**values: int) -> None:
    """Raise OutOfRange unless all these arguments are positive and odd, as the side of a window with a centre is."""
    _bounded("a positive odd number", lambda value: value >= 1 and value % 2 == 1, values)


def _bounded(bound: str, fits: Callable[[float], bool], values: Mapping[str, float | None]) -> None:
    for name, value in values.items():
        if value is not None and fits(value) and not math.isfinite(value):
            raise OutOfRange(name, f"finite, not {value}")
        if value is not None and not fits(value):
            raise OutOfRange(name, f"{bound}, not {value}")
