"""Modes, deviations and the number of values: what is known of a distribution whatever its class."""

import math

import pytest
import torch

from simulacra.distributions import (
    Ancestral,
    Bernoulli,
    BinaryCode,
    Categorical,
    DiagonalGaussian,
    GaussianMixture,
    Laplace,
    MixtureOfGaussians,
    OneHotCode,
    PointMass,
)

torch.manual_seed(0)
LOGITS = torch.randn(6, 4, 3)
MEAN, LOG_SCALE = torch.randn(6, 4), 0.5 * torch.randn(6, 4)
DISCRETE = {
    "bits": BinaryCode(LOGITS[..., 0]),
    "one-hot": OneHotCode(LOGITS),
    "bernoulli": Bernoulli(LOGITS[..., 0]),
    "categorical": Categorical(LOGITS),
}
CONTINUOUS = {
    "gaussian": DiagonalGaussian(MEAN, LOG_SCALE),
    "laplace": Laplace(MEAN, LOG_SCALE),
    "point": PointMass(MEAN),
    "mixture of codes": GaussianMixture(6, LOGITS[0, 0], torch.randn(3, 4), 0.5 * torch.randn(3, 4)),
    "mixture of coordinates": MixtureOfGaussians(LOGITS, torch.randn(6, 4, 3), 0.5 * torch.randn(6, 4, 3)),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_the_mode_of_a_mass_is_more_probable_than_any_draw(name):
    p = DISCRETE[name]
    best = p.log_prob(p.mode)
    draws = [p.sample(torch.Generator().manual_seed(i)) for i in range(200)]
    assert p.mode.dtype == draws[0].dtype
    assert p.mode.shape == draws[0].shape
    assert (torch.stack([p.log_prob(draw) for draw in draws]) <= best + 1e-6).all()


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_the_mode_of_a_peak_is_its_mean(name):
    p = CONTINUOUS[name]
    assert torch.equal(p.mode, p.mean)
    assert (p.log_prob(p.mode) >= p.log_prob(p.mode + 0.01)).all()


def many_times(p, times):
    """The same items so many times over."""
    if isinstance(p, GaussianMixture):
        return GaussianMixture(p.n * times, p.log_weights, p.means, p.log_scales)
    return p.rows(torch.arange(len(p.mean)).repeat(times))


@pytest.mark.parametrize("name", [*CONTINUOUS, "bits", "one-hot"])
def test_deviations_are_those_of_many_draws(name):
    p = (CONTINUOUS | DISCRETE)[name]
    noise = torch.Generator().manual_seed(1)
    draws = torch.cat([many_times(p, 1000).sample(noise).unflatten(0, (1000, -1)) for _ in range(20)])
    assert p.deviations.shape == p.mean.shape
    torch.testing.assert_close(p.deviations, draws.std(0), rtol=0.05, atol=0.01)


def test_how_many_values_a_coordinate_of_a_code_has():
    assert DISCRETE["bits"].values == 2
    assert DISCRETE["one-hot"].values == 3
    assert not any(p.values for p in [*CONTINUOUS.values(), DISCRETE["bernoulli"], DISCRETE["categorical"]])


@pytest.mark.parametrize("name", [*DISCRETE, "gaussian", "laplace", "point", "mixture of coordinates"])
def test_rows_are_the_distributions_of_some_items(name):
    p = (CONTINUOUS | DISCRETE)[name]
    some = p.rows(slice(2, 5))
    assert torch.equal(some.mode, p.mode[2:5])
    assert torch.equal(some.log_prob(p.mode[2:5]), p.log_prob(p.mode)[2:5])


def test_the_mode_of_layers_is_the_mode_of_each_given_those_before():
    """p(z_1) is a bit with probability 0.7, and p(z_2 | z_1) one whose probability depends on it."""

    def walk(context, choose):
        first = choose(BinaryCode(context[0]))
        choose(BinaryCode(4 * first - 2))

    p = Ancestral(walk, [torch.full((2, 1), math.log(0.7 / 0.3))])
    assert p.mode.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert p.deviations is None
    assert p.values == 0
    assert len(p.rows(slice(1)).mode) == 1
