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


def quadrature(model: VAE) -> tuple[Tensor, Tensor]:
    """Points (P, latent) and the logarithms of their weights under the prior, by the rule of trapezoids."""
    prior = model.prior(1)
    side = torch.linspace(-8, 8, 4001 if model.latent == 1 else 161, dtype=torch.float64)
    sides = [mean + deviation * side for mean, deviation in zip(prior.mean[0], prior.deviations[0], strict=True)]
    points = torch.cartesian_prod(*sides).view(-1, model.latent)
    return points, model.prior(len(points)).log_prob(points) + sum((own[1] - own[0]).log() for own in sides)


@torch.no_grad()
def log_p(model: VAE, x: Tensor, condition=None) -> Tensor:
    """log ∫ p(x|z) p(z) dz for each item, (N,)"""
    z, log_weight = quadrature(model)
    p = model.decode(z, condition)
    return torch.stack([torch.logsumexp(p.log_prob(item.expand(len(z), *item.shape)) + log_weight, 0) for item in x])


def model(
    spec: DataSpec, latent: int = 1, likelihood: str | None = None, prior: str = "gaussian", scale: float = 0.7
) -> VAE:
    made = VAE(spec, latent=latent, network=Dense(hidden=12), likelihood=likelihood, prior=prior)
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
    for prior in ("gaussian", "learned-gaussian"):
        log_probs = log_p(model(spec, latent, likelihood, prior), all_items(spec))
        assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-9)
        assert log_probs.std() > 0.1


def test_given_each_label_they_add_up_to_one():
    spec = DataSpec(Levels((1, 2, 2), 2), labels(3))
    vae = model(spec)
    totals = [log_p(vae, all_items(spec), {"label": label}) for label in range(3)]
    assert all(total.exp().sum().item() == pytest.approx(1, abs=1e-9) for total in totals)
    assert (totals[0] - totals[1]).abs().max() > 0.01


@pytest.mark.parametrize("prior", ["gaussian", "learned-gaussian"])
@pytest.mark.parametrize("latent", [1, 2])
def test_elbo_then_weighted_bound_then_log_p(latent, prior):
    """In the mean over 4,000 estimates, for eight images; the gap closes as draws are added."""
    vae, n = model(BINARY, latent, prior=prior), 4000
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
        assert truth - means[2] < (0.5 if prior == "gaussian" else 1) * (truth - means[0])


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
