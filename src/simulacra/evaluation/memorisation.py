"""Whether samples are copies of training items.

For an item x let r(x) = |x - nearest training item| / |x - nearest held-out item|. A copy has r near 0. A fresh real
item does not, and neither does a blur, which is close to everything alike: distance alone would call it a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation import intervals
from simulacra.evaluation.fidelity import squared_distances

CHUNK = 4096  # training items at a time
NEAR = 0.01  # a near-copy has a smaller r than all but this share of real items


@dataclass(frozen=True)
class Neighbours:
    """For each item its nearest training item: the Euclidean distance (of pixels scaled to [0, 1]) and the index."""

    distance: np.ndarray
    index: np.ndarray


def nearest_items(x: np.ndarray, others: np.ndarray, levels: int | None, leave_one_out: bool = False) -> Neighbours:
    """x (N, *shape) against others (M, *shape), exactly, in chunks so that memory stays flat in M.

    `leave_one_out`: item i of x is not compared with the i-th of the others, which may be itself.
    """
    scale = 1.0 if levels is None else 1.0 / (levels - 1)
    chunks = (np.asarray(others[start : start + CHUNK]) for start in range(0, len(others), CHUNK))
    return nearest_among(x, chunks, leave_one_out, scale)


def nearest_among(
    x: np.ndarray, chunks: Iterable[np.ndarray], leave_one_out: bool = False, scale: float = 1.0
) -> Neighbours:
    """The same, all items times `scale`, where the others come in chunks (m, *shape), one after the other."""
    items = x.reshape(len(x), -1).astype(np.float32) * scale
    rows, start = np.arange(len(x)), 0
    nearest, index = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for some in chunks:
        chunk = some.reshape(len(some), -1).astype(np.float32) * scale
        squared = squared_distances(items, chunk)
        if leave_one_out:
            own = rows[(rows >= start) & (rows < start + len(chunk))]
            squared[own, own - start] = np.inf
        best = squared.argmin(1)
        closer = squared[rows, best] < nearest
        nearest = np.where(closer, squared[rows, best], nearest)
        index = np.where(closer, best + start, index)
        start += len(chunk)
    return Neighbours(np.sqrt(nearest), index)


def near_copies(samples: np.ndarray, train: np.ndarray, held_out: np.ndarray, levels: int | None) -> float:
    """Share of samples with a smaller r than all but `near_share` of fresh real items have; all arrays (N, *shape).

    A held-out item has one fewer to be near to, itself left out. So has a sample, which is thereby not compared with
    the item under whose condition it was drawn.
    """
    ratios = [
        _ratio(nearest_items(x, train, levels), nearest_items(x, held_out, levels, leave_one_out=True))
        for x in (samples, held_out)
    ]
    return float((ratios[0] < intervals.threshold(ratios[1], near_share(len(held_out)))).mean())


def near_share(n: int) -> float:
    """The share of fresh real items that n held-out items mark as near-copies, on average: 1 %, or more of few."""
    return max(NEAR, intervals.least_share(n))


def _ratio(to_train: Neighbours, to_held_out: Neighbours) -> np.ndarray:
    return to_train.distance / np.maximum(to_held_out.distance, 1e-9)
