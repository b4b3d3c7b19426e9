r"""Whether loose parts recur in the whole: each of them with the cell of the grid that is most like it.

    recurrence    the mean over the parts p that were given of  min_c |x̂_c - p|,   levels of 255
    in place      the share of parts whose nearest cell of the sample is, in the real item, the part itself

A real item has 0 and 1: its parts are cells of it. The first says whether what was given is there, the second whether
it was put where it belongs; a part that is equal to two cells of the real item belongs in either.
"""

from __future__ import annotations

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.derived import Derived
from simulacra.evaluation.consistency import IN_LEVELS
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.paired import Paired, Rows
from simulacra.evaluation.seams import loose, with_holes
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.parts import spelled


def cells(x: np.ndarray, grid: int) -> np.ndarray:
    """Images (n, C, H, W) of sides that the grid divides -> their cells (n, grid², d), row by row."""
    n, channels, height, width = x.shape
    cut = x.reshape(n, channels, grid, height // grid, grid, width // grid)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(n, grid**2, -1)


def distances(x: np.ndarray, value: np.ndarray, grid: int) -> np.ndarray:
    """Mean absolute differences of parts and cells, (n, grid², grid²): of the place p of the condition (n, C, H, W) and
    the cell c of x; nan where there is no part."""
    own, parts = cells(x, grid).astype(np.float32), cells(value, grid).astype(np.float32)
    found = np.stack([np.abs(own - part[:, None] + 1).mean(2) for part in parts.transpose(1, 0, 2)], 1)
    return np.where(np.all(parts > 0, axis=2, keepdims=True), found, np.nan)


def recurrence(x: np.ndarray, value: np.ndarray, grid: int) -> np.ndarray:
    """The mean distance of a part to the nearest cell, in levels, (n,)."""
    return np.nanmean(distances(x, value, grid).min(2), 1)


def in_place(x: np.ndarray, truth: np.ndarray, value: np.ndarray, grid: int) -> np.ndarray:
    """The share of parts whose nearest cell of x is, in the true item, the part itself, (n,)."""
    of_x, of_truth = distances(x, value, grid), distances(truth, value, grid)
    there = ~np.isnan(of_x[..., 0])
    nearest = np.where(there[..., None], of_x, 0).argmin(2)
    right = np.take_along_axis(of_truth, nearest[..., None], 2)[..., 0] == 0
    return (right & there).sum(1) / np.maximum(there.sum(1), 1)


def _loose_of(subject: Subject) -> dict[str, Derived]:
    return {name: own for name, own in with_holes(subject).items() if loose(own) is not None}


@metric(needs=(Sampler,), name="parts", held_out=True, when=lambda subject: bool(_loose_of(subject)))
def loose_parts(subject: Subject) -> dict[str, Measure]:
    """Of a model that is given loose parts: whether they recur in the whole, and where they belong."""
    found: dict[str, Measure] = {}
    for name, field in _loose_of(subject).items():
        ending = f"_{name}" * (len(_loose_of(subject)) > 1)
        found |= {f"{key}{ending}": own for key, own in _measures(subject, name, field).items()}
    return found


def _measures(subject: Subject, name: str, field: Derived) -> dict[str, Measure]:
    paired, parts = subject.shared(Paired), loose(field)
    assert parts is not None
    value, truth, grid = paired.condition[name], paired.truth, parts.grid
    scale = IN_LEVELS / paired.unit

    def recurs(x: np.ndarray, rows: Rows) -> np.ndarray:
        return recurrence(x, value[rows], grid) * scale

    def placed(x: np.ndarray, rows: Rows) -> np.ndarray:
        return in_place(x, truth[rows], value[rows], grid)

    how = f"of the parts of {spelled(field.by)}"
    return {
        "parts_recurrence": paired.measure(
            recurs, f"mean difference {how} to the cell of the sample that is most like each, levels of 255"
        ),
        "parts_in_place": paired.measure(placed, f"share {how} whose nearest cell of the sample is where they belong"),
    }
