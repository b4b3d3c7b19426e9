"""Metrics of series: proper scores, honest intervals, and controls that the figures tell apart."""

import math

import numpy as np
import pytest
import torch

import simulacra as sim
from simulacra.data import DataSpec, Real, from_series
from simulacra.evaluation import timegan_scores
from simulacra.evaluation.forecasts import SeasonalNaive, crps, gaussian_crps, repeated
from simulacra.evaluation.overlap import independent
from simulacra.evaluation.temporal import autocorrelation, autocorrelation_error, block_bootstrap, spectrum_error
from simulacra.evaluation.vector_autoregression import VectorAutoregression
from simulacra.model import Model

PHI = np.array([[0.8, 0.2], [-0.3, 0.6]])


def autoregression(n, length, seed=0):
    random = np.random.default_rng(seed)
    x = np.zeros((n, length + 50, 2))
    for t in range(1, length + 50):
        x[:, t] = x[:, t - 1] @ PHI.T + random.standard_normal((n, 2))
    return x[:, 50:].astype(np.float32)


def test_crps_of_draws_and_of_a_gaussian_agree():
    random = np.random.default_rng(0)
    truth = random.standard_normal((6, 3)) * 2
    draws = 1 + 0.5 * random.standard_normal((6, 4000, 3))
    expected = gaussian_crps(np.ones((6, 3)), np.full((1, 3), 0.5), truth)
    np.testing.assert_allclose(crps(draws, truth), expected, atol=0.03)
    np.testing.assert_allclose(gaussian_crps(np.ones((6, 3)), np.zeros((1, 3)), truth), abs(truth - 1))


def test_crps_of_few_draws_is_without_bias():
    random = np.random.default_rng(1)
    few = crps(random.standard_normal((40_000, 3, 1)), np.full((40_000, 1), 0.7))
    exact = gaussian_crps(np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), 0.7))
    assert abs(few.mean() - exact[0, 0]) < 4 * few.std() / 200


def test_crps_by_enumeration():
    draws, truth = np.array([[[1.0], [4.0], [2.0]]]), np.array([[3.0]])
    pairs = [abs(a - b) for i, a in enumerate((1, 4, 2)) for j, b in enumerate((1, 4, 2)) if i != j]
    assert crps(draws, truth)[0, 0] == pytest.approx((2 + 1 + 1) / 3 - np.mean(pairs) / 2)


def test_a_season_is_found():
    t = np.arange(400)
    data = from_series(
        np.sin(2 * math.pi * t / 7)[:, None] + 0.01 * np.random.default_rng(0).standard_normal((400, 1)), 24
    )
    naive = SeasonalNaive(data.train.x, 6)
    assert naive.season % 7 == 0
    mean, deviation = naive.forecast(data.test.x[:, :-6])
    assert abs(mean - data.test.x[:, -6:]).max() < 0.1
    assert deviation.max() < 0.05
    np.testing.assert_array_equal(repeated(np.arange(6)[None, :, None], 2, 5)[0, :, 0], [4, 5, 4, 5, 4])


def test_the_linear_model_finds_its_own_and_forecasts_its_moments():
    x = autoregression(2000, 12)
    found = VectorAutoregression.of(x)
    np.testing.assert_allclose(found.matrix, PHI, atol=0.03)
    np.testing.assert_allclose(found.noise, np.eye(2), atol=0.05)
    last = np.repeat([[3.0, -2.0]], 20_000, 0)
    drawn = found.simulate(last, 4, np.random.default_rng(0))
    mean, deviation = found.forecast(last[:1], 3)
    np.testing.assert_allclose(drawn[:, 1:].mean(0), mean[0], atol=0.06)
    np.testing.assert_allclose(drawn[:, 1:].std(0), deviation, rtol=0.03)


def test_windows_that_overlap_count_as_fewer():
    """The mean over windows of white noise varies as the standard error with so many items says, and no more."""
    random, means = np.random.default_rng(0), []
    for _ in range(300):
        x = np.lib.stride_tricks.sliding_window_view(random.standard_normal(400).astype(np.float32), 10)[..., None]
        means.append(x.sum((1, 2)).mean())
    count = independent(x)
    assert count == pytest.approx(39.1)
    said = x.sum((1, 2)).std() / math.sqrt(count)
    assert 0.85 * np.std(means) < said < 1.4 * np.std(means)
    assert independent(autoregression(50, 10)) == 50


def test_time_matters_to_autocorrelation_and_spectrum():
    real, other = autoregression(1500, 16), autoregression(1500, 16, seed=1)
    shuffled = other[:, np.random.default_rng(0).permutation(16)]
    for error in (autocorrelation_error, spectrum_error):
        assert error(other, real) < 0.05
        assert error(shuffled, real) > 0.15
    expected = (PHI @ np.linalg.solve(np.eye(4) - np.kron(PHI, PHI), np.eye(2).ravel()).reshape(2, 2)).diagonal()
    power = np.linalg.solve(np.eye(4) - np.kron(PHI, PHI), np.eye(2).ravel()).reshape(2, 2).diagonal()
    np.testing.assert_allclose(autocorrelation(real)[0], expected / power, atol=0.03)


def test_a_bootstrap_is_made_of_training_blocks():
    train = np.arange(60, dtype=np.float32).reshape(5, 12, 1)
    made = block_bootstrap(train, 40, np.random.default_rng(0))
    steps = np.diff(made[..., 0], axis=1)
    assert made.shape == (40, 12, 1)
    assert (steps[:, [0, 1, 2, 4, 5, 6, 8, 9, 10]] == 1).all()
    assert (steps[:, [3, 7]] != 1).any()


def test_the_classifier_tells_what_is_moved_and_not_the_same(monkeypatch):
    monkeypatch.setattr(timegan_scores, "STEPS", 25)
    monkeypatch.setattr(timegan_scores, "RATE", 0.03)
    parts = [torch.from_numpy(autoregression(200, 8, seed)) / 5 for seed in range(4)]
    same = timegan_scores.discriminative(*parts, seed=0)
    moved = [parts[0], 2 + parts[1], parts[2], 2 + parts[3]]
    assert same < 0.15
    assert timegan_scores.discriminative(*moved, seed=0) > same + 0.2


class Linear(Model):
    """The process that made the data, as sampler and forecaster."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.none = torch.nn.Parameter(torch.zeros(1))

    def phases(self):
        return []

    def _go_on(self, last, steps, generator):
        found = []
        for _ in range(steps):
            last = last @ torch.from_numpy(PHI).float().T + torch.randn(last.shape, generator=generator)
            found.append(last)
        return torch.stack(found, 1)

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        return self._go_on(torch.zeros(n, 2), 40 + self.spec.shape[0], generator)[:, 40:]

    def forecast(self, past, steps, condition=None, generator=None):
        return self._go_on(past[:, -1], steps, generator)


def test_the_true_process_is_as_good_as_what_is_fitted_to_it(monkeypatch):
    monkeypatch.setattr(timegan_scores, "STEPS", 5)
    data = from_series(autoregression(1, 1200)[0], 12)
    found = sim.evaluate(Linear(DataSpec(Real((12, 2)))), data)
    for name in ("crps", "mae"):
        measure = found[name]
        assert measure.value == pytest.approx(measure.baseline["VAR(1)"], rel=0.08)
        assert measure.value < measure.baseline["seasonal naive"] * 1.02
        assert measure.low < measure.value < measure.high
    assert found["autocorrelation"].value < found["autocorrelation"].baseline["block bootstrap"] + 0.1
    assert {"spectrum", "discriminative", "predictive"} <= found.keys()
    assert found["discriminative"].baseline.keys() == {"block bootstrap", "VAR(1)"}


def test_the_error_of_a_score_is_that_of_independent_windows():
    data = from_series(autoregression(1, 600)[0], 10)
    model = sim.autoregressive.RNADE(data.spec, hidden=2).eval()
    found = sim.score(model, data)
    assert found.standard_error == pytest.approx(found.per_item.std(ddof=1) / math.sqrt(len(data.test) / 10), rel=1e-6)
