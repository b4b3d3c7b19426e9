"""The errors that callers may catch. Every message names the thing, the value and the remedy."""

from __future__ import annotations

import difflib
import os
import traceback
import warnings
from collections.abc import Collection, Iterable

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


class SimulacraWarning(UserWarning):
    """What a user should know of a call that goes on all the same; one line."""


def warn(message: str) -> None:
    """A SimulacraWarning in one line: no line of source is shown, since what it is about is not where it is raised."""
    warnings.warn_explicit(message, SimulacraWarning, "simulacra", 1)


def cause(error: BaseException, most: int = 200) -> str:
    """What a library says of a failure, in one line of at most so many characters: some quote all of a file."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= most else f"{line[: most - 4]} ..."


def raised_in(error: BaseException, modules: Collection[str]) -> str:
    """The innermost place on the way of an error that lies in one of these packages: `patches.py, line 7, in build`.

    `modules` are dotted names, of which the first one counts. "" where the error has not come by any of them.
    """
    packages = {name.partition(".")[0] for name in modules}
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if str(frame.f_globals.get("__name__")).partition(".")[0] in packages:
            code = frame.f_code
            inside = "" if code.co_name == "<module>" else f", in {code.co_qualname}"
            place = f"{os.path.basename(code.co_filename)}, line {line}{inside}"
    return place


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`' Did you mean x?'` for the nearest known name, else the list of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
