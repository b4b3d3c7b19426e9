r"""Items in the space of some features, as a distance of samples to real items needs them.

    φ(x) -> Wᵀ(φ(x) - μ) / unit

W are the leading principal components of the features of training items, as many as n items can support and 64 at
most: a covariance of d dimensions from fewer than 10·d items is mostly noise. `unit` is the root mean square of what is
left, so that a kernel of these features has a scale; features of a file that a user gives are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation.fidelity import components_for

Features = Callable[[np.ndarray], np.ndarray]
"""Items (N, *shape) -> features (N, d), float64."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Samples and real items in features of one kind.

    Attributes:
        features: of further items.
        name: of the features, with a hash of what they depend on.
        protocol: the name, and how the features were made.
        real: (n, d) of held-out items.
        fake: (n, d) of samples, the i-th under the condition of the i-th real item.
        pool: (m, d) of training items that stand for real ones where a floor is made.
        rows: (m,) the numbers of these in the training split.
        unit: by which features are divided where a kernel is of them.
    """

    features: Features
    name: str
    protocol: str
    real: np.ndarray
    fake: np.ndarray
    pool: np.ndarray
    rows: np.ndarray
    unit: float

    def draws(self, count: int, seed: int) -> list[np.ndarray]:
        """Features (n, d) of training items, drawn again and again; of none where there are fewer than n."""
        rng, n = np.random.default_rng(seed), len(self.real)
        return [self.pool[np.sort(rng.permutation(len(self.pool))[:n])] for _ in range(count * (len(self.pool) >= n))]

    def drawn_alike(self, classes: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Numbers of real items, and of as many training items in the pool (m,) of the same classes.

        classes (n,) of the real items, labels (m,) of the pool. As many of a class as there are in both; None where the
        pool has fewer than half of those of a class.
        """
        rng, real, pool = np.random.default_rng(seed), [], []
        for value in np.unique(classes):
            own, there = np.flatnonzero(classes == value), np.flatnonzero(labels == value)
            count = min(len(own), len(there))
            if 2 * count < len(own):
                return None
            real.append(rng.permutation(own)[:count])
            pool.append(rng.permutation(there)[:count])
        return np.concatenate(real), np.concatenate(pool)


@dataclass(frozen=True, eq=False)
class Projection:
    """φ(x) -> its leading principal components, in units of their spread."""

    features: Features
    mean: np.ndarray
    directions: np.ndarray
    unit: float

    @classmethod
    def fit(cls, features: Features, of: np.ndarray, n: int) -> Projection:
        """Of features `of` (m, D) of training items, for n items to compare."""
        mean = of.mean(0)
        _, directions = np.linalg.eigh((of - mean).T @ (of - mean))
        directions = directions[:, ::-1][:, : components_for(n, of.shape[1])].copy()
        unit = float(np.sqrt((((of - mean) @ directions) ** 2).mean()))
        return cls(features, mean, directions, unit or 1.0)

    def of(self, features: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, d)"""
        return (features - self.mean) @ self.directions / self.unit

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.of(self.features(x))
