"""Codes: closed KLs are what draws say, relaxed draws come to the true ones, mixtures are their sums."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.distributions import (
    BinaryCode,
    DiagonalGaussian,
    DiscretisedContinuousBernoulli,
    GaussianMixture,
    Laplace,
    OneHotCode,
    kl_divergence,
    kl_each,
)

N, D, DRAWS = 3, 4, 40_000


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PAIRS = {
    "gaussian": (DiagonalGaussian(numbers(N, D), numbers(N, D, seed=1) / 2), DiagonalGaussian(*numbers(2, N, D) / 3)),
    "laplace": (Laplace(numbers(N, D), numbers(N, D, seed=1) / 2), Laplace(*numbers(2, N, D) / 3)),
    "binary": (BinaryCode(numbers(N, D)), BinaryCode(numbers(N, D, seed=1))),
    "one-hot": (OneHotCode(numbers(N, D, 5)), OneHotCode(numbers(N, D, 5, seed=1))),
}
every_pair = pytest.mark.parametrize(("q", "p"), PAIRS.values(), ids=PAIRS)


@every_pair
def test_the_closed_kl_is_the_mean_of_log_q_less_log_p(q, p):
    torch.manual_seed(0)
    many, other = q.repeat(DRAWS), p.repeat(DRAWS)
    z = many.sample()
    gaps = (many.log_prob(z) - other.log_prob(z)).view(DRAWS, N)
    error = gaps.std(0) / math.sqrt(DRAWS)
    assert ((gaps.mean(0) - kl_divergence(q, p, z[:N])).abs() < 4 * error).all()
    each = kl_each(q, p)
    assert each.shape == (N, D)
    assert (each >= 0).all()
    torch.testing.assert_close(kl_each(q, q), torch.zeros_like(each), rtol=0, atol=1e-12)


def test_a_mixture_has_no_closed_kl_and_its_estimate_is_right_on_average():
    q = DiagonalGaussian(numbers(1, D), numbers(1, D, seed=1))
    same = GaussianMixture(1, torch.zeros(1).double(), q.mean, q.log_scale)
    assert kl_each(q, same) is None
    assert kl_divergence(q, same, q.sample()).item() == pytest.approx(0, abs=1e-9)  # one component: one Gaussian


def test_a_mixture_is_the_sum_of_its_components():
    weights, means, log_scales, z = numbers(6), numbers(6, D, seed=1), numbers(6, D, seed=2), numbers(9, D, seed=3)
    each = torch.stack([DiagonalGaussian(means[[k] * 9], log_scales[[k] * 9]).log_prob(z) for k in range(6)])
    expected = torch.logsumexp(weights.log_softmax(0)[:, None] + each, 0)
    torch.testing.assert_close(GaussianMixture(9, weights, means, log_scales).log_prob(z), expected)


def test_a_mixture_keeps_its_digits_in_single_precision():
    """Narrow components far out: z²/σ² is a million, and the answer a handful of nats."""
    means, log_scales = torch.full((2, D), 3.0), torch.full((2, D), math.log(0.01))
    z = means[:1] + 0.01
    exact = GaussianMixture(1, torch.zeros(2).double(), means.double(), log_scales.double()).log_prob(z.double())
    single = GaussianMixture(1, torch.zeros(2), means, log_scales).log_prob(z)
    assert single.item() == pytest.approx(exact.item(), abs=1e-4)


def test_draws_of_a_mixture_follow_its_weights_and_scales():
    weights, means = torch.tensor([0.2, 0.8]).log().double(), torch.tensor([[-4.0], [4.0]]).double()
    mixture = GaussianMixture(20_000, weights, means, torch.tensor([[-1.0], [0.0]]).double())
    z = mixture.sample(torch.Generator().manual_seed(0))[:, 0]
    assert (z > 0).double().mean().item() == pytest.approx(0.8, abs=0.012)
    assert z[z > 0].std().item() == pytest.approx(1, abs=0.03)
    assert z[z < 0].std().item() == pytest.approx(math.exp(-1), abs=0.02)


@pytest.mark.parametrize("kind", ["binary", "one-hot"])
def test_codes_are_drawn_as_often_as_their_masses_say(kind):
    q = PAIRS[kind][0]
    z = q.repeat(DRAWS).sample()
    assert set(z.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(z.view(DRAWS, *q.mean.shape).mean(0), q.mean, rtol=0, atol=0.012)


@pytest.mark.parametrize("kind", ["binary", "one-hot"])
def test_masses_of_all_codes_sum_to_one(kind):
    if kind == "binary":
        q = BinaryCode(numbers(1, 3))
        codes = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
        q = q.repeat(len(codes))
    else:
        q = OneHotCode(numbers(1, 2, 3))
        places = torch.tensor(list(itertools.product(range(3), repeat=2)))
        codes, q = F.one_hot(places, 3).double(), q.repeat(len(places))
    assert q.log_prob(codes).exp().sum().item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("kind", ["binary", "one-hot"])
def test_relaxed_draws_become_true_ones_and_have_gradients(kind):
    logits = numbers(N, D, 5) if kind == "one-hot" else numbers(N, D)
    make = OneHotCode if kind == "one-hot" else BinaryCode
    torch.manual_seed(0)
    sharp = make(logits.repeat(4000, *[1] * (logits.dim() - 1)), relaxation=1e-4).reparameterised()
    assert ((sharp < 1e-3) | (sharp > 1 - 1e-3)).double().mean() > 0.995
    mean = sharp.view(4000, *logits.shape).mean(0)
    torch.testing.assert_close(mean, make(logits).mean, rtol=0, atol=0.04)
    soft = make(logits.requires_grad_(), relaxation=0.5).reparameterised()
    (gradient,) = torch.autograd.grad(soft.square().sum(), logits)
    assert (gradient.abs() > 0).double().mean() > 0.9


def test_quantiles_of_gaussian_and_laplace_are_their_draws():
    u = torch.linspace(1e-6, 1 - 1e-6, 200_001, dtype=torch.float64)[:, None]
    for make, deviation in ((DiagonalGaussian, 1.0), (Laplace, math.sqrt(2))):
        z = make(torch.full_like(u, 2.0), torch.full_like(u, math.log(0.5))).quantile(u)
        assert z.mean().item() == pytest.approx(2, abs=1e-6)
        assert z.std().item() == pytest.approx(0.5 * deviation, rel=0.02)
        half = make(torch.full_like(u, 2.0), torch.full_like(u, math.log(0.5))).quantile(u, 0.5)
        torch.testing.assert_close(half - 2, (z - 2) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_laplace_draw_is_finite_for_the_noise_zero_too(dtype, monkeypatch):
    """One number in 2^24 of a uniform draw is 0; it comes before the next one, and not at minus infinity."""
    p = Laplace(torch.zeros(1, 2, dtype=dtype), torch.zeros(1, 2, dtype=dtype))
    noise = torch.tensor([[0.0, torch.finfo(dtype).eps / 2]], dtype=dtype)
    monkeypatch.setattr(torch, "rand", lambda *shape, **options: noise)
    z = p.sample()
    assert z.isfinite().all()
    assert z[0, 0] < z[0, 1] < 0


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_slope_of_the_continuous_bernoulli_is_level_less_mean_where_it_is_flat_too(levels):
    logits = torch.tensor([[-1e-4, 0.0, 1e-4]], dtype=torch.float64, requires_grad=True)
    p = DiscretisedContinuousBernoulli(logits, levels)
    (slope,) = torch.autograd.grad(p.log_each(torch.ones(1, 3)).sum(), logits)
    torch.testing.assert_close(slope, (1 - p.mean.detach()) / levels, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("logit", [0.0, 1e-4, 9.9e-4, 1.01e-3, 0.7, -3.0, 60.0, -500.0, 1e6])
def test_the_continuous_bernoulli_is_the_integral_of_its_density_over_each_bin(levels, logit):
    p = DiscretisedContinuousBernoulli(torch.full((levels,), logit, dtype=torch.float64)[None], levels)
    log_masses = p.log_each(torch.arange(levels)[None])[0]
    assert log_masses.exp().sum().item() == pytest.approx(1, abs=1e-9)
    torch.testing.assert_close(log_masses, p.log_masses()[0, 0], rtol=1e-9, atol=1e-9)
    if 0 < abs(logit) < 100:  # F(x) = (e^{λx} - 1) / (e^λ - 1)
        edges = torch.arange(levels + 1, dtype=torch.float64) / levels
        integral = torch.special.expm1(logit * edges).diff() / math.expm1(logit)
        torch.testing.assert_close(log_masses.exp(), integral, rtol=1e-6, atol=1e-12)
