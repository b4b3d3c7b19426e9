r"""VAR(1), the linear model that a model of series has to beat,

    x_{t+1} = a + A x_t + e,   e ~ N(0, Q),

fitted to the training windows by least squares. Its forecasts are Gaussian, its series are simulated from a first step
of a training window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VectorAutoregression:
    """intercept (D,), matrix A (D, D), noise covariance (D, D)."""

    intercept: np.ndarray
    matrix: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> VectorAutoregression:
        """Of windows (N, T, D), T >= 2."""
        before, after = (part.reshape(-1, x.shape[2]).astype(np.float64) for part in (x[:, :-1], x[:, 1:]))
        design = np.concatenate([np.ones((len(before), 1)), before], axis=1)
        solved, *_ = np.linalg.lstsq(design, after, rcond=None)
        left = after - design @ solved
        return cls(solved[0], solved[1:].T, left.T @ left / max(1, len(left) - design.shape[1]))

    def forecast(self, last: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Last steps (N, D) -> means (N, K, D), and deviations (K, D)."""
        mean, spread = last.astype(np.float64), np.zeros_like(self.noise)
        means, deviations = [], []
        for _ in range(steps):
            mean = self.intercept + mean @ self.matrix.T
            spread = self.matrix @ spread @ self.matrix.T + self.noise
            means.append(mean)
            deviations.append(np.sqrt(np.maximum(np.diag(spread), 0)))
        return np.stack(means, 1), np.stack(deviations)

    def simulate(self, first: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
        """First steps (N, D) -> series (N, steps, D) that begin with them."""
        values, vectors = np.linalg.eigh(self.noise)
        root = vectors * np.sqrt(np.maximum(values, 0))
        found = [first.astype(np.float64)]
        for _ in range(steps - 1):
            found.append(self.intercept + found[-1] @ self.matrix.T + rng.standard_normal(first.shape) @ root.T)
        return np.stack(found, 1).astype(np.float32)
