"""What the body of a class declares: values that would silently be no argument, and what it lacks for its kind."""

from __future__ import annotations

import dataclasses
import inspect

MISSING = object()


def refuse_untyped(cls: type) -> None:
    """Raise ValueError for a public value in the body of a class, or of a base that is no part, that looks like an
    argument and is none.

    Only the annotations of the class itself, and of bases that are parts, become arguments. A constant is a `ClassVar`,
    or takes the place of an attribute that a base declares.
    """
    own = inspect.get_annotations(cls)
    of_parts = _fields(cls)
    for owner in [base for base in cls.__mro__[:-1] if base is cls or "__dataclass_params__" not in vars(base)]:
        typed = inspect.get_annotations(owner)
        for name, value in vars(owner).items():
            constant = "ClassVar" in str(typed.get(name, ""))
            if name in own or constant or name.startswith("_") or callable(value) or hasattr(value, "__get__"):
                continue
            declared = any(name in {**vars(base), **inspect.get_annotations(base)} for base in owner.__mro__[1:])
            if name in of_parts or name in typed or not declared:
                said = f"{name}: {type(value).__name__} = {value!r:.40}"
                raise ValueError(
                    f"{owner.__name__}.{name} would be no argument of {cls.__name__}: write `{said}` in the "
                    f"body of {cls.__name__}, or ClassVar[{type(value).__name__}] for the type where it is constant"
                )


def lacking(made: type, signature: type) -> list[str]:
    """The methods and attributes of a kind that a part does not have, or has from the kind's own signature."""
    if not getattr(signature, "_is_protocol", False):
        wanted = list(getattr(signature, "__abstractmethods__", ()))
    else:
        wanted = [name for name in {**vars(signature), **inspect.get_annotations(signature)} if name[0] != "_"]
    return [name for name in wanted if name not in _fields(made) and _has_not(made, signature, name)]


def _fields(cls: type) -> list[str]:
    """The arguments of a record by name; none of another class."""
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []


def _has_not(made: type, signature: type, name: str) -> bool:
    """Whether a class has no attribute of this name but the signature's own method, or something else than a method."""
    declared, found = getattr(signature, name, MISSING), getattr(made, name, MISSING)
    if inspect.isfunction(declared):
        return found is declared or not callable(found)
    return found is MISSING or (found is declared and isinstance(declared, property))
