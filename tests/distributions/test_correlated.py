"""A Gaussian with any covariance against torch's own, as a chain of its coordinates, and its KL."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from simulacra.distributions import CorrelatedGaussian, DiagonalGaussian, kl_each

D = 4


def whitening(seed: int = 0) -> torch.Tensor:
    noise = torch.randn(D, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise.tril(-1) + noise.diagonal().exp().diag()


def pair(n: int = 1) -> tuple[CorrelatedGaussian, MultivariateNormal]:
    location = torch.linspace(-2, 3, D, dtype=torch.float64)
    return CorrelatedGaussian(n, location, whitening()), MultivariateNormal(
        location, precision_matrix=whitening().T @ whitening()
    )


def test_it_is_the_gaussian_with_this_precision():
    ours, theirs = pair(6)
    z = torch.randn(6, D, dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(ours.mean, theirs.mean.expand(6, -1))
    torch.testing.assert_close(ours.deviations, theirs.stddev.expand(6, -1))
    torch.testing.assert_close(ours.marginals.deviations, ours.deviations)


def test_draws_have_its_moments_and_temperature_shrinks_them():
    ours, theirs = pair(200_000)
    for temperature in (1.0, 0.5):
        z = ours.sample(torch.Generator().manual_seed(0), temperature)
        scale = theirs.covariance_matrix.diagonal().sqrt()
        assert ((z.mean(0) - theirs.mean) / scale).abs().max() < 0.02
        gap = (torch.cov(z.T) - temperature**2 * theirs.covariance_matrix) / (scale * scale[:, None])
        assert gap.abs().max() < 0.02


def test_as_a_chain_it_is_the_same():
    """Its factors, each given the coordinates before it, add up to it, and whitened coordinates are their noise."""
    ours, theirs = pair(5)
    z = torch.randn(5, D, dtype=torch.float64)
    torch.testing.assert_close(ours.chain().log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(ours.log_each(z).sum(1), theirs.log_prob(z))
    seen = []

    def keep(p: DiagonalGaussian) -> torch.Tensor:
        seen.append(p)
        return z[:, len(seen) - 1 : len(seen)]

    ours.chain().walk([], keep)
    noise = [(z[:, i : i + 1] - p.mean) / p.deviations for i, p in enumerate(seen)]
    torch.testing.assert_close(torch.cat(noise, 1), ours.whitened(z))


def test_the_kl_from_independent_coordinates_is_in_parts_of_which_none_is_negative():
    ours, theirs = pair(7)
    mean, log_scale = torch.randn(7, D, dtype=torch.float64), torch.randn(7, D, dtype=torch.float64)
    each = kl_each(DiagonalGaussian(mean, log_scale), ours)
    q = MultivariateNormal(mean, torch.diag_embed(log_scale.exp().square()))
    torch.testing.assert_close(each.sum(1), kl_divergence(q, theirs))
    assert (each >= 0).all()


def test_a_part_is_the_expected_divergence_given_the_coordinates_before():
    ours, _ = pair(50_000)
    mean, log_scale = torch.randn(D, dtype=torch.float64), torch.randn(D, dtype=torch.float64) - 1
    q = DiagonalGaussian(mean.expand(50_000, -1), log_scale.expand(50_000, -1))
    z, parts = q.sample(torch.Generator().manual_seed(1)), []

    def keep(p: DiagonalGaussian) -> torch.Tensor:
        i = len(parts)
        parts.append(kl_each(q[:, i : i + 1], p).mean())
        return z[:, i : i + 1]

    ours.chain().walk([], keep)
    torch.testing.assert_close(torch.stack(parts), kl_each(q, ours)[0], rtol=0.03, atol=0.01)


def test_the_gaussian_of_least_divergence_has_the_moments_of_all_codes():
    """argmin_p E_x KL(q(z|x) || p) = N(E μ, Cov μ + E diag σ²): what a learned prior comes to."""
    generator = torch.Generator().manual_seed(2)
    mean = torch.randn(40, D, generator=generator, dtype=torch.float64) @ whitening(3)
    log_scale = torch.randn(40, D, generator=generator, dtype=torch.float64) / 2
    covariance = torch.cov(mean.T, correction=0) + log_scale.exp().square().mean(0).diag()
    best = torch.linalg.cholesky(covariance).inverse().requires_grad_()
    location = mean.mean(0).requires_grad_()
    q = DiagonalGaussian(mean, log_scale)
    loss = kl_each(q, CorrelatedGaussian(40, location, best)).sum(1).mean()
    of_location, of_best = torch.autograd.grad(loss, [location, best])
    assert of_location.abs().max() < 1e-10
    assert of_best.tril().abs().max() < 1e-10


@pytest.mark.parametrize("index", [slice(1, 3), torch.tensor([0, 2, 2])])
def test_rows_and_repeats_keep_what_all_items_share(index):
    ours, _ = pair(4)
    rows = len(torch.arange(4)[index])
    assert ours.rows(index).mean.shape == (rows, D)
    assert ours.repeat(3).sample().shape == (12, D)
    assert torch.equal(ours.precise().whitening, ours.whitening)
