"""What a person sees while a model trains: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from simulacra.model import Model
from simulacra.terminal import printable
from simulacra.training.judge import Verdict
from simulacra.training.loop import GRADIENT
from simulacra.training.observers import Moment, Observer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 10.0


class _Shown(Observer):
    """Remembers the last verdict, which is shown beside the figures of the step."""

    def __init__(self) -> None:
        self._verdict: dict[str, float] = {}

    def validated(self, at: Moment, model: Model, verdict: Verdict | None) -> None:
        self._verdict = {} if verdict is None else {verdict.name: verdict.value}

    def figures(self, values: Mapping[str, float]) -> str:
        shown = {name: value for name, value in values.items() if name.split(".")[0] != GRADIENT}
        return "  ".join(f"{name} {value:.4g}" for name, value in {**self._verdict, **shown}.items())


class PlainLines(_Shown):
    """A line to stderr now and then."""

    def __init__(self) -> None:
        super().__init__()
        self._last = time.monotonic()

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            clock = "" if at.left is None else f"  about {at.left:.0f} s left"
            self.said(f"step {at.step}  {at.done:4.0%}  {self.figures(values)}{clock}")

    def said(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)


class Bar(_Shown):
    """A bar of rich, in a console of its own."""

    def __init__(self, bar: Progress, console: Console) -> None:
        super().__init__()
        self.bar, self.console = bar, console
        self.task = bar.add_task("starting", total=1.0)

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        clock = "" if at.left is None else f"{at.left // 60:.0f}:{at.left % 60:02.0f} left  "
        self.bar.update(self.task, completed=at.done, description=f"{clock}step {at.step}  {self.figures(values)}")

    def said(self, line: str) -> None:
        self.console.print(printable(line), highlight=False, markup=False)


@contextlib.contextmanager
def watched() -> Iterator[Observer | None]:
    """What suits whoever may look on: a bar on a terminal, plain lines in a notebook, nothing for a script."""
    if sys.stderr.isatty():
        with terminal() as bar:
            yield bar
    else:
        yield PlainLines() if "ipykernel" in sys.modules else None


@contextlib.contextmanager
def terminal() -> Iterator[Observer]:
    """A bar where stderr is a terminal, plain lines where it is not."""
    if not sys.stderr.isatty():
        yield PlainLines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        yield Bar(bar, console)
