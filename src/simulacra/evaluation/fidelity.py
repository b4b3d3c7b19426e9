r"""How close samples are to real items, in the space of the leading principal components of the pixels.

Two samples of the same size are compared in features φ(x):

    Fréchet distance   FD = |μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½)           Heusel et al. 2017, eq. 6

It has a floor that is not zero, which depends on the sample size: the value for two sets of real items of the same
sizes. A figure without its floor says nothing, so the two always go together. Multiples of the floor do not compare
between data sets; the position on the way from real items to independent pixels does:

    position   (FD - floor) / (FD of independent pixels - floor): 0 for real items, 1 for the product of the marginals
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulacra.randomness import mix, some_of

COMPONENTS = 64
ITEMS_PER_COMPONENT = 10  # a covariance of d dimensions from fewer than 10·d items is mostly noise
FITTED_ON = 10_000
MANY, FITTED_ON_MANY = 4096, 2500  # numbers of an item above which principal components are found from fewer items
TOGETHER = 64  # items whose pixels are drawn at a time


@dataclass(frozen=True)
class PixelPCA:
    """φ(x) = Wᵀ(x - μ): the leading principal components of the training items, pixels scaled to [0, 1]."""

    mean: np.ndarray
    directions: np.ndarray
    scale: float

    @classmethod
    def fit(cls, x: np.ndarray, levels: int | None, components: int) -> PixelPCA:
        """x (N, *shape) training items; FITTED_ON of them are used where there are more, drawn by a constant seed.

        The eigenvectors of XᵀX; of items of more than MANY numbers those of XXᵀ, from which they follow, and
        FITTED_ON_MANY items: a decomposition takes the cube of its size.
        """
        many = math.prod(x.shape[1:]) > MANY
        chosen = some_of(len(x), FITTED_ON_MANY if many else FITTED_ON, "principal components")
        scale = 1.0 if levels is None else 1.0 / (levels - 1)
        flat = np.asarray(x[chosen]).reshape(len(chosen), -1).astype(np.float64) * scale
        mean = flat.mean(0)
        flat -= mean
        if many:
            _, shares = np.linalg.eigh(flat @ flat.T)
            directions, _ = np.linalg.qr(flat.T @ shares[:, ::-1][:, :components])
        else:
            _, directions = np.linalg.eigh(flat.T @ flat)
            directions = directions[:, ::-1][:, :components].copy()
        return cls(mean, directions, scale)

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
    if min(len(a), len(b)) <= a.shape[1]:
        return _frechet_of_few(a, b)
    return float(_frechet(*_moments([a]), *_moments([b]))[0])


def frechet_distances(a: np.ndarray, b: np.ndarray, selections: np.ndarray) -> np.ndarray:
    """FD of each selection (R, N), truths, of the rows of both sets (N, d), (R,)."""
    d, n = a.shape[1], int(selections.sum(1).min(initial=len(a)))
    if n <= d or d > COMPONENTS:  # one after the other: R covariances of many features do not fit into memory
        return np.array([frechet_distance(a[rows], b[rows]) for rows in selections])
    return _frechet(*_moments([a[rows] for rows in selections]), *_moments([b[rows] for rows in selections]))


def _frechet_of_few(a: np.ndarray, b: np.ndarray) -> float:
    """FD of no more items than features: tr (Σa Σb)^½ is the sum of the singular values of A Bᵀ, A and B the items off
    their means over √(n - 1), since ΣaΣb = AᵀA BᵀB has the values of (A Bᵀ)(A Bᵀ)ᵀ."""
    off_a, off_b = ((x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (a, b))
    traces = (off_a**2).sum() + (off_b**2).sum()
    crossed = np.linalg.svd(off_a @ off_b.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + traces - 2 * crossed)


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
