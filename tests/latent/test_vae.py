"""What a VAE promises beyond its mathematics: per-item terms, harmless chunks, likelihoods that fit the data."""

import pytest
import torch
from small import condition_of, items, labels, randomise

from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.distributions import (
    Bernoulli,
    DiagonalGaussian,
    DiscretisedGaussian,
    DiscretisedLogisticMixture,
    kl_each,
)
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, numeric
from simulacra.latent import ELBO, VAE, bound
from simulacra.networks import Dense
from simulacra.turns import Turn

GREY = DataSpec(Levels((1, 4, 3), 17), labels(3))
GREY_ALONE = DataSpec(Levels((1, 4, 3), 17))


def small(spec: DataSpec = GREY, **arguments) -> VAE:
    return randomise(VAE(spec, **({"latent": 2, "network": Dense(hidden=8)} | arguments)).double().eval())


@pytest.fixture
def steady(monkeypatch):
    """Draws from a Gaussian that depend on nothing but its parameters."""
    monkeypatch.setattr(DiagonalGaussian, "sample", lambda self, *_: self.mean + 0.3 * self.log_scale.exp())


def test_terms_of_an_item_do_not_depend_on_its_batch(steady):
    model, x, given = small(), items(GREY, 6), condition_of(GREY, 6)
    together, bound = model.elbo(x, given), model.log_prob_bound(x, given, samples=3)
    for i in range(6):
        one, label = x[i : i + 1], {"label": given["label"][i : i + 1]}
        torch.testing.assert_close(model.elbo(one, label), together[i : i + 1], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(model.log_prob_bound(one, label, 3), bound[i : i + 1], rtol=1e-12, atol=1e-12)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model.elbo(x[order], {"label": given["label"][order]}), together[order])


def test_the_loss_is_the_mean_of_the_items(steady):
    """A batch that is doubled has the same loss, and the loss is minus the mean bound."""
    model, x, given = small(), items(GREY, 6), condition_of(GREY, 6)
    loss = sum(model.loss(Turn(x, Condition(given))).values())
    torch.testing.assert_close(loss, -model.elbo(x, given).mean())
    twice = {"label": given["label"].repeat(2)}
    torch.testing.assert_close(sum(model.loss(Turn(x.repeat(2, 1, 1, 1), Condition(twice))).values()), loss)


@pytest.mark.parametrize("chunk", [1, 8, 17, 24, 4096])
def test_chunks_change_nothing_but_memory(monkeypatch, chunk):
    """8 items of 2 numbers: torch fills 16 numbers at a time, so that the noise is the same in every chunking."""
    model, x, given = small(), items(GREY, 8), condition_of(GREY, 8)
    torch.manual_seed(1)
    whole = model.log_prob_bound(x, given, samples=7)
    decoded = []
    monkeypatch.setattr(bound, "CHUNK", chunk)
    monkeypatch.setattr(model, "decode", lambda z, c: decoded.append(len(z)) or VAE.decode(model, z, c))
    torch.manual_seed(1)
    torch.testing.assert_close(model.log_prob_bound(x, given, samples=7), whole, rtol=1e-12, atol=1e-12)
    assert max(decoded) <= max(chunk, len(x))
    assert sum(decoded) == 7 * len(x)


def test_beta_weighs_the_training_loss_and_no_bound():
    x, given = items(GREY, 8), condition_of(GREY, 8)
    values = {}
    for beta in (0.0, 1.0, 4.0):
        model = small(objective=ELBO(beta))
        torch.manual_seed(2)
        loss = model.loss(Turn(x, Condition(given)))
        torch.manual_seed(2)
        values[beta] = (loss["reconstruction"], loss["kl"], model.elbo(x, given))
    assert values[0.0][1] == 0
    torch.testing.assert_close(values[4.0][1], 4 * values[1.0][1])
    for beta in (0.0, 4.0):
        assert torch.equal(values[beta][0], values[1.0][0])
        assert torch.equal(values[beta][2], values[1.0][2])


def test_the_condition_reaches_encoder_and_decoder():
    model, x = small(), items(GREY, 1)
    means = [model.encode(x, {"label": label}).mean for label in range(3)]
    pictures = [model.decode(torch.zeros(1, 2).double(), {"label": label}).mean for label in range(3)]
    for one, other in ((0, 1), (1, 2)):
        assert (means[one] - means[other]).abs().max() > 1e-3
        assert (pictures[one] - pictures[other]).abs().max() > 1e-3


def test_a_low_temperature_draws_the_mode_of_the_mode():
    cold = small().sample(5, {"label": 1}, temperature=1e-6)
    assert torch.equal(cold, cold[:1].expand_as(cold))
    warm = small().sample(5, {"label": 1})
    assert not torch.equal(warm[0], warm[1])


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic-mixture", "categorical"])
def test_large_weights_end_at_the_clamps_and_not_in_infinity(likelihood):
    """Means in the thousands and log-scales far beyond their clamps, on both sides."""
    model = randomise(VAE(GREY, latent=2, network=Dense(hidden=8), likelihood=likelihood).eval(), 10.0)
    log_prob = model.decode(10 * torch.randn(50, 2), {"label": 0}).log_prob(items(GREY, 50))
    gradients = torch.autograd.grad(log_prob.sum(), list(model.decoder.parameters()))
    assert torch.isfinite(log_prob).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [(2, Bernoulli), (3, DiscretisedLogisticMixture), (256, DiscretisedLogisticMixture), (None, DiagonalGaussian)],
)
def test_without_one_the_likelihood_is_what_suits_the_grid(levels, expected):
    model = VAE(DataSpec(numeric((4,), levels)), latent=2, network=Dense(hidden=4))
    assert type(model.decode(torch.zeros(1, 2))) is expected


def test_gaussian_on_a_grid_is_a_mass():
    assert type(small(likelihood="gaussian").decode(torch.zeros(1, 2).double(), {"label": 0})) is DiscretisedGaussian


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (DataSpec(Levels((4,), 256)), {"likelihood": "bernoulli"}, "binary data, these have 256 levels"),
        (DataSpec(Real((4,))), {"likelihood": "bernoulli"}, "continuous; use 'gaussian'"),
        (DataSpec(Real((4,))), {"likelihood": "logistic-mixture"}, "continuous; use 'gaussian'"),
        (DataSpec(Real((4,))), {"likelihood": "categorical"}, "continuous; use 'gaussian'"),
        (DataSpec(Levels((4,), 17)), {"likelihood": "gausian"}, "Did you mean 'gaussian'"),
        (DataSpec(Levels((4,), 17)), {"likelihood": "berrnoulli"}, "Did you mean 'bernoulli'"),
        (DataSpec(Levels((4,), 17)), {"latent": 0}, "latent cannot be 0"),
        (
            DataSpec(Levels((4,), 17)),
            {"network": "dense:hidden=0"},
            "hidden of network 'dense' must be at least 1",
        ),
        (
            DataSpec(Levels((4,), 17)),
            {"objective": "elbo:beta=-0.5"},
            "beta of objective 'elbo' must be at least 0",
        ),
    ],
)
def test_what_is_no_probability_of_the_data_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        VAE(spec, **arguments)


def test_a_bound_of_no_samples_is_refused():
    with pytest.raises(UsageError, match="at least one sample, not 0"):
        small().log_prob_bound(items(GREY, 1), {"label": 0}, samples=0)


def test_a_learned_prior_comes_to_where_the_codes_are():
    """Training the prior alone, to the codes that an encoder gives: the gap of first two moments closes."""
    torch.manual_seed(0)
    made = randomise(VAE(GREY_ALONE, latent=3, network="dense:hidden=8").eval(), 0.5)
    x = items(GREY_ALONE, 400)
    for parameter in (*made.encoder.parameters(), *made.decoder.parameters()):
        parameter.requires_grad_(False)
    optimiser = torch.optim.Adam(made.codes.parameters(), lr=0.03)
    for _ in range(600):
        optimiser.zero_grad()
        kl_each(made.encode(x), made.prior(len(x))).sum(1).mean().backward()
        optimiser.step()
    codes, prior = made.encode(x).sample(), made.prior(20_000).sample(torch.Generator().manual_seed(0))
    scale = prior.std(0)
    assert ((codes.mean(0) - prior.mean(0)) / scale).abs().max() < 0.2
    assert ((torch.cov(codes.T) - torch.cov(prior.T)) / (scale * scale[:, None])).abs().max() < 0.3
