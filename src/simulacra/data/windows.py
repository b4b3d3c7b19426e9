r"""Windows of a series, and blocks of time for the splits.

    window s of a series x_1 ... x_L:   (x_s, ..., x_{s+T-1})

Neighbouring windows share T - 1 steps, so windows that are drawn one by one would put nearly equal items into training
and test. It is time that is split here: each step of the clock is of one part, and a window is taken only where all of
its T steps are of the same part. So no step of a training window is a step of a validation or test window. What stands
on a border between two parts, T - 1 windows each, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simulacra.data.splits import SPLIT_SEED, SPLITS, Fractions, TooFew

AT_ONCE = 1 << 24  # bytes of windows in one batch
GROUP = 10  # blocks, of which one is for validation and one for the test
MOST_BLOCKS = 40
LONG = 4  # windows in the length of a block: of shorter ones too much is left out at the borders


@dataclass(frozen=True)
class Run:
    """One series without gaps: values (L, D) float32, which begin at this tick of the clock that all series share."""

    values: np.ndarray
    begin: int = 0
    name: str = ""

    def __len__(self) -> int:
        return len(self.values)


def in_order(length: int, window: int, fractions: Fractions) -> np.ndarray:
    """The part of each step, (length,) indices into `SPLITS`: the past for training, then validation, then test.

    Validation and test have room for one window each. Raises TooFew where three parts have not.
    """
    if length < 3 * window:
        raise TooFew(
            f"{length} steps cannot be split: windows of {window} in train, valid and test need {3 * window} at least"
        )
    held = [max(window, round(share * length)) for share in (fractions.valid, fractions.test)]
    if length - sum(held) < window:
        held = [window, window]
    return np.repeat(np.arange(3), [length - sum(held), *held])


def spread(length: int, window: int) -> np.ndarray:
    """The same with validation and test blocks among those for training: of ten blocks in a row one each, drawn by the
    seed of all splits. For a series whose level drifts, which has no items like its last ones in its past.

    Raises TooFew where there are not three blocks of a window.
    """
    size = max(LONG * window, -(-length // MOST_BLOCKS))
    if length < 3 * size:
        return in_order(length, window, Fractions())
    count = length // size
    random, part = np.random.RandomState(SPLIT_SEED), np.zeros(count, np.int64)
    for first in range(0, count, GROUP):
        here = min(GROUP, count - first)
        if here >= 3:
            valid, test = random.permutation(here)[:2]
            part[first + valid], part[first + test] = 1, 2
    return np.repeat(part, [size] * (count - 1) + [length - size * (count - 1)])


def starts(part: np.ndarray, window: int) -> dict[str, np.ndarray]:
    """Where the windows of each part begin: those whose steps are all of it. Steps of part -1 are of none."""
    found = {}
    for number, name in enumerate(SPLITS):
        inside = np.concatenate([[0], np.cumsum(part == number)])
        found[name] = np.flatnonzero(inside[window:] - inside[:-window] == window)
    return found


def windows(runs: Sequence[Run], part: np.ndarray, window: int) -> Iterator[tuple[str, int, np.ndarray]]:
    """(part, number of the run, windows (n, T, D)) a few megabytes at a time, part by part.

    part: of each tick of the clock.
    """
    of_runs = [starts(part[run.begin : run.begin + len(run)], window) for run in runs]
    for name in SPLITS:
        for number, run in enumerate(runs):
            begins = of_runs[number][name]
            step = max(1, AT_ONCE // (window * run.values[:1].nbytes))
            for first in range(0, len(begins), step):
                some = begins[first : first + step]
                yield name, number, run.values[some[:, None] + np.arange(window)]


def counts(runs: Sequence[Run], part: np.ndarray, window: int) -> dict[str, int]:
    """How many windows each part has."""
    each = [starts(part[run.begin : run.begin + len(run)], window) for run in runs]
    return {name: sum(len(own[name]) for own in each) for name in SPLITS}
