r"""Whether a sample is nearest to the item whose condition it was drawn under.

    R@k = P(of the n held-out items its own one is among the k nearest to the sample),    chance: k / n

A model that ignores its condition is at chance, whatever its samples look like. Items at the same distance are ranked
at random, in expectation, so that samples that are all alike are at chance too.
"""

from __future__ import annotations

import numpy as np

from simulacra.evaluation.fidelity import squared_distances

MOST = 200  # held-out items
KS = (1, 10)
ALIKE = 1e-9  # relative difference of distances that are equal but for rounding


def found(samples: np.ndarray, truth: np.ndarray, own: np.ndarray, k: int) -> np.ndarray:
    """Features (m, d) of samples and (n, d) of all truths, own (m,) the number of the truth of each: (m,) of 0 to 1."""
    distances = squared_distances(samples, truth)
    at = np.take_along_axis(distances, own[:, None], 1)
    slack = ALIKE * (np.square(samples).sum(1)[:, None] + np.square(truth).sum(1).mean())
    nearer, equal = (distances < at - slack).sum(1), (abs(distances - at) <= slack).sum(1)
    return np.clip((k - nearer) / equal, 0.0, 1.0)
