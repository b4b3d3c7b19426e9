"""Whether samples are copies of training items: their nearest training neighbours beside those of held-out items.

A model that has learnt p(x) draws items as far from the training set as fresh real ones are. Samples much nearer than
that are copies; samples much farther are not real-looking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulacra.evaluation.fidelity import squared_distances

CHUNK = 4096  # training items at a time
NEAR = 0.01  # a near-copy is closer to a training item than all but this share of the held-out items are


@dataclass(frozen=True)
class Neighbours:
    """For each item its nearest training item: the distance (in pixels scaled to [0, 1], Euclidean) and the index."""

    distance: np.ndarray
    index: np.ndarray


def nearest_training_items(x: np.ndarray, train: np.ndarray, levels: int | None) -> Neighbours:
    """x (N, *shape) against train (M, *shape), exactly, in chunks so that memory stays flat in M."""
    scale = 1.0 if levels is None else 1.0 / (levels - 1)
    items = x.reshape(len(x), -1).astype(np.float32) * scale
    nearest, index = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for start in range(0, len(train), CHUNK):
        chunk = np.asarray(train[start : start + CHUNK]).reshape(-1, items.shape[1]).astype(np.float32) * scale
        squared = squared_distances(items, chunk)
        best = squared.argmin(1)
        closer = squared[np.arange(len(x)), best] < nearest
        nearest = np.where(closer, squared[np.arange(len(x)), best], nearest)
        index = np.where(closer, best + start, index)
    return Neighbours(np.sqrt(nearest), index)


def near_copies(samples: Neighbours, held_out: Neighbours) -> float:
    """Share of samples nearer to a training item than the nearest 1 % of the held-out items are."""
    return float((samples.distance < np.quantile(held_out.distance, NEAR)).mean())
