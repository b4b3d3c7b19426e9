"""What is maximised: values are the bounds they claim to be, gradients are those of these values."""

import itertools
import math
import weakref

import pytest
import torch
from small import items, labels, randomise
from torch import Tensor

from simulacra.data import DataSpec
from simulacra.distributions import kl_each
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.latent import ELBO, IWAE, VAE, DReG
from simulacra.latent.likelihoods import GaussianLikelihood
from simulacra.latent.priors import VampPrior
from simulacra.networks import Conv, Dense
from simulacra.turns import Turn

BINARY = DataSpec(Levels((1, 3, 4), 2))


def small(spec: DataSpec = BINARY, spread: float = 0.4, **arguments) -> VAE:
    return randomise(VAE(spec, **({"latent": 2, "network": Dense(hidden=8)} | arguments)).double(), spread)


def gradients(model: VAE, x: Tensor, seed: int) -> Tensor:
    torch.manual_seed(seed)
    model.zero_grad(set_to_none=True)
    torch.stack(list(model.loss(Turn(x)).values())).sum().backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_the_iwae_loss_is_minus_the_bound_that_is_reported():
    model, x = small(objective=IWAE(draws=7)), items(BINARY, 5)
    torch.manual_seed(3)
    loss = model.loss(Turn(x))["iwae"]
    torch.manual_seed(3)
    assert loss.item() == pytest.approx(-model.log_prob_bound(x, samples=7).mean().item(), abs=1e-12)


def test_dreg_reports_the_same_value_as_iwae():
    x = items(BINARY, 5)
    values = []
    for objective in ("iwae", "dreg"):
        torch.manual_seed(3)
        values.append(small(objective=f"{objective}:draws=6").loss(Turn(x))["iwae"].item())
    assert values[0] == pytest.approx(values[1], abs=1e-12)


def test_dreg_and_iwae_have_the_same_gradient_on_average():
    x = items(BINARY, 1).expand(200, -1, -1, -1)  # many draws at once
    found = {
        name: torch.stack([gradients(small(objective=f"{name}:draws=5"), x, seed) for seed in range(80)])
        for name in ("iwae", "dreg")
    }
    error = torch.sqrt(found["iwae"].var(0) / 80 + found["dreg"].var(0) / 80)
    difference = (found["iwae"].mean(0) - found["dreg"].mean(0)).abs()
    assert (difference < 4 * error + 1e-12).all()
    assert (found["iwae"].mean(0).abs() > 8 * error).any()


def test_the_decoders_dreg_gradient_is_that_of_the_bound_itself():
    x = items(BINARY, 4)
    model, other = small(objective=DReG(draws=5)), small(objective=IWAE(draws=5))
    gradients(model, x, 1), gradients(other, x, 1)
    for mine, theirs in zip(model.decoder.parameters(), other.decoder.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("objective", ["iwae", "dreg"])
def test_a_step_leaves_nothing_behind(objective, monkeypatch):
    """What was drawn is freed with the loss, without waiting for anybody to look for cycles."""
    model, drawn = small(objective=f"{objective}:draws=4"), []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z, given: drawn.append(weakref.ref(z)) or decode(z, given))
    sum(model.loss(Turn(items(BINARY, 5))).values()).backward()
    assert len(drawn) == 1
    assert drawn[0]() is None


def test_free_bits_are_counted_per_coordinate_on_the_mean_of_the_batch():
    x = items(BINARY, 6)
    each = kl_each(small().encode(x), small().prior(6)).mean(0)
    bits = float(each.detach().mean())  # one coordinate below it, one above
    torch.manual_seed(0)
    loss = small(objective=ELBO(free_bits=bits)).loss(Turn(x))
    assert loss["kl"].item() == pytest.approx(each.clamp(min=bits).sum().item(), abs=1e-12)
    assert loss["kl"].item() > each.sum().item()
    torch.manual_seed(0)
    bound = small(objective=ELBO(free_bits=bits)).elbo(x).mean().item()
    torch.manual_seed(0)
    assert bound == pytest.approx(small().elbo(x).mean().item(), abs=1e-12)  # no score knows of them


def test_the_kl_is_warmed_up_by_the_number_of_the_step_alone():
    x, model = items(BINARY, 6), small(objective=ELBO(beta=2.0, warmup=4))
    full = small(objective=ELBO(beta=2.0)).loss(Turn(x))["kl"].item()
    weights = [model.loss(Turn(x, step=step))["kl"].item() / full for step in (5, 4, 3, 2, 1, 0)]
    assert weights == pytest.approx([1, 1, 1, 0.75, 0.5, 0.25])
    weights = [model.loss(Turn(x, step=step))["kl"].item() / full for step in range(6)]
    assert weights == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize(
    "prior",
    ["laplace", "bernoulli", "categorical:categories=3", "mixture:components=3", "vampprior:components=3"],
)
def test_every_prior_has_a_bound_that_rises_to_p(prior):
    """p(x) by brute force: the mean of p(x|z) over very many draws of the prior."""
    spec = DataSpec(Levels((1, 2, 2), 2))
    model, x = small(spec, 0.8, prior=prior).eval(), items(spec, 4)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.encoder.body.last.parameters():
            parameter.mul_(0.1)  # an encoder that is wrong, but not by so much that no draw of it explains the item
        if model.codes.parameters_each == 2:
            model.encoder.body.last.bias[1::2] += 1.0  # and wide: weights with a finite variance
        z = model.prior(100_000).sample()
        p = torch.stack([model.decode(z).log_prob(item.expand(len(z), *item.shape)).exp() for item in x])
        truth, error = p.mean(1).log(), p.std(1) / p.mean(1) / math.sqrt(len(z))
        elbos = model.elbo(x.repeat(4000, 1, 1, 1)).view(4000, 4)
        weights = model.log_weights(x, samples=20_000)
    bounds = {k: torch.logsumexp(weights.view(-1, k, 4), 1) - math.log(k) for k in (1, 2, 20)}
    means = [elbos.mean(0), bounds[1].mean(0), bounds[2].mean(0), bounds[20].mean(0), truth]
    noise = 4 * (elbos.std(0) / math.sqrt(4000) + bounds[1].std(0) / math.sqrt(20_000) + error)
    assert ((means[0] - means[1]).abs() < noise).all()
    assert all((lower < upper + noise).all() for lower, upper in itertools.pairwise(means))
    many = torch.logsumexp(weights, 0) - math.log(len(weights))
    assert ((many - truth).abs() < 5 * error + 0.03).all()
    assert (truth - means[0] > 0.01).any()


def test_a_vampprior_is_the_encoders_answer_to_its_pseudo_inputs():
    model = small(prior=VampPrior(components=3)).eval()
    u = model.codes.pseudo_inputs.tanh()
    q = model.codes.posterior(model.encoder.from_centred(u, {}).unflatten(1, (2, 2)))
    z = torch.randn(5, 2).double()
    each = torch.stack([q[[i] * 5].log_prob(z) for i in range(3)])
    torch.testing.assert_close(model.prior(5).log_prob(z), torch.logsumexp(each, 0) - math.log(3))
    gradient = torch.autograd.grad(model.prior(5).log_prob(z).sum(), model.codes.pseudo_inputs)[0]
    assert (gradient.abs() > 0).all()


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (BINARY, {"objective": "iwea"}, "Did you mean 'iwae'"),
        (
            BINARY,
            {"objective": "iwae:beta=4.0"},
            "objective 'iwae' has no argument 'beta', which elbo has. Known: draws",
        ),
        (BINARY, {"objective": "dreg:warmup=10"}, "objective 'dreg' has no argument 'warmup', which elbo has"),
        (BINARY, {"objective": {"iwae": {"free_bits": 0.1}}}, "objective 'iwae' has no argument 'free_bits'"),
        (BINARY, {"objective": "iwae:draws=1"}, "draws of objective 'iwae' must be at least 2, not 1"),
        (BINARY, {"objective": "elbo:draws=5"}, "objective 'elbo' has no argument 'draws', which iwae, dreg have"),
        (BINARY, {"objective": "dreg", "prior": "bernoulli"}, "only relaxed ones"),
        (BINARY, {"objective": "iwae", "prior": "categorical"}, "only relaxed ones"),
        (BINARY, {"prior": "mixture", "objective": "elbo:free_bits=0.5"}, "one KL for the whole code"),
        (BINARY, {"prior": "vamprior"}, "Did you mean 'vampprior'"),
        (
            BINARY,
            {"prior": "dense"},
            "no prior 'dense': dense is a ",
        ),
        (BINARY, {"prior": "mixture:5"}, "prior 'mixture': '5' is not NAME=VALUE, as in mixture:components=500"),
        (BINARY, {"prior": "mixture:components=-5"}, "components of prior 'mixture' must be at least 1, not -5"),
        (
            BINARY,
            {"likelihood": "logistic-mixture:components=0"},
            "components of likelihood 'logistic-mixture'",
        ),
        (BINARY, {"prior": "gaussian:components=5"}, "'components', which mixture, vampprior have. It takes none"),
        (BINARY, {"prior": "mixture:categories=5"}, "prior 'mixture' has no argument 'categories', which categorical"),
        (BINARY, {"prior": "laplace:relaxation=0.5"}, "prior 'laplace' has no argument 'relaxation'"),
        (BINARY, {"prior": "categorical:categories=0"}, "categories of prior 'categorical' must be at least 1, not 0"),
        (DataSpec(Levels((1, 3, 4), 2), labels(3)), {"prior": "vampprior"}, "which have no label"),
        (BINARY, {"likelihood": "bernoulli:scale=0.1"}, "no argument 'scale', which gaussian has"),
        (BINARY, {"likelihood": "gaussian:scale=-1"}, "scale of likelihood 'gaussian' must be positive, not -1.0"),
        (BINARY, {"likelihood": "gaussian:scale=inf"}, "scale of likelihood 'gaussian' must be finite, not inf"),
        (BINARY, {"likelihood": "gaussian:scale=1e-5"}, "must be 0.0009 to 148, not 1e-05"),
        (BINARY, {"network": "conv"}, "for images from 7×7 up"),
        (DataSpec(Levels((12,), 2)), {"network": "conv"}, "for images from 7×7 up"),
        (BINARY, {"network": "dens"}, "no network 'dens'. Did you mean 'dense'"),
        (BINARY, {"objective": "elbo:warmup=-1"}, "warmup of objective 'elbo' must be at least 0, not -1"),
    ],
)
def test_combinations_that_make_no_sense_are_refused_with_the_reason(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        small(spec, **arguments)


def test_a_fixed_gaussian_is_squared_error_and_a_constant():
    """For continuous data: -log p(x|z) = |x - mean|² / 2σ² + D log(σ √2π)."""
    spec, sigma = DataSpec(Real((5,))), 0.3
    x, p = torch.randn(4, 5).double(), small(spec, likelihood=GaussianLikelihood(sigma)).decode(torch.randn(4, 2))
    expected = (x - p.mean).square().sum(1) / (2 * sigma**2) + 5 * math.log(sigma * math.sqrt(2 * math.pi))
    torch.testing.assert_close(-p.log_prob(x), expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 12), (1, 28, 28), (2, 7, 15)])
def test_conv_networks_see_and_paint_every_pixel_of_any_size(shape):
    model = VAE(DataSpec(Levels(shape, 4)), latent=3, network=Conv(width=4)).double().eval()
    x = torch.rand(1, *shape).double().requires_grad_()
    (seen,) = torch.autograd.grad(model.encoder.from_centred(x, {}).square().sum(), x)
    assert (seen != 0).double().mean() > 0.7  # some units are off
    raw = model.decoder(torch.randn(2, 3).double(), {})
    assert raw.shape == (2, *shape, model.likelihood.parameters)
    assert (raw[0] != raw[1]).all()
