"""The recurrent density: exact, causal, free of units, and as good as the linear model that it contains."""

import math

import numpy as np
import pytest
import torch
from small import items, randomise
from torch.distributions import MultivariateNormal

import simulacra as sim
from simulacra.data import ClassLabel, DataSpec, Levels, Real, from_arrays
from simulacra.errors import UsageError
from simulacra.sequences import MDNRNN
from simulacra.sequences.mdn_rnn import RecurrentSteps

SPEC = DataSpec(Real((4, 3)))
SMALL = {"hidden": 8, "head": 4, "components": 2}


def lively(spec=SPEC, **given):
    model = randomise(MDNRNN(spec, **SMALL | given)).double().eval()
    model.units.learn(3 + 2 * items(DataSpec(Real((20, 3))), 9).double().flatten(0, 1))
    return model


def autoregression(phi, noise, length=4):
    """The vector autoregression x_t = phi x_{t-1} + N(0, noise), x_1 ~ N(0, noise), as a model of one component."""
    model = MDNRNN(DataSpec(Real((length, len(phi)))), hidden=3, head=3, components=1).double().eval()
    lower = torch.linalg.cholesky(noise)
    whitening = torch.linalg.inv(lower)  # rows: (x_d - what those before say) / deviation
    within = -(whitening / whitening.diagonal()[:, None]).tril(-1)
    with torch.no_grad():
        model.outputs.zero_()
        model.biases.zero_()
        model.biases[:, 2] = lower.diagonal().log()
        model.within.copy_(within.T)
        model.before.copy_((phi - within @ phi).T)
    return model


PHI = torch.tensor([[0.8, 0.2], [-0.3, 0.6]], dtype=torch.float64)
NOISE = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_no_factor_reads_what_comes_later(cell):
    found = sim.checks.causality(lively(cell=cell))
    assert found, str(found)


@pytest.mark.parametrize("given", [{"cell": "gru"}, {"cell": "lstm", "layers": 2}])
def test_the_walk_has_the_factors_of_the_whole(given):
    spec = DataSpec(Real((4, 3)), {"label": ClassLabel(3)})
    model, x = lively(spec, **given), items(spec, 5).double()
    label = {"label": torch.tensor([0, 1, 2, 0, 1])}
    whole, walk = model.log_each(x, label), model.steps(5, label)
    for place, value in enumerate(x.flatten(1).T):
        torch.testing.assert_close(walk.conditional().log_each(value), whole.flatten(1)[:, place])
        walk.append(value)


@pytest.mark.parametrize("lags", [1, 3, 48])
def test_a_past_leaves_the_state_that_its_steps_leave(lags):
    spec = DataSpec(Real((6, 3)))
    model, x = lively(spec, lags=lags), items(spec, 5).double()
    for length in range(1, 6):
        walk = RecurrentSteps(model, 5, model.embed(model.conditioned(None, 5)), x[:, :length])
        found = walk.conditional().log_each(x[:, length, 0])
        torch.testing.assert_close(found, model.log_each(x)[:, length, 0])


def test_it_is_a_density():
    model = lively(DataSpec(Real((1, 3))))
    x = torch.zeros(4001, 1, 3, dtype=torch.float64)
    x[..., 1] = torch.linspace(-60, 60, 4001)[:, None]
    total = torch.trapezoid(model.log_each(x)[:, 0, 1].exp(), x[:, 0, 1]).detach()
    assert abs(float(total) - 1) < 1e-4


def test_one_component_is_any_vector_autoregression():
    model, x = autoregression(PHI, NOISE), items(DataSpec(Real((4, 2))), 6).double()
    before = torch.cat((torch.zeros_like(x[:, :1]), x[:, :-1]), 1)
    expected = MultivariateNormal(before @ PHI.T, NOISE).log_prob(x).sum(1)
    torch.testing.assert_close(model.log_prob(x), expected)


def test_further_steps_of_a_column_enter_its_mean():
    season = torch.tensor([[0.5, 0.0, 0.2], [0.0, -0.4, 0.0]], dtype=torch.float64)  # of 4, 3 and 2 steps back
    model = autoregression(torch.zeros_like(PHI), NOISE, length=7)
    with torch.no_grad():
        model.further[:, -3:] = season
        model.within.zero_()  # so that means are those of the past
    x = items(DataSpec(Real((7, 2))), 6).double()
    found = model.conditionals(x).mean
    for t in range(7):
        lagged = [x[:, max(0, t - k)] for k in (4, 3, 2)]
        expected = sum(a * each for a, each in zip(season.T, lagged, strict=True)) if t else torch.zeros_like(x[:, 0])
        torch.testing.assert_close(found[:, t], expected)


def test_futures_have_the_moments_of_the_autoregression():
    model, n = autoregression(PHI, NOISE), 20_000
    past = torch.tensor([[0.0, 0.0], [5.0, -3.0]], dtype=torch.float64).expand(n, 2, 2)
    future = model.forecast(past, 6, generator=torch.Generator().manual_seed(0))
    mean, spread = past[0, -1], torch.zeros_like(NOISE)
    for step in range(6):
        mean, spread = PHI @ mean, PHI @ spread @ PHI.T + NOISE
        error = (future[:, step].mean(0) - mean) / (spread.diagonal() / n).sqrt()
        assert error.abs().max() < 4
        torch.testing.assert_close(future[:, step].T.cov(), spread, rtol=0.05, atol=0.03)


def test_the_units_of_a_column_do_not_matter():
    x = items(SPEC, 50).double()
    scale, shift = torch.tensor([1e3, 1.0, 1e-2]).double(), torch.tensor([5e4, 0.0, 1.0]).double()
    models = [randomise(MDNRNN(SPEC, **SMALL)).double().eval() for _ in range(2)]
    for model, values in zip(models, (x, x * scale + shift), strict=True):
        model.units.learn(values.flatten(0, 1))
    change = -4 * scale.log().sum()
    torch.testing.assert_close(models[1].log_prob(x * scale + shift), models[0].log_prob(x) + change)
    drawn = [model.sample(7, generator=torch.Generator().manual_seed(1)) for model in models]
    torch.testing.assert_close(drawn[1].double(), drawn[0].double() * scale + shift, rtol=1e-4, atol=1e-3)


def test_it_learns_the_entropy_of_an_autoregression(tmp_path):
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 6, 1))
    for step in range(1, 6):
        x[:, step] += 0.9 * x[:, step - 1]
    data = from_arrays(100 + 10 * x.astype(np.float32))
    run = tmp_path / "run"
    sim.fit("mdn-rnn", data, run, steps=80, device="cpu", every=40, batch=64, learning_rate=0.03, **SMALL)
    found = sim.score(run, data)
    assert found.nats < 6 * (math.log(10) + 0.5 * math.log(2 * math.pi * math.e)) + 1


@pytest.mark.parametrize("field", [Real((5,)), Levels((1, 8, 8), 17), Real((3, 4, 4))])
def test_what_is_no_series_is_refused(field):
    with pytest.raises(UsageError, match=r"mdn-rnn is for series .* use rnade"):
        MDNRNN(DataSpec(field))


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 3), (2, 3, 2), (2, 3, 3, 1)])
def test_a_past_of_another_shape_is_refused(shape):
    with pytest.raises(UsageError, match=r"a past of this mdn-rnn is a tensor \(N, P, 3\)"):
        MDNRNN(SPEC, **SMALL).eval().forecast(torch.zeros(shape), 2)
