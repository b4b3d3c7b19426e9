"""Two layers of a linear-Gaussian chain are one Gaussian, whose density, moments and gradients are known."""

import math

import torch
from torch import Tensor

from simulacra.distributions import Ancestral, DiagonalGaussian

SLOPE, SPREAD = 0.8, 0.5


def chain(start: Tensor) -> Ancestral:
    """z_1 ~ N(c, 1) in two coordinates, a map of 1×2; z_2 | z_1 ~ N(0.8 Σ z_1, 0.25): codes (N, 3)."""

    def walk(context, choose):
        (c,) = context
        first = choose(DiagonalGaussian(c.view(-1, 1, 2), torch.zeros(len(c), 1, 2).double()))
        total = first.flatten(1).sum(1, keepdim=True)
        choose(DiagonalGaussian(SLOPE * total, torch.full_like(total, math.log(SPREAD))))

    return Ancestral(walk, [start])


def joint(c: Tensor) -> torch.distributions.MultivariateNormal:
    covariance = torch.eye(3).double()
    covariance[2, :2] = covariance[:2, 2] = SLOPE
    covariance[2, 2] = 2 * SLOPE**2 + SPREAD**2
    return torch.distributions.MultivariateNormal(torch.cat((c, SLOPE * c.sum(1, keepdim=True)), 1), covariance)


def test_its_density_is_that_of_the_joint_gaussian():
    c, z = torch.randn(6, 2).double(), torch.randn(6, 3).double()
    torch.testing.assert_close(chain(c).log_prob(z), joint(c).log_prob(z), rtol=1e-12, atol=1e-12)


def test_its_draws_have_the_moments_of_the_joint_gaussian():
    """50,000 draws: means within 4 s.e., covariances within 5 percent of the largest."""
    n, c = 50_000, torch.tensor([[1.0, -0.5]]).double()
    z = chain(c).repeat(n).sample(torch.Generator().manual_seed(0))
    known = joint(c)
    assert z.shape == (n, 3)
    assert ((z.mean(0) - known.mean[0]).abs() < 4 * known.stddev[0] / math.sqrt(n)).all()
    torch.testing.assert_close(torch.cov(z.T), known.covariance_matrix[0], rtol=0, atol=0.05)


def test_its_mean_goes_down_on_the_means_and_a_draw_without_temperature_is_there():
    c = torch.randn(4, 2).double()
    torch.testing.assert_close(chain(c).mean, joint(c).mean)
    torch.testing.assert_close(chain(c).sample(temperature=0.0), joint(c).mean)


def test_gradients_go_through_a_draw_to_what_it_is_conditioned_on():
    """d z_2 / d c = 0.8 whatever the noise; none reach what is detached."""
    c = torch.randn(4, 2).double().requires_grad_()
    (gradient,) = torch.autograd.grad(chain(c).reparameterised()[:, 2].sum(), c)
    torch.testing.assert_close(gradient, torch.full_like(c, SLOPE))
    assert not chain(c).detached().reparameterised().requires_grad
