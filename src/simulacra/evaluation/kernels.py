r"""MMD²: how far two sets of features are from each other, by the means of a kernel over their pairs.

    MMD² = E k(a, a') + E k(b, b') - 2 E k(a, b), unbiased, may be negative                Gretton et al. 2012, eq. 3

gaussian     k(x, y) = exp(-|x - y|² / 2 bandwidth²)
energy       k(x, y) = -|x - y|, for which MMD² is the energy distance                     Sejdinovic et al. 2013
cubic        k(x, y) = (x·y / d + 1)³ of d features, the kernel of KID                    Bińkowski et al. 2018, sec. 4

No item is a pair with itself. At the null the mean of both is 0 whatever n is, which that of a Fréchet distance is not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simulacra.evaluation.fidelity import squared_distances
from simulacra.evaluation.intervals import Spread
from simulacra.randomness import some_of

BEHIND_A_BANDWIDTH = 1000  # items

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Features (N, d) and (M, d) -> k of all pairs, (N, M)."""


def gaussian(bandwidth: float) -> Kernel:
    """exp(-|x - y|² / 2 bandwidth²)"""
    return lambda x, y: np.exp(-squared_distances(x, y) / (2 * bandwidth**2))


def energy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """-|x - y|: no kernel by itself, but one of differences of distributions, in which constants cancel."""
    return -np.sqrt(squared_distances(x, y))


def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x·y / d + 1)³"""
    base = x @ y.T / x.shape[1] + 1
    return base * base * base


def mmd(a: np.ndarray, b: np.ndarray, kernel: Kernel) -> float:
    """Unbiased MMD² of two sets of features (N, d) and (M, d), of two items each at least."""
    return within(a, kernel) + within(b, kernel) - 2 * float(kernel(a, b).mean())


def within(x: np.ndarray, kernel: Kernel) -> float:
    """The mean of k over pairs of different items of one set."""
    own = kernel(x, x)
    return float(own.sum() - own.trace()) / (len(x) * (len(x) - 1))


def mmd_spread(a: np.ndarray, b: np.ndarray, kernel: Kernel) -> Spread:
    """How `mmd` of two sets (N, d) varies: in closed form, by inner products of φ(a_i) - φ(b_i), φ that of k.

    Item i of one set goes with item i of the other, as they do where both stand under one condition. tr C² is taken
    from pairs of different items, without bias (Bounliphone et al. 2016, appendix A, has the variance of the first
    order; Gretton et al. 2012, theorem 12, the second).
    """
    n, crossed = len(a), kernel(a, b)
    products = kernel(a, a) + kernel(b, b) - crossed - crossed.T
    along = products.mean(1)  # <φ(a_i) - φ(b_i), their mean>
    distance = float(along.mean())
    products += distance - along[:, None] - along
    own = products.diagonal()
    squares = float((products**2).sum() - (own**2).sum()) / (n * (n - 1))  # tr C²
    bias = float(own.sum()) / (n * (n - 1))
    return Spread(distance, bias, 4 * float(along.var(ddof=1)) / n, 2 * squares / n**2, n - 1)


def median_distance(a: np.ndarray) -> float:
    """The usual bandwidth: the median distance between two of the items, or of some where there are many."""
    some = a[some_of(len(a), BEHIND_A_BANDWIDTH, "bandwidth")]
    squared = squared_distances(some, some)
    return float(np.sqrt(np.median(squared[np.triu_indices_from(squared, 1)])))
