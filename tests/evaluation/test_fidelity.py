"""Distances between sets of items, against closed forms and independent implementations."""

import numpy as np
import pytest
from scipy import linalg
from sklearn.decomposition import PCA

from simulacra.evaluation import fidelity
from simulacra.evaluation.fidelity import PixelPCA, components_for, frechet_distance


def gaussian_sets(n: int, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with correlated features and different means."""
    rng = np.random.default_rng(seed)
    mix_a, mix_b = rng.normal(size=(2, d, d))
    return rng.normal(size=(n, d)) @ mix_a, rng.normal(size=(n + 7, d)) @ mix_b + 0.5


def reference_frechet(a: np.ndarray, b: np.ndarray) -> float:
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * np.real(root)))


@pytest.mark.parametrize("seed", range(4))
def test_frechet_distance_agrees_with_the_general_matrix_root(seed):
    a, b = gaussian_sets(60, seed=seed)
    assert frechet_distance(a, b) == pytest.approx(reference_frechet(a, b), rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_frechet_distance_of_known_gaussians():
    """|μ|² + Σ (σ_a - σ_b)² for independent features, whitened so that the moments are exact."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    x = x - x.mean(0)
    white = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    a, b = white * [1, 2, 3], white * [2, 2, 0.5] + [1, 0, -2]
    assert frechet_distance(a, b) == pytest.approx(1 + 4 + 1 + 0 + 6.25, rel=1e-9)


def test_frechet_distance_is_zero_on_equal_sets_even_if_they_are_flat():
    a, _ = gaussian_sets(50)
    flat = np.concatenate([a, a[:, :2]], axis=1)  # a singular covariance
    for items in (a, flat, a[:, :1]):
        assert frechet_distance(items, items[::-1]) == pytest.approx(0, abs=1e-6)


def test_the_floor_of_the_frechet_distance_falls_with_n():
    """Two sets of the same distribution: about d²/n, far from zero for few items."""
    rng = np.random.default_rng(0)
    floors = []
    for n in (50, 200, 800):
        pairs = [frechet_distance(rng.normal(size=(n, 8)), rng.normal(size=(n, 8))) for _ in range(20)]
        floors.append(np.mean(pairs))
    assert floors[0] > 3 * floors[1] > 9 * floors[2] > 0


@pytest.mark.parametrize("many", [4096, 5])  # numbers of an item above which items are compared, not pixels
@pytest.mark.parametrize("levels", [17, None])
def test_features_are_those_of_an_independent_pca(levels, many, monkeypatch):
    monkeypatch.setattr(fidelity, "MANY", many)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (80, 1, 3, 4)).astype(np.uint8) if levels else rng.normal(size=(80, 6)).astype(np.float32)
    features = PixelPCA.fit(x, levels, 4)
    flat = x.reshape(80, -1).astype(np.float64) / (16 if levels else 1)
    reference = PCA(4, svd_solver="full").fit(flat)
    expected = reference.transform(flat)
    signs = np.sign((expected * features(x)).sum(0))
    np.testing.assert_allclose(features(x) * signs, expected, atol=1e-8)
    assert features.name.startswith("pixel-pca4@")
    assert PixelPCA.fit(x[:70], levels, 4).name != features.name


def test_no_more_components_than_the_items_support():
    assert [components_for(n, 64) for n in (5, 10, 25, 640, 10_000)] == [1, 1, 2, 64, 64]
    assert components_for(10_000, 2) == 2
