"""Densities over codes: against scipy, and the divergence against its definition."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from simulacra.distributions import DiagonalGaussian, Distribution, Laplace, PointMass, kl_divergence


def some(seed: int, n: int = 4, d: int = 3) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_scale = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(mean, log_scale)


def test_log_prob_agrees_with_scipy():
    p = some(0)
    x = torch.randn(4, 3, dtype=torch.float64)
    expected = stats.norm.logpdf(x.numpy(), p.mean.numpy(), p.log_scale.exp().numpy()).sum(1)
    torch.testing.assert_close(p.log_prob(x), torch.from_numpy(expected))


def test_draws_have_the_mean_and_the_scale_times_the_temperature():
    p = DiagonalGaussian(torch.full((50_000, 1), 3.0), torch.full((50_000, 1), math.log(2.0)))
    for temperature in (1.0, 0.5):
        x = p.sample(torch.Generator().manual_seed(0), temperature)
        assert x.mean().item() == pytest.approx(3, abs=4 * 2 * temperature / math.sqrt(50_000))
        assert x.std().item() == pytest.approx(2 * temperature, rel=4 / math.sqrt(2 * 50_000))


def test_draws_are_reparameterised():
    """d z / d mean = 1, d z / d log_scale = z - mean."""
    mean = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)
    log_scale = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)
    z = DiagonalGaussian(mean, log_scale).sample()
    by_mean, by_scale = torch.autograd.grad(z.sum(), (mean, log_scale))
    torch.testing.assert_close(by_mean, torch.ones_like(mean))
    torch.testing.assert_close(by_scale, z.detach())


def test_half_precision_codes_become_float32():
    p = DiagonalGaussian(torch.ones(2, 3).bfloat16(), torch.zeros(2, 3).bfloat16())
    assert p.sample().dtype == p.log_prob(torch.ones(2, 3)).dtype == torch.float32
    assert DiagonalGaussian.standard(2, 3, like=torch.zeros(1).bfloat16()).mean.dtype == torch.float32


@pytest.mark.parametrize("seed", range(3))
def test_closed_form_kl_is_the_mean_of_the_log_ratio(seed):
    q, p = some(2 * seed, n=1), some(2 * seed + 1, n=1)
    n = 100_000
    many = DiagonalGaussian(q.mean.expand(n, -1), q.log_scale.expand(n, -1))
    z = many.sample(torch.Generator().manual_seed(seed))
    ratio = many.log_prob(z) - p.log_prob(z)
    error = ratio.std().item() / math.sqrt(n)
    assert kl_divergence(q, p, q.sample()).item() == pytest.approx(ratio.mean().item(), abs=4 * error)


def test_kl_is_zero_exactly_where_the_distributions_are_equal():
    q = some(0)
    assert kl_divergence(q, q, q.sample()).abs().max() == 0
    for change in (
        DiagonalGaussian(q.mean + 0.01, q.log_scale),
        DiagonalGaussian(q.mean, q.log_scale + 0.01),
        DiagonalGaussian(q.mean, q.log_scale - 0.01),
    ):
        assert (kl_divergence(q, change, q.sample()) > 1e-6).all()


def test_kl_without_a_closed_form_is_its_one_sample_estimate():
    class Other(Distribution):
        def log_prob(self, x):
            return (-x.abs() - math.log(2)).flatten(1).sum(1)

        def sample(self, generator=None, temperature=1.0):
            raise NotImplementedError

        @property
        def mean(self):
            raise NotImplementedError

    q, z = some(0), torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(kl_divergence(q, Other(), z), q.log_prob(z) - Other().log_prob(z))


def test_a_point_mass_is_certain_of_its_value():
    value = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    p = PointMass(value)
    assert torch.equal(p.sample(), value)
    assert torch.equal(p.mean, value)
    assert p.log_prob(torch.tensor([[1.0, 2.0], [3.0, 4.5]])).tolist() == [0.0, -math.inf]


@pytest.mark.parametrize(("make", "known"), [(DiagonalGaussian, stats.norm), (Laplace, stats.laplace)])
def test_the_mass_between_two_values_agrees_with_scipy_and_keeps_its_digits_in_both_tails(make, known):
    p = make(torch.full((6,), 0.5, dtype=torch.float64), torch.full((6,), math.log(2.0), dtype=torch.float64))
    lower = torch.tensor([-math.inf, -1.0, 0.4, 30.0, -40.0, 2.0], dtype=torch.float64)
    upper = torch.tensor([-1.0, 1.0, 0.6, 31.0, -30.0, math.inf], dtype=torch.float64)
    there = known(0.5, 2.0)
    left = torch.where(lower < 10, lower, 1 - upper), torch.where(lower < 10, upper, 1 - lower)  # mirrored at the mean
    expected = np.log(there.cdf(left[1].numpy()) - there.cdf(left[0].numpy()))
    torch.testing.assert_close(p.log_mass(lower, upper), torch.from_numpy(expected), rtol=1e-9, atol=1e-12)
    edges = torch.linspace(-60, 60, 200, dtype=torch.float64)
    all_of_it = make(torch.zeros(199).double(), torch.zeros(199).double()).log_mass(edges[:-1], edges[1:])
    assert all_of_it.isfinite().all()
    assert all_of_it.exp().sum().item() == pytest.approx(1, abs=1e-12)
