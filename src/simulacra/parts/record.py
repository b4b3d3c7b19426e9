"""What makes a part of a class: a frozen record whose values have the types that it states."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from simulacra.declarations import lacking, refuse_untyped
from simulacra.parts.bounds import OutOfRange
from simulacra.parts.forms import convert
from simulacra.parts.table import enter, signature_of
from simulacra.schema import arguments

C = TypeVar("C", bound=type)


@typing.dataclass_transform(frozen_default=True)
def part(of: str, name: str) -> Callable[[C], C]:
    """Class decorator: make a record of typed fields, known as the part `name` of the kind `of`.

    A value that is given to the record is brought to its field's type, in any of its forms, before `__post_init__`,
    which bounds it by `within`, `above` and `share`; their messages name the part.
    Raises ValueError for a kind that does not exist, a name that is taken, a value that would silently be no argument,
    and a class without the kind's methods and attributes.
    """

    def record(cls: C) -> C:
        refuse_untyped(cls)
        made = cls if "__dataclass_params__" in vars(cls) else _record(cls, of, name)
        if missing := lacking(made, signature_of(of)):
            raise ValueError(f"{made.__qualname__} is no {of}: it lacks {', '.join(missing)}")
        enter(of, name, made)
        return made  # pyright: ignore[reportReturnType]

    return record


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
