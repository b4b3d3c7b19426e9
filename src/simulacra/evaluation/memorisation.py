"""Whether samples are copies of training items.

For an item x let r(x) = |x - nearest training item| / |x - nearest held-out item|. A copy has r near 0. A fresh real
item does not, and neither does a blur, which is close to everything alike: distance alone would call it a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation.fidelity import squared_distances

CHUNK = 4096  # training items at a time
NEAR = 0.01  # a near-copy has a smaller r than all but this share of the held-out items


@dataclass(frozen=True)
class Neighbours:
    """For each item its nearest training item: the Euclidean distance (of pixels scaled to [0, 1]) and the index."""

    distance: np.ndarray
    index: np.ndarray


def nearest_items(x: np.ndarray, others: np.ndarray, levels: int | None, leave_one_out: bool = False) -> Neighbours:
    """x (N, *shape) against others (M, *shape), exactly, in chunks so that memory stays flat in M.

    `leave_one_out`: x are the others themselves, and no item is its own neighbour.
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
    """Share of samples with a smaller r than all but 1 % of the held-out items have; all arrays (N, *shape)."""
    ratio_of_samples = _ratio(nearest_items(samples, train, levels), nearest_items(samples, held_out, levels))
    among = nearest_items(held_out, held_out, levels, leave_one_out=True)
    ratio_of_held_out = _ratio(nearest_items(held_out, train, levels), among)
    return float((ratio_of_samples < np.quantile(ratio_of_held_out, NEAR)).mean())


def _ratio(to_train: Neighbours, to_held_out: Neighbours) -> np.ndarray:
    return to_train.distance / np.maximum(to_held_out.distance, 1e-9)
