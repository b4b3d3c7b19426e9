r"""Whether samples keep what they were given: |derive(x̂) - c| of a condition c that is derived of x.

    down, grey      the mean difference, in levels of 255: area means of a sample against the small image, say
    mask, parts     the same over the known pixels
    edges           the share of pixels that differ, as of every derivation of two levels

A real item has 0: c was made of it. What was rounded to the grid before is compared after the same rounding.
"""

from __future__ import annotations

import numpy as np

from simulacra.derived import Derived
from simulacra.evaluation.baselines import known
from simulacra.fields import Field, Levels

IN_LEVELS = 255


def is_share(field: Derived) -> bool:
    """Whether the figure is a share of pixels."""
    return isinstance(field.own, Levels) and field.own.levels == 2


def error(
    field: Derived, x: Field, samples: np.ndarray, value: np.ndarray, index: np.ndarray, unit: float
) -> np.ndarray:
    """Of samples (n, *shape) of the field x and values (n, ...) of the derived field, items number `index`: (n,).

    unit: the range of x.
    """
    apart = np.abs(field.by.derive(samples, index, x).astype(np.float64) - value)
    there = known(field, value)
    if there is not None:
        there = np.broadcast_to(there, apart.shape).reshape(len(apart), -1)
        return (apart.reshape(there.shape) * there).sum(1) / np.maximum(there.sum(1), 1) * (IN_LEVELS / unit)
    scale = 1.0 if is_share(field) else IN_LEVELS / unit
    return apart.reshape(len(apart), -1).mean(1) * scale
