"""With a linear decoder and Gaussian noise log p(x) is known: bounds lie below it, and meet it where they should."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from simulacra.data import DataSpec
from simulacra.fields import Real
from simulacra.latent import IWAE, VAE, DReG
from simulacra.networks import Dense
from simulacra.turns import Turn

DIMS, CODES, SIGMA, OFFSET = 5, 2, 0.6, 500.0  # an offset so large that no ReLU is ever off


def orthogonal(seed: int = 0) -> Tensor:
    """W (DIMS, CODES) with orthogonal columns of different length: then the posterior has a diagonal covariance."""
    square = np.random.default_rng(seed).normal(size=(DIMS, DIMS))
    return torch.from_numpy(np.linalg.qr(square)[0][:, :CODES] * np.array([1.5, 0.5]))


def linear_vae(decoder: Tensor, encoder: Tensor, log_scale: Tensor) -> VAE:
    """A VAE whose decoder is N(W z, σ²) and whose encoder is N(M x, exp(log_scale)²), by the choice of its weights."""
    model = VAE(DataSpec(Real((DIMS,))), latent=CODES, network=Dense(hidden=max(DIMS, CODES))).double().eval()
    state = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    state["encoder.body.first.weight"][:CODES] = encoder
    state["encoder.body.first.bias"][:] = OFFSET
    state["encoder.body.last.weight"][0::2, :CODES] = torch.eye(CODES)  # mean and log-scale of a coordinate take turns
    state["encoder.body.last.bias"][0::2] = -OFFSET
    state["encoder.body.last.bias"][1::2] = log_scale
    state["decoder.body.first.weight"][:CODES] = torch.eye(CODES)
    state["decoder.body.first.bias"][:] = OFFSET
    state["decoder.body.last.weight"][0::2, :CODES] = decoder
    state["decoder.body.last.bias"][0::2] = -OFFSET * decoder.sum(1)
    state["decoder.body.last.bias"][1::2] = math.log(SIGMA)
    model.load_state_dict(state)
    return model


def posterior(decoder: Tensor) -> tuple[Tensor, Tensor]:
    """p(z|x) = N(M x, S): M and S."""
    covariance = torch.linalg.inv(torch.eye(CODES, dtype=torch.float64) + decoder.T @ decoder / SIGMA**2)
    return covariance @ decoder.T / SIGMA**2, covariance


def exact(x: Tensor, decoder: Tensor) -> Tensor:
    covariance = decoder @ decoder.T + SIGMA**2 * torch.eye(DIMS, dtype=torch.float64)
    log_density = stats.multivariate_normal.logpdf(x.numpy(), np.zeros(DIMS), covariance.numpy())
    return torch.from_numpy(np.atleast_1d(log_density))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(6, DIMS).double()  # numbers that float32 holds too


def ideal() -> VAE:
    mean, covariance = posterior(orthogonal())
    return linear_vae(orthogonal(), mean, covariance.diagonal().log() / 2)


def wrong() -> VAE:
    """An encoder that is off in its mean and too wide: weights that are bounded, so that means of them converge."""
    mean, covariance = posterior(orthogonal())
    return linear_vae(orthogonal(), 0.7 * mean + 0.05, covariance.diagonal().log() / 2 + 0.3)


def test_the_weights_mean_what_they_should(x):
    q, p = ideal().encode(x), ideal().decode(torch.randn(6, CODES).double())
    mean, covariance = posterior(orthogonal())
    torch.testing.assert_close(q.mean, x @ mean.T)
    torch.testing.assert_close(q.log_scale.exp() ** 2, covariance.diagonal().expand(6, -1))
    assert p.mean.shape == (6, DIMS)


@pytest.mark.parametrize("samples", [1, 2, 50])
def test_at_the_exact_posterior_every_draw_gives_log_p(x, samples):
    torch.testing.assert_close(ideal().log_prob_bound(x, samples=samples), exact(x, orthogonal()), rtol=0, atol=1e-8)


@pytest.mark.parametrize("make", [ideal, wrong])
def test_the_elbo_is_log_p_less_the_divergence_from_the_posterior(x, make):
    """log p(x) - ELBO = KL(q || p(z|x)), exactly known; the one-sample estimate has that mean within 4 s.e."""
    n, model = 20_000, make()
    mean, covariance = posterior(orthogonal())
    for item in x[:2]:
        estimates = model.elbo(item.expand(n, -1))
        q = model.encode(item[None])
        gap = torch.distributions.kl_divergence(
            torch.distributions.MultivariateNormal(q.mean[0], torch.diag(q.log_scale[0].exp() ** 2)),
            torch.distributions.MultivariateNormal(mean @ item, covariance),
        )
        expected = exact(item[None], orthogonal()).item() - gap.item()
        assert (gap < 1e-9) == (make is ideal)
        assert estimates.mean().item() == pytest.approx(expected, abs=4 * estimates.std().item() / math.sqrt(n))


def test_bounds_rise_with_the_number_of_draws_and_never_pass_log_p(x):
    """elbo = IW_1 <= IW_5 <= IW_50 <= log p in the mean, each gap a fraction of the one before."""
    n, model, item = 4000, wrong(), x[0]
    truth = exact(item[None], orthogonal()).item()
    bounds = {k: model.log_prob_bound(item.expand(n, -1), samples=k) for k in (1, 5, 50)}
    gaps = {k: truth - bound.mean().item() for k, bound in bounds.items()}
    error = {k: bound.std().item() / math.sqrt(n) for k, bound in bounds.items()}
    assert gaps[1] == pytest.approx(truth - model.elbo(item.expand(n, -1)).mean().item(), abs=6 * error[1])
    assert gaps[1] > gaps[5] + 4 * error[1]
    assert gaps[5] > gaps[50] + 4 * error[5]
    assert gaps[50] > -4 * error[50]
    assert gaps[50] < gaps[1] / 10


def test_many_draws_meet_log_p(x):
    torch.testing.assert_close(wrong().log_prob_bound(x, samples=50_000), exact(x, orthogonal()), rtol=0, atol=0.01)


def test_at_the_exact_posterior_dreg_leaves_the_encoder_alone(x):
    """Every weight is p(x) there, whatever is drawn: an encoder that is right has no noise in its gradient."""
    noise = {}
    for objective in (DReG(5), IWAE(5)):
        model = ideal()
        sum(objective.terms(model, Turn(x)).values()).backward()
        noise[type(objective)] = max(p.grad.abs().max().item() for p in model.encoder.parameters())
    assert noise[DReG] < 1e-6
    assert noise[IWAE] > 1e-2


def test_the_kl_term_is_that_of_two_gaussians(x):
    model = wrong()
    q = model.encode(x)
    expected = 0.5 * (q.mean**2 + torch.exp(2 * q.log_scale) - 1 - 2 * q.log_scale).sum(1).mean()
    torch.testing.assert_close(model.loss(Turn(x))["kl"], expected)
