"""name -> model. `@register` fills the table, `build` and the command line read it.

No family is named here: the front door says how to import them (`filled_by`), done when the table is first read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from simulacra.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from simulacra.model import Model

M = TypeVar("M", bound="type[Model]")


@dataclass(frozen=True)
class Entry:
    """A registered model: its name, class, family (the package it lives in) and the paper it follows."""

    name: str
    model: type[Model]
    paper: str

    @property
    def family(self) -> str:
        return self.model.__module__.split(".")[1]


_entries: dict[str, Entry] = {}
_to_import: list[Callable[[], None]] = []


def filled_by(import_families: Callable[[], None]) -> None:
    """Call `import_families` before the table is read for the first time."""
    _to_import.append(import_families)


def _table() -> dict[str, Entry]:
    while _to_import:
        _to_import.pop()()
    return _entries


def register(name: str, paper: str) -> Callable[[M], M]:
    """Class decorator: make a model known to every verb, the command line and the contract tests under `name`."""

    def enter(model: M) -> M:
        if name in _entries and _entries[name].model is not model:
            raise ValueError(f"two models are called {name!r}: {_entries[name].model} and {model}")
        _entries[name] = Entry(name, model, paper)
        return model

    return enter


def models() -> list[Entry]:
    """All registered models, by family in the order of their import and by name within it."""
    return list(_table().values())


def find(name: str) -> Entry:
    """The entry called `name`; raises UsageError with the nearest name."""
    table = _table()
    if name not in table:
        raise UsageError(f"there is no model {name!r}.{did_you_mean(name, table)}")
    return table[name]


def name_of(model: type[Model]) -> str:
    """The registered name of a class; raises UsageError for a class that was never registered."""
    for entry in models():
        if entry.model is model:
            return entry.name
    raise UsageError(f"{model.__qualname__} is not registered; put @register(name, paper) above the class")


def build(name: str, *args: Any, **kwargs: Any) -> Model:
    """The model called `name`, constructed with these arguments."""
    return find(name).model(*args, **kwargs)
