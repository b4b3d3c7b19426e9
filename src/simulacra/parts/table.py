"""The table of all kinds and parts by name, and who fills it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from simulacra.errors import UsageError, did_you_mean
from simulacra.schema import alternatives, arguments, element

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


def signature_of(of: str) -> type:
    """The class of which the parts of a kind have the methods. Raises ValueError for a kind that does not exist."""
    if of not in _kinds:
        fill()
    if of not in _kinds:
        raise ValueError(f"there is no kind of parts {of!r}.{did_you_mean(of, _kinds)}")
    return _kinds[of]


def enter(of: str, name: str, made: type) -> None:
    """Make a class known as a part of a kind. Raises ValueError for a name that another class has."""
    known = _parts[of].get(name)
    if known is not None and (known.__module__, known.__qualname__) != (made.__module__, made.__qualname__):
        raise ValueError(f"two parts of the kind {of!r} are called {name!r}: {known} and {made}")
    made.__part__ = (of, name)
    _parts[of][name] = made


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


def parts_with(of: str, argument: str) -> list[str]:
    """The names of those parts of a kind that have an argument of this name."""
    return [name for name, cls in named(of).items() if argument in arguments(cls)]


def find(of: str, name: str) -> type:
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


def a(noun: str) -> str:
    """The noun with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
