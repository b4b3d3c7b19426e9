"""What is printed: text in which nothing steers a terminal, whatever the names in it were made to do.

A class, a file or an array may be called `\\x1b[2J`. Such characters are shown as they would be spelled, and so are the
bytes of a file name that are no UTF-8.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

# control characters but for tab and newline, those that turn the direction of reading, and halves of characters
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LINES = re.compile("[\t\n]")
_BYTES = range(0xDC80, 0xDD00)  # how Python holds the bytes of a file name that is no UTF-8


def printable(text: str, one_line: bool = False) -> str:
    """The text with its control characters spelled out, and with `one_line` tabs and ends of lines too."""
    text = _STEERING.sub(_spelled, text)
    return _LINES.sub(_spelled, text) if one_line else text


def number_of(n: int, noun: str) -> str:
    """A count with its noun: `1 item`, `1,200 items`, `0 classes`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{n:,} {noun}{plural * (n != 1)}"


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    code = code - 0xDC00 if code in _BYTES else code
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class _Escaping:
    """A stream of text that writes what is printable; rich, which steers the terminal itself, finds the one below."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


@contextlib.contextmanager
def escaping() -> Iterator[None]:
    """Within the context everything that is printed, to stdout or stderr, is printable."""
    with (
        contextlib.redirect_stdout(cast(TextIO, _Escaping(sys.stdout))),
        contextlib.redirect_stderr(cast(TextIO, _Escaping(sys.stderr))),
    ):
        yield


@contextlib.contextmanager
def steering() -> Iterator[None]:
    """Within the context, inside `escaping`, text of our own may have colours: that of `--help`."""
    with contextlib.redirect_stdout(getattr(sys.stdout, "rich_proxied_file", sys.stdout)):
        yield
