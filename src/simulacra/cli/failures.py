"""What a failure shows: one or two lines on stderr, with what, where and the remedy; and warnings, a line each."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from simulacra import parts, registry
from simulacra.cli.imports import imported
from simulacra.errors import SimulacraError, SimulacraWarning, raised_in

_NO_MEMORY = re.compile("can't allocate memory|out of memory|Storage size calculation overflowed")  # by torch


def explain(error: Exception) -> int:
    """Print what went wrong; returns the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader has closed the pipe, as in `simulacra models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, SimulacraError):
        print(f"simulacra: {error}", file=sys.stderr)
        return error.exit_code
    message = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    if where := raised_in(error, outside := _outside()):
        print(f"simulacra: {where}: {message}", file=sys.stderr)
        print(
            "The line is that of your module or plug-in, not of Simulacra; add --debug for the traceback.",
            file=sys.stderr,
        )
    elif isinstance(error, MemoryError) or _NO_MEMORY.search(message):
        print("simulacra: there is not enough memory: take a smaller model, --batch, -n or --limit", file=sys.stderr)
    elif isinstance(error, OSError):
        print(f"simulacra: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
    else:
        perhaps = f", or {' or '.join(sorted(outside))} gave it what it cannot take" if outside else ""
        print(f"simulacra: {message}\nThis is a bug{perhaps}; add --debug to see where.", file=sys.stderr)
    return 1


def _outside() -> set[str]:
    """The modules from outside that registered models or parts, or were imported for it."""
    return parts.outside() | registry.outside() | imported()


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Within the context a warning of this package is a line on stderr; others are shown as ever."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, SimulacraWarning):
                print(f"simulacra: {message}", file=sys.stderr)
            else:
                usual(message, category, *rest, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", SimulacraWarning)
        yield
