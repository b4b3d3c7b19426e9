"""What a person sees while a model trains: a bar with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Protocol, SupportsFloat

SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    def update(self, done: float, left: float | None, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """`done`: share of the budget spent, 0 to 1; `left`: seconds to go, None while nobody knows;
        `values`: the newest figures.

        These may be tensors: they leave the device only where they are told.
        """
        ...

    def say(self, line: str) -> None: ...


class Silent:
    def update(self, done: float, left: float | None, step: int, values: Mapping[str, SupportsFloat]) -> None: ...

    def say(self, line: str) -> None: ...


class PlainLines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def update(self, done: float, left: float | None, step: int, values: Mapping[str, SupportsFloat]) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            clock = "" if left is None else f"  about {left:.0f} s left"
            self.say(f"step {step}  {done:4.0%}  {told(values)}{clock}")

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def told(values: Mapping[str, SupportsFloat]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in values.items())


@contextlib.contextmanager
def terminal() -> Iterator[Progress]:
    """A bar where stderr is a terminal, plain lines where it is not."""
    if not sys.stderr.isatty():
        yield PlainLines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        class OnTerminal:
            def update(self, done: float, left: float | None, step: int, values: Mapping[str, SupportsFloat]) -> None:
                clock = "" if left is None else f"{left // 60:.0f}:{left % 60:02.0f} left  "
                bar.update(task, completed=done, description=f"{clock}step {step}  {told(values)}")

            def say(self, line: str) -> None:
                console.print(line, highlight=False, markup=False)

        yield OnTerminal()
