"""The three forms of a part, from each to the others: Python `R1(5)`, JSON `{"r1": {"weight": 5}}`, and the text
`r1:weight=5` of a command line.

Numbers, words and tuples of them are converted by the same rules.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from simulacra.errors import UsageError, did_you_mean
from simulacra.parts.table import a, called, find, is_part, kind_of, named, parts_with
from simulacra.schema import NONE, alternatives, arguments, choices, element


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


def make(of: str, name: str, given: Mapping[str, Any], text: bool = False) -> Any:
    """The part `name` of a kind with these arguments, each converted as its type wants it; `text` as in `convert`.

    Raises UsageError for a part or an argument that does not exist, with the nearest name.
    """
    known = find(of, name)
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
    return f", as in {example(of, name)}" if arguments(find(of, name)) else f"; {name} takes no argument"


def example(of: str, name: str) -> str:
    """A part as it is given on the command line, with its first argument where it has any: `mixture:components=10`."""
    for argument in arguments(find(of, name)).values():
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
