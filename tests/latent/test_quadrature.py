"""Codes of one or two numbers can be integrated out: then p(x) adds up to one, and the bounds lie below log p(x)."""

import math

import pytest
import torch
from small import all_items, labels, randomise
from torch import Tensor

from simulacra.data import DataSpec
from simulacra.fields import Levels
from simulacra.latent import VAE
from simulacra.networks import Dense

BINARY, TERNARY = DataSpec(Levels((1, 3, 2), 2)), DataSpec(Levels((1, 1, 3), 3))


def quadrature(latent: int) -> tuple[Tensor, Tensor]:
    """Points (P, latent) and the logarithms of their weights under N(0, I), by the rule of trapezoids."""
    side = torch.linspace(-8, 8, 4001 if latent == 1 else 161, dtype=torch.float64)
    points = torch.cartesian_prod(*[side] * latent).view(-1, latent)
    log_density = (-0.5 * points**2 - 0.5 * math.log(2 * math.pi)).sum(1)
    return points, log_density + latent * math.log((side[1] - side[0]).item())


@torch.no_grad()
def log_p(model: VAE, x: Tensor, condition=None) -> Tensor:
    """log ∫ p(x|z) p(z) dz for each item, (N,)"""
    z, log_weight = quadrature(model.latent)
    p = model.decode(z, condition)
    return torch.stack([torch.logsumexp(p.log_prob(item.expand(len(z), *item.shape)) + log_weight, 0) for item in x])


def model(spec: DataSpec, latent: int = 1, likelihood: str | None = None, scale: float = 0.7) -> VAE:
    made = VAE(spec, latent=latent, network=Dense(hidden=12), likelihood=likelihood)
    return randomise(made.double().eval(), scale)


@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize(
    ("spec", "likelihood"),
    [
        (BINARY, "bernoulli"),
        (BINARY, "categorical"),
        (TERNARY, "categorical"),
        (TERNARY, "gaussian"),
        (TERNARY, "logistic-mixture"),
    ],
)
def test_probabilities_of_all_items_add_up_to_one(spec, likelihood, latent):
    log_probs = log_p(model(spec, latent, likelihood), all_items(spec))
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert log_probs.std() > 0.1


def test_given_each_label_they_add_up_to_one():
    spec = DataSpec(Levels((1, 2, 2), 2), labels(3))
    vae = model(spec)
    totals = [log_p(vae, all_items(spec), {"label": label}) for label in range(3)]
    assert all(total.exp().sum().item() == pytest.approx(1, abs=1e-9) for total in totals)
    assert (totals[0] - totals[1]).abs().max() > 0.01


@pytest.mark.parametrize("latent", [1, 2])
def test_elbo_then_weighted_bound_then_log_p(latent):
    """In the mean over 4,000 estimates, for eight images; the gap closes as draws are added."""
    vae, n = model(BINARY, latent), 4000
    for item in all_items(BINARY)[::8]:
        many = item.expand(n, *item.shape)
        with torch.no_grad():
            truth = log_p(vae, item[None]).item()
            bounds = [vae.elbo(many)] + [vae.log_prob_bound(many, samples=k) for k in (4, 32)]
        means = [bound.mean().item() for bound in bounds]
        errors = [bound.std().item() / math.sqrt(n) for bound in bounds]
        assert means[0] < means[1] + 4 * errors[0]
        assert means[1] < means[2] + 4 * errors[1]
        assert means[2] < truth + 4 * errors[2]
        assert truth - means[2] < 0.5 * (truth - means[0])


def test_ten_thousand_draws_meet_log_p():
    vae, x = model(BINARY), all_items(BINARY)[::16]
    with torch.no_grad():
        for parameter in vae.encoder.parameters():
            parameter.mul_(0.1)  # q(z|x) is nearly the prior: wide enough for its weights to have a variance
        bound = vae.log_prob_bound(x, samples=10_000)
    torch.testing.assert_close(bound, log_p(vae, x), rtol=0, atol=0.05)


def test_draws_are_as_frequent_as_the_integral_says():
    """20,000 draws of 64 images against p(x): chi square, 63 degrees of freedom, p = 0.0001."""
    vae, n = model(BINARY, scale=0.4), 20_000
    drawn = vae.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long()
    counts = torch.bincount(drawn @ (2 ** torch.arange(5, -1, -1)), minlength=64)
    expected = n * log_p(vae, all_items(BINARY)).exp()
    assert expected.min() > 5
    assert ((counts - expected) ** 2 / expected).sum() < 113.5
