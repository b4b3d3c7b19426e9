"""How far a long computation has come, for whoever shows it.

    for part in counted(slices(n, size), n): ...        a verb counts its items, and knows no terminal
    with reporting(show): evaluate(...)                 a door shows what is counted within

Without a listener nothing happens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

Report = Callable[[str, int, int], None]
"""Called with the name of the stage ("" for a verb of one stage), the items that are done, and all of them."""

_report: ContextVar[Report | None] = ContextVar("report", default=None)
_stage: ContextVar[str] = ContextVar("stage", default="")


@contextlib.contextmanager
def reporting(report: Report | None) -> Iterator[None]:
    """Call `report` for everything that is counted within; None for nobody."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """What is counted within belongs to this stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)


def advance(done: int, total: int) -> None:
    """So many of all items are done."""
    report = _report.get()
    if report is not None:
        report(_stage.get(), done, total)


def counted(parts: Iterable[slice], total: int) -> Iterator[slice]:
    """The slices of `total` items in their order; each is done once the next one is wanted."""
    for part in parts:
        yield part
        advance(part.stop, total)
