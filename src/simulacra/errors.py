"""The errors that callers may catch. Every message names the thing, the value and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from simulacra.terminal import printable


class SimulacraError(Exception):
    """A failure whose message has one or two lines; the command line prints them and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class UsageError(SimulacraError, ValueError):
    """The call itself is wrong: an unknown name, an option out of range, a file that is not there."""

    exit_code = 2


class NotSupported(UsageError):
    """The model lacks the ability that the verb needs; the message has the reason and a remedy."""


class DataError(SimulacraError, ValueError):
    """The data cannot be read as what it claims to be."""


class ModelFileError(SimulacraError):
    """A model folder or checkpoint is damaged, foreign or hostile; nothing of it was loaded."""


class WriteError(SimulacraError):
    """Something cannot be written; what was there before is untouched."""


class TrainingError(SimulacraError):
    """Training cannot go on; what was saved before stays."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`' Did you mean x?'` for the nearest known name, else the list of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
