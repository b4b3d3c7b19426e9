r"""The classifier two-sample test: a classifier of samples and held-out items, on such that it has not learnt from.

    accuracy = P(the classifier is right) on the half that it has not learnt from; 1/2 of equal distributions

Its critic is the small network of `learned`, of x itself and from new weights, so that no features are presumed. The
accuracy of the n items of that half is binomial (Lopez-Paz & Oquab 2017); a critic as weak as its items are few may be
at 1/2 for what a larger set would show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulacra.data import DataSpec
from simulacra.evaluation.learned import predicted, trained

STEPS = 400


@dataclass(frozen=True)
class Accuracy:
    """right: share of n decisions; p: the chance that a coin is right as often."""

    right: float
    n: int
    p: float


def discriminated(spec: DataSpec, real: np.ndarray, fake: np.ndarray, rng: np.random.Generator) -> Accuracy:
    """Real items and samples (n, *shape) each, n >= 4; the i-th of both are on the same side of the split."""
    order = rng.permutation(len(real))
    learnt, judged = order[: len(order) // 2], order[len(order) // 2 :]
    x = np.concatenate([real[learnt], fake[learnt]])
    network, _ = trained(spec, x, {"real": _truth(learnt)}, {"real": 2}, STEPS)
    found = predicted(network, np.concatenate([real[judged], fake[judged]]))["real"]
    right = found == _truth(judged)
    return Accuracy(float(right.mean()), len(right), at_least(int(right.sum()), len(right)))


def _truth(rows: np.ndarray) -> np.ndarray:
    return np.repeat([1, 0], len(rows))


def at_least(hits: int, n: int) -> float:
    """P(X >= hits) of n fair coins."""
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(hits, n + 1)]
    return min(1.0, math.fsum(math.exp(log - n * math.log(2)) for log in logs))
