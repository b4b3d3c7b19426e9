"""Reading of signatures: a constructor, a preset or a part *is* its schema, for the command line, the studio and docs.

What a call takes is read from its typed parameters, and what each of them means from the entries below `Args:` (or
`Attributes:`) in its docstring. Nothing else describes it.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, Literal, Union

NONE = type(None)


@dataclass(frozen=True)
class Argument:
    """One parameter of a call: its name, its type, its default (`inspect.Parameter.empty` where it has none), and
    what its docstring says of it."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def arguments(call: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, Argument]:
    """The parameters of a function or of a class' constructor by name, but for `self`, those named in `without`, and
    `**others`, which stand for parameters of another call."""
    listed = _arguments(call)
    return {name: argument for name, argument in listed.items() if name not in without}


@functools.lru_cache(maxsize=512)
def _arguments(call: Callable[..., Any]) -> dict[str, Argument]:
    function = call.__init__ if isinstance(call, type) else call  # pyright: ignore[reportGeneralTypeIssues]
    # the fields of a record have types that are known in the modules of its bases
    said, typed = documented(call), call if is_dataclass(call) else function
    types_of = typing.get_type_hints(typed)
    parameters = inspect.signature(function).parameters
    return {
        name: Argument(name, types_of.get(name, Any), parameter.default, said.get(name, ""))
        for name, parameter in parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }


def documented(call: Callable[..., Any]) -> dict[str, str]:
    """What the docstring says of each argument below `Args:` or `Attributes:`; of a class, its bases' too."""
    found: dict[str, str] = {}
    for owner in reversed(inspect.getmro(call) if isinstance(call, type) else (call,)):
        found |= _entries(inspect.cleandoc(owner.__doc__ or ""))
    return found


def _entries(text: str) -> dict[str, str]:
    _, _, block = re.sub(r"(?m)^Attributes:$", "Args:", text).partition("Args:\n")
    if not block.startswith(" "):  # a docstring that begins with the heading has no other margin than theirs
        block = textwrap.indent(block, "    ")
    entries = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", block, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", entry).strip().rstrip(".") for name, entry in entries}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union, None among them; of any other type itself alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def may_be_none(kind: Any) -> bool:
    return NONE in alternatives(kind)


def element(kind: Any) -> Any | None:
    """Of `tuple[T, ...]` the T; None for every other type."""
    inner = typing.get_args(kind)
    return inner[0] if typing.get_origin(kind) is tuple and len(inner) == 2 and inner[1] is Ellipsis else None


def choices(kind: Any) -> tuple[Any, ...]:
    """The values of a `Literal`; () for every other type."""
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
