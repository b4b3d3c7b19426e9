r"""What samples and real items have in common, by the neighbourhoods of each: the ball of an item reaches to its k-th
nearest other item of its own set.

    precision   share of samples that lie in the ball of a real item                       Kynkäänniemi et al. 2019
    recall      share of real items that lie in the ball of a sample
    density     balls of real items around a sample, on average, over k                    Naeem et al. 2020
    coverage    share of real items in whose ball a sample lies
    1-NN test   share of all items whose nearest other item is of their own set            Lopez-Paz & Oquab 2017

An item is never a neighbour of itself. Of two equal distributions precision and recall fall with the dimension, to 0.48
in a thousand; density is 1, coverage 1 - 2^-k (0.97 for k = 5) and the share of 1-NN (n - 1) / (2n - 1) in any.
Samples that are near to nothing have high shares of 1-NN, copies of the real items low ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation import intervals
from simulacra.evaluation.fidelity import squared_distances

K = 5
PAIRS = 25  # of halves behind an interval
FIGURES = ("precision", "recall", "density", "coverage", "nearest_neighbour_test")
PERMUTED = 999  # labels behind a p-value


@dataclass(frozen=True, eq=False)
class Distances:
    """Squared, of n real items and n samples: (n, n) each; the first and last from every item to itself infinite."""

    real: np.ndarray
    crossed: np.ndarray
    fake: np.ndarray

    @classmethod
    def between(cls, real: np.ndarray, fake: np.ndarray) -> Distances:
        """Of features (n, d) of both; an item of `crossed[i, j]` is real i and sample j."""
        real, fake = real.astype(np.float32), fake.astype(np.float32)
        own, others = squared_distances(real, real), squared_distances(fake, fake)
        np.fill_diagonal(own, np.inf)
        np.fill_diagonal(others, np.inf)
        return cls(own, squared_distances(real, fake), others)

    def rows(self, rows: np.ndarray) -> Distances:
        """Of some of the real items and the samples of the same numbers."""
        of = np.ix_(rows, rows)
        return Distances(self.real[of], self.crossed[of], self.fake[of])

    def figures(self, k: int = K) -> np.ndarray:
        """The five of `FIGURES`, (5,); of no more than k items each has the whole of its set as its ball."""
        around_real, around_fake = _radii(self.real, k), _radii(self.fake, k)
        balls = self.crossed <= around_real[:, None]  # of real i around sample j
        own = [(self.nearest_real() < 0).mean(), (self.nearest_fake() < 0).mean()]
        return np.array(
            [
                balls.any(0).mean(),
                (self.crossed <= around_fake).any(1).mean(),
                balls.sum(0).mean() / min(k, len(balls) - 1),
                balls.any(1).mean(),
                np.mean(own),
            ]
        )

    def nearest_real(self) -> np.ndarray:
        """Of each real item the squared distance to the nearest other one, less that to the nearest sample, (n,)."""
        return _less(self.real.min(1), self.crossed.min(1))

    def nearest_fake(self) -> np.ndarray:
        """The same of each sample."""
        return _less(self.fake.min(1), self.crossed.min(0))


def _less(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """own - other; where they are equal, as of items on a grid, a coin gives the sign."""
    coin = np.where(np.random.default_rng(0).random(len(own)) < 0.5, 1e-30, -1e-30)
    return np.where(own == other, coin, own - other)


def _radii(distances: np.ndarray, k: int) -> np.ndarray:
    k = min(k, len(distances) - 1)
    return np.partition(distances, k - 1, axis=1)[:, k - 1]


def with_intervals(
    real: np.ndarray, fake: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[float, float, float]]:
    """Each of `FIGURES` of features (n, d) with its interval, from halves of the items.

    A share is at least as uncertain as that of n independent items, whatever halves of them show.
    """
    n, distances = len(real), Distances.between(real, fake)
    values = distances.figures()
    halves = intervals.some_halves(n, PAIRS, rng)
    one, other = (np.stack([distances.rows(np.flatnonzero(rows)).figures() for rows in of]) for of in (halves, ~halves))
    for name, value, first, second in zip(FIGURES, values, one.T, other.T, strict=True):
        low, high = intervals.about(value, np.sqrt(np.square(first - second).mean()) / 2, PAIRS)
        if name == "density":
            yield float(value), max(0.0, float(low)), float(high)
            continue
        least, most = intervals.of_share(float(value), n * (1 + (name == FIGURES[-1])))
        yield float(value), max(0.0, min(float(low), least)), min(1.0, max(float(high), most))


def p_value(real: np.ndarray, fake: np.ndarray, rng: np.random.Generator) -> float:
    """That of the 1-NN test, of features (n, d): how often its share would be as high if labels were permuted."""
    x, n = np.concatenate([real, fake]).astype(np.float32), len(real)
    squared = squared_distances(x, x)
    np.fill_diagonal(squared, np.inf)
    nearest, label = squared.argmin(1), np.arange(2 * n) < n
    found = (label == label[nearest]).mean()
    drawn = [((each := rng.permutation(label)) == each[nearest]).mean() for _ in range(PERMUTED)]
    return float((1 + np.sum(np.array(drawn) >= found)) / (1 + PERMUTED))
