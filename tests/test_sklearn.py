"""The scikit-learn estimator: the library's own contract, and scores in the units of the data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from simulacra import data
from simulacra.errors import NotSupported
from simulacra.sklearn import GenerativeModel

RANDOM_SCORES = (
    "the score of a VAE is a bound from random draws, whose noise follows from the position of a row and not from its "
    "content: it agrees between orders and subsets of the rows only up to that noise"
)
NOT_APPLICABLE = {
    "check_methods_sample_order_invariance": RANDOM_SCORES,
    "check_methods_subset_invariance": RANDOM_SCORES,
}


@parametrize_with_checks(
    [GenerativeModel(options={"steps": 20, "network": "dense:hidden=8,dropout=0.1", "latent": 2}, samples=4)],
    expected_failed_checks=lambda estimator: NOT_APPLICABLE,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_contract_of_scikit_learn(estimator, check):
    check(estimator)


def gaussian(n: int, scale: float) -> np.ndarray:
    mixed = np.random.default_rng(0).normal(size=(n, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    return scale * mixed + 100


def test_scores_are_densities_in_the_units_of_the_rows():
    """Rows in other units have the same model, and densities that differ by the Jacobian of the change of units."""
    options = {"steps": 300, "network": "dense:hidden=32,dropout=0.1", "latent": 2}
    small = GenerativeModel(options=options, samples=64).fit(gaussian(500, 1.0))
    large = GenerativeModel(options=options, samples=64).fit(gaussian(500, 1000.0))
    difference = small.score(gaussian(500, 1.0)) - large.score(gaussian(500, 1000.0))
    assert difference == pytest.approx(2 * np.log(1000), abs=0.05)


def test_the_bound_stays_below_the_entropy_and_comes_near_it():
    rows = gaussian(2000, 1.0)
    fitted = GenerativeModel(
        options={"steps": 600, "network": "dense:hidden=32,dropout=0.1", "latent": 2}, samples=64
    ).fit(rows)
    true = multivariate_normal(np.full(2, 100), [[1.0, 0.8], [0.8, 1.0]]).logpdf(rows).mean()
    assert fitted.kind_ == "bound"
    assert true - 0.3 < fitted.score(rows) < true + 0.05


def test_samples_have_the_moments_of_the_rows():
    rows = gaussian(2000, 10.0)
    fitted = GenerativeModel(options={"steps": 1500, "network": "dense:hidden=32", "latent": 2}).fit(rows)
    drawn = fitted.sample(2000, random_state=1)
    assert np.allclose(drawn.mean(0), rows.mean(0), atol=1.5)
    assert np.allclose(np.cov(drawn.T), np.cov(rows.T), atol=20)


def test_flattened_images_on_the_grid():
    digits = data.load("digits").train.x.reshape(-1, 64)[:300]
    small = {"steps": 5, "width": 4, "layers": 2, "kernel": 3}
    fitted = GenerativeModel("gated-pixelcnn", shape=(1, 8, 8), levels=17, options=small).fit(digits)
    assert fitted.kind_ == "exact"
    assert np.allclose(fitted.score_samples(digits[:7]), fitted.score_samples(digits)[:7], rtol=1e-5)
    assert set(np.unique(fitted.sample(5))) <= set(range(17))
    with pytest.raises(ValueError, match="levels=17"):
        fitted.score_samples(digits[:3] + 0.5)
    with pytest.raises(NotSupported, match="no encoder"):
        fitted.transform(digits)


def test_in_a_pipeline_its_codes_are_features():
    rows = gaussian(200, 5.0)
    codes = make_pipeline(
        StandardScaler(), GenerativeModel(options={"steps": 20, "network": "dense:hidden=8,dropout=0.1", "latent": 3})
    ).fit_transform(rows)
    assert codes.shape == (200, 3)
    assert np.isfinite(codes).all()
