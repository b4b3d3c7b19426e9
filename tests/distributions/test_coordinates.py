"""Some coordinates of a distribution are a distribution; and the shortcuts of a head give what the long way gives."""

import pytest
import torch

from simulacra.distributions import (
    Bernoulli,
    Categorical,
    DiscretisedGaussian,
    DiscretisedLogisticMixture,
    GridDistribution,
)

SHAPE = (5, 2, 3, 4)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def heads() -> list:
    return [
        Bernoulli(normal(*SHAPE)),
        Categorical(normal(*SHAPE, 6)),
        DiscretisedGaussian(normal(*SHAPE), normal(*SHAPE), 7),
        DiscretisedLogisticMixture(normal(*SHAPE, 3), normal(*SHAPE, 3), normal(*SHAPE, 3), 8),
    ]


@pytest.fixture(params=range(4))
def p(request) -> GridDistribution:
    return heads()[request.param]


INDICES = {
    "one coordinate": (slice(None), 1, 2, 3),
    "a row": (slice(None), slice(None), 1),
    "two items": slice(1, 3),
    "a mask": torch.arange(5) % 2 == 0,
}


@pytest.mark.parametrize("name", INDICES)
def test_some_coordinates_have_their_own_masses_scores_and_draws(p, name):
    index = INDICES[name]
    before = p.log_masses().clone()
    x, u = torch.randint(p.levels, SHAPE, dtype=torch.uint8), torch.rand(SHAPE, dtype=torch.float64)
    part = p[index]
    assert type(part) is type(p)
    assert torch.equal(part.log_masses(), before[index])
    assert torch.equal(part.log_each(x[index]), p.log_each(x)[index])
    assert torch.equal(part.quantile(u[index]), p.quantile(u)[index])
    assert torch.equal(p.log_masses(), before)  # the whole is as it was


def test_the_log_mass_of_each_coordinate_has_its_shape_and_adds_up(p):
    x = torch.randint(p.levels, SHAPE, dtype=torch.uint8)
    assert p.log_each(x).shape == SHAPE
    torch.testing.assert_close(p.log_prob(x), p.log_each(x).sum((1, 2, 3)))


def noise(*shape: int) -> torch.Tensor:
    """Uniform, but for the ends, where float64 sums of masses differ in their last bit."""
    return 1e-9 + (1 - 2e-9) * torch.rand(*shape, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_a_bernoulli_draws_as_any_grid_does(temperature):
    p, u = Bernoulli(torch.linspace(-40, 40, 401, dtype=torch.float64)), noise(401)
    assert torch.equal(p.quantile(u, temperature), GridDistribution.quantile(p, u, temperature))


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_mixture_of_logistics_draws_as_any_grid_does(temperature):
    """For every number of levels, with means far beyond the range and scales beyond the clamps."""
    for levels in range(2, 257) if temperature == 1 else (2, 17, 256):
        means, scales = 2 * normal(40, 3), 4 * normal(40, 3)
        means[::10] *= 100
        p = DiscretisedLogisticMixture(2 * normal(40, 3), means, scales - 2, levels)
        u = noise(40)
        assert torch.equal(p.quantile(u, temperature), GridDistribution.quantile(p, u, temperature)), levels


def test_all_of_the_levels_can_be_drawn_from_a_mixture():
    """At the middle of every step of the distribution function."""
    for levels in (2, 3, 5, 16, 17, 226, 255, 256):
        p = DiscretisedLogisticMixture(*(torch.zeros(1, 2, dtype=torch.float64) for _ in range(3)), levels)
        after = p.log_masses()[0].exp().cumsum(0)
        middles = after - p.log_masses()[0].exp() / 2
        assert torch.equal(p[torch.zeros(levels, dtype=torch.long)].quantile(middles), torch.arange(levels).byte())


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_the_joint_of_component_and_level_adds_up_to_the_mass(levels):
    p = DiscretisedLogisticMixture(normal(30, 4), 2 * normal(30, 4), 3 * normal(30, 4), levels)
    for level in {0, 1, levels // 2, levels - 1}:
        joint = p.log_joint(torch.full((30,), 2 * level / (levels - 1) - 1, dtype=torch.float64))
        assert joint.shape == (30, 4)
        mass = p.log_each(torch.full((30,), level))
        torch.testing.assert_close(joint.logsumexp(-1), mass, rtol=1e-7, atol=1e-7)


def test_a_long_table_of_masses_is_made_level_by_level_and_is_the_same(monkeypatch):
    p = DiscretisedLogisticMixture(normal(5, 4), normal(5, 4), normal(5, 4), 17)
    at_once = p.log_masses()
    monkeypatch.setattr("simulacra.distributions.discretised.ALL_LEVELS_AT_ONCE", 1)
    torch.testing.assert_close(p.log_masses(), at_once, rtol=1e-12, atol=1e-12)
