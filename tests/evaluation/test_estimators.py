"""Where log p(x) is known, every estimator finds it, as far as its own error and effective sample size say."""

import math

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model
from torch import Tensor

import simulacra as sim
from simulacra import registry
from simulacra.data import DataSpec
from simulacra.distributions import DiagonalGaussian
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation import estimators
from simulacra.evaluation.estimators import (
    LogMean,
    annealed_importance_sampling,
    choose,
    evidence_lower_bound,
    importance_weighted,
    prior_monte_carlo,
)
from simulacra.feed import feed
from simulacra.fields import Levels, Real
from simulacra.latent import bound
from simulacra.latent.bound import LatentVariable

DIMS, CODES = 5, 2


class LinearGaussian(LatentVariable):
    """z ~ N(0, I), x ~ N(W z, σ² I), so that p(x) = N(0, W Wᵀ + σ² I); q is the posterior, `off` by so much."""

    def __init__(self, off: float = 0.0, sigma: float = 0.6) -> None:
        super().__init__(DataSpec(Real((DIMS,))))
        directions = torch.linalg.qr(torch.randn(DIMS, CODES, generator=torch.Generator().manual_seed(1)).double())[0]
        self.register_buffer("weights", directions * torch.tensor([1.5, 0.5], dtype=torch.float64))
        self.off, self.sigma = off, sigma

    def phases(self):
        return []

    def encode(self, x, condition=None):
        precision = 1 + self.weights.square().sum(0) / self.sigma**2
        mean = x @ self.weights / self.sigma**2 / precision
        return DiagonalGaussian((1 - self.off) * mean, (self.off - precision.log() / 2).expand_as(mean))

    def prior(self, n, condition=None):
        return DiagonalGaussian.standard(n, CODES, like=self.weights)

    def decode(self, z, condition=None):
        mean = z @ self.weights.T
        return DiagonalGaussian(mean, torch.full_like(mean, math.log(self.sigma)))

    def exact(self, x: Tensor) -> Tensor:
        covariance = self.weights @ self.weights.T + self.sigma**2 * torch.eye(DIMS, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(torch.zeros(DIMS).double(), covariance).log_prob(x)


@pytest.fixture
def x() -> Tensor:
    return torch.randn(8, DIMS).double()


def test_the_elbo_rises_with_draws_to_log_p_and_meets_it(x):
    """ELBO <= IW_k <= log p in the mean, rising in k; within 1e-4 nats of log p at k = 5000 where q is good."""
    model, truth = LinearGaussian(off=0.3), LinearGaussian().exact(x[:1])
    many = x[:1].expand(2000, -1)
    means = {1: evidence_lower_bound(model, many).log_prob.mean()}
    means |= {k: importance_weighted(model, many, samples=k).log_prob.mean() for k in (2, 5, 50)}
    values = [float(value) for value in means.values()]
    assert values == sorted(values)
    assert truth - 0.01 < values[-1] < truth + 0.005
    good = LinearGaussian(off=0.001)
    close = importance_weighted(good, x, samples=5000)
    torch.testing.assert_close(close.log_prob, good.exact(x), rtol=0, atol=1e-4)


def test_at_the_exact_posterior_all_draws_count_alike(x):
    found = importance_weighted(LinearGaussian(), x, samples=50)
    torch.testing.assert_close(found.log_prob, LinearGaussian().exact(x), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.effective_sample_size, torch.full((8,), 50.0).double())
    assert found.standard_error.max() < 1e-6


def test_annealing_is_within_three_standard_errors(x):
    model = LinearGaussian()
    found = annealed_importance_sampling(model, x, chains=100, temperatures=60)
    assert (found.method, found.samples) == ("ais", 100)
    assert ((found.log_prob - model.exact(x)).abs() < 3 * found.standard_error).all()
    assert (found.standard_error < 0.15).all()


def test_annealing_is_unbiased_however_few_the_temperatures(x):
    """E[w] = p(x) holds for T = 2 too, because the chains that count do not choose their own step sizes."""
    model, many = LinearGaussian(sigma=1.0), x[:1].expand(500, -1)
    found = annealed_importance_sampling(model, many, chains=40, temperatures=2)
    ratio = torch.exp(found.log_prob - model.exact(many))
    assert ratio.mean() == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(500))
    assert ratio.std() > 0.01


def test_more_temperatures_leave_less_error(x):
    coarse, fine = (
        annealed_importance_sampling(LinearGaussian(sigma=0.2), x, chains=30, temperatures=t) for t in (4, 40)
    )
    assert fine.effective_sample_size.median() > 2 * coarse.effective_sample_size.median()


def test_the_prior_is_unbiased_and_shown_to_be_hopeless():
    """Where the posterior is narrow, hardly any of a thousand draws counts, and of the encoder's most do."""
    model = LinearGaussian(sigma=0.6)
    many = torch.randn(1, DIMS).double().expand(2000, -1)
    ratio = torch.exp(prior_monte_carlo(model, many, samples=20).log_prob - model.exact(many))
    assert ratio.mean() == pytest.approx(1, abs=4 * float(ratio.std()) / math.sqrt(2000))
    sharp = LinearGaussian(off=0.01, sigma=0.05)
    item = sharp.decode(torch.tensor([[1.5, -1.0]]).double()).mean
    blind, aimed = prior_monte_carlo(sharp, item, samples=1000), importance_weighted(sharp, item, samples=1000)
    assert blind.effective_sample_size < 20 < 500 < aimed.effective_sample_size
    assert blind.standard_error > 5 * aimed.standard_error


@pytest.mark.parametrize(
    "estimate",
    [
        lambda model, x: importance_weighted(model, x, samples=200),
        lambda model, x: prior_monte_carlo(model, x, samples=200),
        lambda model, x: annealed_importance_sampling(model, x, chains=20, temperatures=20),
    ],
    ids=["importance", "prior", "ais"],
)
def test_the_standard_error_is_honest(x, estimate):
    """Over 300 repetitions log p lies within two of them 95 % of the time, give or take what first order leaves out."""
    model, many = LinearGaussian(off=0.3, sigma=1.0), x[:1].expand(300, -1)
    found = estimate(model, many)
    error = (found.log_prob - model.exact(many)).abs() / found.standard_error
    assert 0.88 < (error < 2).double().mean() < 0.99
    assert 0.5 < (error < 1).double().mean() < 0.8


def test_the_error_of_an_elbo_is_that_of_a_mean(x):
    model = LinearGaussian(off=0.3)
    torch.manual_seed(3)
    found = evidence_lower_bound(model, x, samples=7)
    torch.manual_seed(3)
    drawn = torch.stack([model.elbo(x) for _ in range(7)])
    torch.testing.assert_close(found.log_prob, drawn.mean(0))
    torch.testing.assert_close(found.standard_error, drawn.std(0) / math.sqrt(7))
    assert found.effective_sample_size.isnan().all()


def test_error_and_effective_sample_size_are_their_definitions_however_the_draws_come():
    log_w = 3 * torch.randn(60, 4).double() - 700  # of which exp is zero in float32
    w = torch.exp(log_w + 700)
    for sizes in ([60], [1] * 60, [7, 50, 3]):
        mean = LogMean(4)
        for part in log_w.split(sizes):
            mean.add(part)
        found = mean.estimate("importance")
        torch.testing.assert_close(found.log_prob, w.mean(0).log() - 700)
        torch.testing.assert_close(found.effective_sample_size, w.sum(0) ** 2 / w.square().sum(0))
        torch.testing.assert_close(found.standard_error, w.std(0) / w.mean(0) / math.sqrt(60))


def limit_decoding(monkeypatch, at_once: int) -> None:
    monkeypatch.setattr(estimators, "AT_ONCE", at_once)
    monkeypatch.setattr(bound, "CHUNK", at_once)


@pytest.mark.parametrize("estimate", [importance_weighted, prior_monte_carlo])
def test_how_many_are_decoded_at_once_changes_nothing(x, estimate, monkeypatch):
    """Neither the figure nor, with more draws, the size of the largest batch."""
    model, sizes = LinearGaussian(off=0.3), []
    decode = model.decode
    model.decode = lambda z, condition=None: sizes.append(len(z)) or decode(z)
    found = []
    for at_once in (8, 40, 4000):
        limit_decoding(monkeypatch, at_once)
        torch.manual_seed(5)
        found.append(estimate(model, x, samples=100))
    for other in found[1:]:
        torch.testing.assert_close(other.log_prob, found[0].log_prob, rtol=1e-12, atol=0)
    limit_decoding(monkeypatch, 40)
    sizes.clear()
    estimate(model, x, samples=1001)
    assert max(sizes) == 40


def fitted(spec: DataSpec = SPECS["grey"], **arguments):
    """With an encoder that knows little more than the prior, and so misses nothing."""
    model = randomise(
        registry.build("vae", spec, latent=2, network="dense:hidden=8", **({"prior": "gaussian"} | arguments)), 0.2
    ).eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(0.3)
    return model


@pytest.mark.parametrize("estimator", ["importance", "prior", "ais"])
def test_estimators_agree_about_a_network(estimator):
    """In two dimensions the prior is good enough; conditions reach the decoder."""
    model, data = fitted(SPECS["binary-labelled"]), dataset(SPECS["binary-labelled"], (4, 4, 6))
    options = {"samples": 30, "temperatures": 30} if estimator == "ais" else {"samples": 3000}
    found = sim.score(model, data, estimator=estimator, **options)
    reference = sim.score(model, data, samples=3000, estimator="prior", seed=1)
    assert (found.kind, found.estimator, found.samples) == ("bound", estimator, options["samples"])
    error = math.hypot(found.monte_carlo_error, reference.monte_carlo_error)
    assert abs(found.nats - reference.nats) < 4 * error < 0.1
    assert 1 <= found.effective_sample_size <= found.samples


@pytest.mark.parametrize("estimator", ["elbo", "importance", "prior", "ais"])
def test_a_picture_as_the_condition_reaches_every_estimator(estimator):
    """Each item under its own, in all copies of the batch: under the picture of another item the figures differ."""
    spec = DataSpec(Levels((1, 4, 4), 2))
    model, data = fitted(spec.conditioned_on(("down:factor=2",))), dataset(spec, (4, 4, 6))
    options = {"elbo": {"samples": 500}, "ais": {"samples": 30, "temperatures": 30}}.get(estimator, {"samples": 3000})
    found = sim.score(model, data, estimator=estimator, **options).per_item
    x, condition = feed(data.test, np.arange(6), model.spec, model.device)
    exact = torch.cat([-prior_monte_carlo(model, x[i : i + 1], condition.rows([i]), 5000).log_prob for i in range(6)])
    bound = 0.1 if estimator == "elbo" else 0.0
    assert (np.abs(found - exact.numpy()) < 0.1 + bound).all()
    others = condition.rows(torch.arange(5, -1, -1))
    wrong = choose(estimator, **options)(model, x, others).log_prob.numpy()
    assert np.abs(-wrong - exact.numpy()).max() > 0.5


def test_a_score_says_how_it_was_made():
    model, data = fitted(), dataset(SPECS["grey"])
    plain, weighted = sim.score(model, data), sim.score(model, data, samples=5)
    assert (plain.estimator, plain.samples, plain.monte_carlo_error, plain.effective_sample_size) == (
        "elbo", 1, None, None
    )  # fmt: skip
    assert (weighted.estimator, weighted.samples) == ("importance", 5)
    assert sim.score(model, data, estimator="elbo", samples=20).monte_carlo_error > 0
    assert sim.score(model, data, estimator="prior").samples == 1000
    chain = small_model(registry.find("made"), SPECS["grey"])
    exact = sim.score(chain, data)
    assert (exact.estimator, exact.monte_carlo_error, exact.effective_sample_size) == (None, None, None)


def test_what_cannot_be_estimated_is_refused():
    data = dataset(SPECS["grey"])
    for estimator in ("elbo", "importance", "prior", "ais"):
        with pytest.raises(UsageError, match="samples >= 1, not 0"):
            sim.score(fitted(), data, samples=0, estimator=estimator)
    with pytest.raises(UsageError, match="Did you mean 'importance'"):
        sim.score(fitted(), data, estimator="importence")
    with pytest.raises(UsageError, match="temperatures >= 1, not 0"):
        sim.score(fitted(), data, estimator="ais", temperatures=0)
    with pytest.raises(UsageError, match="'prior' has no temperatures"):
        sim.score(fitted(), data, estimator="prior", temperatures=10)
    with pytest.raises(UsageError, match="exact, so there is nothing to estimate"):
        sim.score(small_model(registry.find("made"), SPECS["grey"]), data, estimator="ais")
    with pytest.raises(NotSupported, match="codes of this model are discrete"):
        sim.score(fitted(prior="bernoulli"), data, estimator="ais", temperatures=2)
    with pytest.raises(NotSupported, match="codes of this model are discrete"):
        sim.score(small_model(registry.find("vqvae"), SPECS["grey"]), data, estimator="ais", temperatures=2)
    gan = small_model(registry.find("dcgan"), SPECS["grey"])
    with pytest.raises(NotSupported, match="made has no decoder"):
        prior_monte_carlo(small_model(registry.find("made"), SPECS["grey"]), torch.from_numpy(data.test.x), samples=2)
    with pytest.raises(NotSupported, match=r"no p\(x\|z\)"):
        prior_monte_carlo(gan, torch.from_numpy(data.test.x), samples=2)
    with pytest.raises(NotSupported, match="no encoder"):
        importance_weighted(gan, torch.from_numpy(data.test.x), samples=2)


def test_estimating_leaves_the_model_as_it_was():
    model = fitted().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    annealed_importance_sampling(model, torch.from_numpy(dataset(SPECS["grey"]).test.x), chains=2, temperatures=2)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
