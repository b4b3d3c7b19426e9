"""What a person sees of a verb that takes longer than two seconds: on stderr, so that stdout holds the result alone."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from simulacra.progress import reporting

SILENT = 2.0  # seconds
BETWEEN_LINES = 10.0  # where stderr is no terminal
BETWEEN_CHANGES = 0.1  # where it is one
CLEAR = "\r\033[K"


@contextlib.contextmanager
def shown(verb: str) -> Iterator[None]:
    """Show how far the verb within is: one line that changes on a terminal, a line now and then elsewhere."""
    terminal = sys.stderr.isatty()
    line = Line(verb, terminal)
    try:
        with reporting(line):
            yield
    finally:
        if terminal and line.written:
            print(CLEAR, end="", file=_steered(), flush=True)


class Line:
    """`score: 1,200 of 10,000, about 40 s left`"""

    def __init__(self, verb: str, terminal: bool) -> None:
        self.verb, self.terminal, self.written = verb, terminal, False
        self.began = self.last = time.monotonic()
        self.stages: dict[tuple[str, int], tuple[float, int]] = {}  # when each began, and how far it was

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        began, before = self.stages.get((stage, total), (now if self.stages else self.began, 0))
        if done < before:  # the same stage once more
            began = now
        self.stages[stage, total] = began, done
        too_soon = now - self.last < (BETWEEN_CHANGES if self.terminal else BETWEEN_LINES)
        if done >= total or too_soon or now - self.began < SILENT:
            return
        self.last, self.written = now, True
        name = f"{self.verb}, {stage}" if stage else self.verb
        left = (now - began) * (total - done) / max(done, 1)
        text = f"{name}: {done:,} of {total:,}, about {left:.0f} s left"
        before, after = (CLEAR, "") if self.terminal else ("", "\n")
        print(f"{before}{text}", end=after, file=_steered(), flush=True)


def _steered() -> TextIO:
    """The stream below the one that spells out what steers a terminal, as this line does."""
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)
