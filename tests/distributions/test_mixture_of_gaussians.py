"""A mixture of Gaussians: against scipy and quadrature; a uniform number becomes a value of the right density."""

import math

import pytest
import torch
from scipy import stats

from simulacra.distributions import DiagonalGaussian, MixtureOfGaussians

U = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000  # fine, even noise


def some(*shape: int, seed: int = 0) -> MixtureOfGaussians:
    generator = torch.Generator().manual_seed(seed)
    return MixtureOfGaussians(*torch.randn(3, *shape, generator=generator, dtype=torch.float64))


def one(weights: list[float], means: list[float], scales: list[float]) -> MixtureOfGaussians:
    """One item of one coordinate."""
    numbers = (torch.tensor(each, dtype=torch.float64)[None, None] for each in (weights, means, scales))
    weights_, means_, scales_ = numbers
    return MixtureOfGaussians(weights_.log(), means_, scales_.log())


def drawn(p: MixtureOfGaussians, temperature: float = 1.0) -> torch.Tensor:
    return p.quantile(U[:, None], temperature).flatten()


def test_log_each_agrees_with_scipy():
    p, x = some(4, 3, 5), torch.randn(4, 3, dtype=torch.float64)
    densities = stats.norm.pdf(x[..., None].numpy(), p.means.numpy(), p.log_scales.exp().numpy())
    expected = torch.from_numpy(densities * p.log_weights.exp().numpy()).sum(-1).log()
    torch.testing.assert_close(p.log_each(x), expected)
    torch.testing.assert_close(p.log_prob(x), expected.sum(1))


def test_one_component_is_a_gaussian_at_every_temperature():
    """p^(1/T) of a Gaussian has the scale σ√T."""
    p = some(2, 3, 1)
    gaussian = DiagonalGaussian(p.means[..., 0], p.log_scales[..., 0])
    x, u = torch.randn(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    torch.testing.assert_close(p.log_prob(x), gaussian.log_prob(x))
    torch.testing.assert_close(p.mean, gaussian.mean)
    for temperature in (1.0, 0.5, 2.0):
        scale = p.log_scales[..., 0].exp() * math.sqrt(temperature)
        expected = stats.norm.ppf(u.numpy(), gaussian.mean.numpy(), scale.numpy())
        torch.testing.assert_close(p.quantile(u, temperature), torch.from_numpy(expected))


@pytest.mark.parametrize("seed", range(3))
def test_the_density_integrates_to_one_and_has_the_mean_it_claims(seed):
    p = some(1, 1, 4, seed=seed)
    x = torch.linspace(-60, 60, 120_001, dtype=torch.float64)[:, None]
    density = p.log_each(x).exp().flatten()
    assert density.sum().item() * 1e-3 == pytest.approx(1, abs=1e-9)
    assert (density * x.flatten()).sum().item() * 1e-3 == pytest.approx(p.mean.item(), abs=1e-8)


def test_draws_follow_the_distribution_function():
    """Even noise, sorted by what it becomes, lies on F of the mixture."""
    p = some(1, 1, 4)
    x = drawn(p).sort().values
    below = stats.norm.cdf(x[:, None].numpy(), p.means[0, 0].numpy(), p.log_scales[0, 0].exp().numpy())
    expected = (torch.from_numpy(below) * p.log_weights[0, 0].exp()).sum(-1)
    torch.testing.assert_close(expected, U, rtol=0, atol=1e-4)
    assert x.mean().item() == pytest.approx(p.mean.item(), abs=1e-3)


@pytest.mark.parametrize("temperature", [0.5, 0.25, 1.5])
def test_draws_from_distant_components_follow_the_density_sharpened_by_the_temperature(temperature):
    """Means and variances on both sides of a gap, against p^(1/T) by quadrature."""
    p = one([0.3, 0.7], [-30.0, 30.0], [0.5, 2.0])
    x = torch.linspace(-60, 60, 120_001, dtype=torch.float64)
    sharpened = (p.log_each(x[:, None]).flatten() / temperature).exp()
    sharpened /= sharpened.sum()
    found = drawn(p, temperature)
    for side in (-1, 1):
        part, here = sharpened[x * side > 0], x[x * side > 0]
        mine = found[found * side > 0]
        mean = (part * here).sum() / part.sum()
        variance = (part * (here - mean) ** 2).sum() / part.sum()
        assert len(mine) / len(found) == pytest.approx(part.sum().item(), abs=1e-4)
        assert mine.mean().item() == pytest.approx(mean.item(), abs=1e-2)
        assert mine.var().item() == pytest.approx(variance.item(), rel=1e-2)


def test_a_low_temperature_takes_the_highest_peak():
    """The highest, not the heaviest: 0.3 / 0.1 > 0.7 / 1."""
    p = one([0.7, 0.3], [-3.0, 3.0], [1.0, 0.1])
    assert (drawn(p, 1e-6) - 3).abs().max() < 1e-3


def test_every_uniform_number_becomes_a_finite_value():
    """The ends of [0, 1) and of the shares of the components, components without mass, float32 sums short of one."""
    weights = torch.randn(200, 64)
    weights[:, ::3] = -math.inf
    p = MixtureOfGaussians(weights, torch.randn(200, 64), torch.randn(200, 64))
    for u in (torch.zeros(200), torch.full((200,), 1 - 2**-24), p.log_weights.exp().cumsum(-1)[:, 30].clamp(max=0.99)):
        assert torch.isfinite(p.quantile(u)).all()
    certain = one([0.0, 1.0, 0.0], [-100.0, 5.0, 100.0], [1.0, 1.0, 1.0])
    assert (drawn(certain) - 5).abs().max() < 10


def test_some_coordinates_have_their_own_scores_and_draws():
    p, x, u = some(5, 2, 3, 4), torch.randn(5, 2, 3, dtype=torch.float64), torch.rand(5, 2, 3, dtype=torch.float64)
    for index in ((slice(None), 1, 2), (slice(None), 1), slice(1, 3), torch.arange(5) % 2 == 0):
        assert torch.equal(p[index].log_each(x[index]), p.log_each(x)[index])
        assert torch.equal(p[index].quantile(u[index]), p.quantile(u)[index])
        assert torch.equal(p[index].mean, p.mean[index])


def test_the_derivatives_are_those_of_differences():
    numbers = torch.randn(4, 3, 2, 3, dtype=torch.float64)
    x, *parameters = (each.clone().requires_grad_() for each in (numbers[0, ..., 0], *numbers[1:]))
    assert torch.autograd.gradcheck(lambda x, *each: MixtureOfGaussians(*each).log_each(x), (x, *parameters))


def test_half_precision_parameters_become_float32():
    p = MixtureOfGaussians(*torch.zeros(3, 2, 3, 4).bfloat16())
    assert p.log_prob(torch.ones(2, 3)).dtype == p.sample().dtype == p.mean.dtype == torch.float32
