r"""How close samples are to real items, in the space of the leading principal components of the pixels.

Two samples of the same size are compared in features φ(x):

    Fréchet distance   FD = |μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)           Heusel et al. 2017, eq. 6
    kernel MMD²        E k(a, a') + E k(b, b') - 2 E k(a, b), unbiased, may be negative      Gretton et al. 2012, eq. 3

Both have a floor that is not zero, which depends on the sample size: the value for two sets of real items of the same
sizes. A figure without its floor says nothing, so the two always go together. Multiples of the floor do not compare
between data sets; the position on the way from real items to independent pixels does:

    position   (FD - floor) / (FD of independent pixels - floor): 0 for real items, 1 for the product of the marginals
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation.intervals import Spread
from simulacra.randomness import mix, some_of

COMPONENTS = 64
ITEMS_PER_COMPONENT = 10  # a covariance of d dimensions from fewer than 10·d items is mostly noise
FITTED_ON = 10_000
BEHIND_A_BANDWIDTH = 1000  # items
TOGETHER = 64  # items whose pixels are drawn at a time


@dataclass(frozen=True)
class PixelPCA:
    """φ(x) = Wᵀ(x - μ): the leading principal components of the training items, pixels scaled to [0, 1]."""

    mean: np.ndarray
    directions: np.ndarray
    scale: float

    @classmethod
    def fit(cls, x: np.ndarray, levels: int | None, components: int) -> PixelPCA:
        """x (N, *shape) training items; FITTED_ON of them are used where there are more, drawn by a constant seed."""
        chosen = some_of(len(x), FITTED_ON, "principal components")
        scale = 1.0 if levels is None else 1.0 / (levels - 1)
        flat = np.asarray(x[chosen]).reshape(len(chosen), -1).astype(np.float64) * scale
        mean = flat.mean(0)
        _, directions = np.linalg.eigh((flat - mean).T @ (flat - mean))
        return cls(mean, directions[:, ::-1][:, :components].copy(), scale)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, *shape) -> (N, components) float64"""
        return (x.reshape(len(x), -1).astype(np.float64) * self.scale - self.mean) @ self.directions

    @property
    def name(self) -> str:
        """Names the features so that figures made with others cannot be taken for comparable."""
        content = np.round(np.abs(self.directions), 4).tobytes()
        return f"pixel-pca{self.directions.shape[1]}@{hashlib.sha256(content).hexdigest()[:8]}"


def components_for(n: int, dims: int) -> int:
    """As many components as n items can support."""
    return max(1, min(COMPONENTS, dims, n // ITEMS_PER_COMPONENT))


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """FD between two sets of features (N, d), (M, d); float64 and a symmetric eigendecomposition throughout."""
    return float(_frechet(*_moments([a]), *_moments([b]))[0])


def frechet_distances(a: np.ndarray, b: np.ndarray, selections: np.ndarray) -> np.ndarray:
    """FD of each selection (R, N), truths, of the rows of both sets (N, d), (R,)."""
    return _frechet(*_moments([a[rows] for rows in selections]), *_moments([b[rows] for rows in selections]))


def _moments(sets: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Means (R, d) and covariances (R, d, d) of R sets of features."""
    means, covariances = [], []
    for x in sets:
        mean = x.mean(0)
        off = x - mean
        means.append(mean)
        covariances.append(off.T @ off / (len(x) - 1))
    return np.stack(means), np.stack(covariances)


def _frechet(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> np.ndarray:
    """FD of R pairs of Gaussians, (R,); tr (Σa Σb)^½ = tr (Σa^½ Σb Σa^½)^½, whose argument is symmetric."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))[:, None]) @ vectors.swapaxes(1, 2)
    crossed = np.linalg.eigvalsh(root @ cov_b @ root).clip(min=0)
    traces = np.trace(cov_a + cov_b, axis1=1, axis2=2)
    return ((mean_a - mean_b) ** 2).sum(1) + traces - 2 * np.sqrt(crossed).sum(1)


def kernel_mmd(a: np.ndarray, b: np.ndarray, bandwidth: float) -> float:
    """Unbiased MMD² of two sets of features under k(x, y) = exp(-|x - y|² / 2 bandwidth²)."""

    def within(x: np.ndarray) -> float:
        return (_kernel(x, x, bandwidth).sum() - len(x)) / (len(x) * (len(x) - 1))  # an item is no pair with itself

    return float(within(a) + within(b) - 2 * _kernel(a, b, bandwidth).mean())


def kernel_mmd_spread(a: np.ndarray, b: np.ndarray, bandwidth: float) -> Spread:
    """How `kernel_mmd` of two sets (N, d) varies: in closed form, by inner products of φ(a_i) - φ(b_i), φ that of k.

    Item i of one set goes with item i of the other, as they do where both stand under one condition. tr C² is taken
    from pairs of different items, without bias (Bounliphone et al. 2016, appendix A, has the variance of the first
    order; Gretton et al. 2012, theorem 12, the second).
    """
    n, crossed = len(a), _kernel(a, b, bandwidth)
    products = _kernel(a, a, bandwidth) + _kernel(b, b, bandwidth) - crossed - crossed.T
    along = products.mean(1)  # <φ(a_i) - φ(b_i), their mean>
    distance = float(along.mean())
    products += distance - along[:, None] - along
    own = products.diagonal()
    squares = float((products**2).sum() - (own**2).sum()) / (n * (n - 1))  # tr C²
    bias = float(own.sum()) / (n * (n - 1))
    return Spread(distance, bias, 4 * float(along.var(ddof=1)) / n, 2 * squares / n**2, n - 1)


def _kernel(x: np.ndarray, y: np.ndarray, bandwidth: float) -> np.ndarray:
    return np.exp(-squared_distances(x, y) / (2 * bandwidth**2))


def median_distance(a: np.ndarray) -> float:
    """The usual bandwidth: the median distance between two of the items, or of some where there are many."""
    some = a[some_of(len(a), BEHIND_A_BANDWIDTH, "bandwidth")]
    squared = squared_distances(some, some)
    return float(np.sqrt(np.median(squared[np.triu_indices_from(squared, 1)])))


def independent_pixels(x: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n draws from the product of the marginals of items x (N, *shape), each sub-pixel that of an item of its own.

    They are those of `independent`, the model of the marginals, without its fit. At most FITTED_ON items are read.
    """
    rng = np.random.default_rng(mix(seed, "independent pixels"))
    items = np.asarray(x[some_of(len(x), FITTED_ON, seed, "marginals")])
    flat = items.reshape(len(items), -1)
    drawn = np.empty((n, flat.shape[1]), flat.dtype)
    for start in range(0, n, TOGETHER):
        part = drawn[start : start + TOGETHER]
        part[:] = np.take_along_axis(flat, rng.integers(len(flat), size=part.shape), axis=0)
    return drawn.reshape(n, *items.shape[1:])


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a_i - b_j|², (N, M)"""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T, 0)
