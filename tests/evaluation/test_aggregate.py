"""The codes of all items together against the prior: closed forms, and models whose codes a test has made."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli.health import lines
from simulacra.distributions import DiagonalGaussian
from simulacra.evaluation import aggregate as module
from simulacra.evaluation.aggregate import aggregate
from simulacra.latent import VAE

DATA = dataset(SPECS["grey"], (30, 20, 400))
EVERY = np.arange(400)


def shifted(mean: float, scale: float, latent: int = 3, prior: str = "gaussian") -> VAE:
    """A VAE whose q(z) is N(mean, scale²) for these items: what q(z|x) leaves over is put into its mean."""
    torch.manual_seed(0)
    model = VAE(SPECS["grey"], latent=latent, network="dense:hidden=8", prior=prior).eval()
    state = torch.Generator().manual_seed(1)

    def encode(x, condition=None):
        means = mean + 0.8 * scale * torch.randn(len(x), latent, generator=state)
        return DiagonalGaussian(means, torch.full_like(means, 0.6 * scale).log())

    model.encode = encode
    return model


def closed_form(mean: float, scale: float, d: int) -> float:
    return d * (scale**2 + mean**2 - 1 - 2 * np.log(scale)) / 2


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 0.5), (1.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("alone", [False, True])
def test_the_gap_is_the_kl_of_the_moments(mean, scale, alone, monkeypatch):
    monkeypatch.setattr(module, "ITEMS_PER_MOMENT", 1000 if alone else 10)
    found = aggregate(shifted(mean, scale), DATA.test, EVERY, 0)
    assert ("each alone" in found.how) == alone
    assert found.gap == pytest.approx(closed_form(mean, scale, 3) + found.floor, rel=0.25)
    assert found.low < found.gap < found.high
    assert found.differs
    np.testing.assert_allclose(found.ratio, scale**2, rtol=0.3)
    np.testing.assert_allclose(found.offset, mean, atol=0.2)


def test_codes_like_the_prior_score_the_floor():
    gaps = [aggregate(shifted(0.0, 1.0), DATA.test, EVERY, seed) for seed in range(8)]
    assert np.mean([found.gap for found in gaps]) == pytest.approx(np.mean([found.floor for found in gaps]), rel=0.3)
    assert not any(found.differs for found in gaps)


@pytest.mark.parametrize("prior", ["bernoulli", "categorical"])
def test_of_discrete_codes_it_is_the_kl_of_the_shares(prior):
    torch.manual_seed(0)
    model = randomise(VAE(SPECS["grey"], latent=4, network="dense:hidden=8", prior=prior), 0.6).eval()
    found = aggregate(model, DATA.test, EVERY, 0)
    assert "shares" in found.how
    assert 0 < found.floor < 0.1
    assert found.gap > 5 * found.floor


@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (0.5, 0.7)])
def test_an_interval_of_the_gap_covers_its_mean_at_the_floor_and_far_from_it(mean, scale):
    """More than 95 % of so few items: halves of 30 vary beyond the second order, by the inverse of a covariance."""
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        z, w = rng.normal(mean, scale, size=(60, 2)), rng.normal(size=(60, 2))
        spread = module.intervals.spread(lambda rows, z=z, w=w: module._of_covariances(z, w, rows, rows), 60, rng)
        found.append((spread.distance, *module.intervals.of_distance(spread.distance, spread)))
    values, low, high = np.array(found).T
    assert 0.935 < ((low < values.mean()) & (values.mean() < high)).mean() < 0.995


def test_health_says_where_samples_start_and_what_to_do():
    apart = sim.health(shifted(0.0, 0.5), DATA).findings["aggregate_gap"]
    assert "differ from the prior" in apart.advice
    assert "samples start from codes that items do not have" in apart.advice
    assert "fit longer, or weigh the KL more (--objective elbo:beta=2), or let the prior learn" in apart.advice
    assert apart.each == pytest.approx([0.25] * 3, rel=0.3)
    assert "about like the prior" in sim.health(shifted(0.0, 1.0), DATA).findings["aggregate_gap"].advice
    other = sim.health(shifted(0.0, 0.5, prior="mixture"), DATA).findings["aggregate_gap"]
    assert "--prior" not in other.advice


def test_evaluate_measures_it_of_what_has_an_encoder_and_a_prior():
    measure = sim.evaluate(shifted(0.0, 0.5), DATA)["aggregate_gap"]
    assert measure.floor < measure.low < measure.value < measure.high
    assert "400 of 400 test items" in measure.protocol
    assert "aggregate_gap" in sim.evaluate(small_model(registry.find("wae-mmd"), SPECS["grey"]), DATA)
    for name in ("vqvae", "dcgan", "autoencoder"):  # codes of a codebook, no encoder, no prior
        assert "aggregate_gap" not in sim.evaluate(small_model(registry.find(name), SPECS["grey"]), DATA), name


def test_of_few_items_it_says_what_they_show():
    """By a note in the record of `health` and of `evaluate`, and not where there are enough."""
    model, few = shifted(0.0, 0.5), dataset(SPECS["grey"], (60, 20, 40))
    found = sim.health(model, few).findings["aggregate_gap"]
    assert "40 items are few for codes of 3 numbers: draws of the prior alone are 0." in found.warning
    assert "    note: 40 items are few" in "\n".join(lines(sim.health(model, few)))
    record = sim.evaluate(model, few).to_json()["aggregate_gap"]
    assert "the interval reaches from" in record["warning"]
    assert sim.health(model, DATA).findings["aggregate_gap"].warning is None
    assert sim.evaluate(model, DATA)["aggregate_gap"].warning is None


def test_enough_items_may_be_few_for_their_dimensions(monkeypatch):
    found = aggregate(shifted(0.0, 0.5), DATA.test, EVERY, 0)
    monkeypatch.setattr(module, "VISIBLE", found.floor / 4)
    assert "400 items are few" in found.warning
