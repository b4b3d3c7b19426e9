"""The figures of a game: scores that are known, gradients against autograd, and what looking leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SPECS, dataset, same, small_model, suited, weights

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.capabilities import Adversarial, can
from simulacra.exploration.health.state import above, gauges, gradient_norms, looked_into, players_of, scores_of
from simulacra.feed import feed
from simulacra.model import Model
from simulacra.randomness import seed_everything
from simulacra.turns import Turn

DATA = dataset(SPECS["grey"], (40, 30, 30))
EVERY = np.arange(30)


def gan(name: str = "gan") -> Model:
    return small_model(registry.find(name), SPECS["grey"])


def test_the_share_of_pairs():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0])
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert above(a, b).value == pytest.approx(np.mean(pairs))
    assert above(b, a).value == pytest.approx(1 - np.mean(pairs))


def test_its_interval_covers_one_half_of_equal_distributions():
    rng = np.random.default_rng(0)
    shares = [above(rng.normal(size=60), rng.normal(size=50)) for _ in range(200)]
    assert 180 <= sum(share.low <= 0.5 <= share.high for share in shares) <= 199  # 190 on average


def test_scores_are_those_of_the_critic_for_items_and_for_what_is_generated_before_it_is_rounded():
    model = gan()
    seen = np.arange(5, 35)
    found = scores_of(model, DATA.test, EVERY, DATA.train, seen, seed=3)
    for name, split, rows in (("held-out", DATA.test, EVERY), ("train", DATA.train, seen)):
        x, condition = feed(split, rows, model.spec, model.device)
        with torch.no_grad():
            np.testing.assert_allclose(found[name], model.critic(model.spec.centred(x), condition), rtol=1e-5)
    noise = sim.randomness.generator(model.device, 3, "scores")
    with torch.no_grad():
        fake = model.critic(model.generator(model.prior(30).sample(noise), condition), condition)
    np.testing.assert_allclose(found["generated"], fake, rtol=1e-5)


@pytest.mark.parametrize("name", ["gan", "dcgan", "wgan-gp", "infogan"])
def test_gradients_are_those_of_the_losses(name):
    model = gan(name)
    found = gradient_norms(model, DATA.train, seed=1)
    assert len(found) == len(model.phases())
    rows = np.sort(np.arange(40))
    x, condition = feed(DATA.train, rows, model.spec, model.device)
    model.train()
    seed_everything(1, "gradients")
    for phase, norm in zip(model.phases(), found.values(), strict=True):
        model.zero_grad()
        torch.stack([*phase.loss(Turn(x, condition, share=1.0)).values()]).sum().backward()
        own = [parameter.grad for parameter in phase.player.parameters() if parameter.grad is not None]
        assert norm == pytest.approx(float(torch.nn.utils.get_total_norm(own)), rel=1e-4)


ADVERSARIAL = [entry.name for entry in registry.models() if can(entry.model, Adversarial)]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_every_game_can_be_looked_into_and_nothing_of_it_changes(name):
    spec = suited(registry.find(name), "grey")
    data, model = dataset(spec, (40, 30, 30)), small_model(registry.find(name), spec)
    before, state = weights(model), torch.get_rng_state()
    game = looked_into(model, data.test, EVERY, data.train, seed=0)
    again = dict(gauges(model, data.valid, data.train, 0, 16))
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(model), before)
    assert not model.training
    assert {"score.train", "score.held-out", "score.generated", "variety", "singular.critic"} <= again.keys()
    assert set(players_of(model)) >= {"critic", "generator"} == game.singular.keys()
    assert all(np.isfinite(scores).all() and len(scores) == 30 for scores in game.scores.values())
    assert all(np.isfinite(norm) for norm in game.gradients.values())
    assert 0 <= game.divergence.low <= game.divergence.bound <= game.divergence.high


def _takes(name: str, spec: sim.data.DataSpec) -> bool:
    try:
        small_model(registry.find(name), spec)
    except sim.errors.UsageError:
        return False
    return True


def test_a_critic_that_knows_the_training_items_is_found():
    """A critic whose score of an item is that of its sum: the training items here are the bright ones."""
    model = gan()
    bright = replace(DATA.train, x=np.full_like(np.asarray(DATA.train.x), 3))
    dark = replace(DATA.test, x=np.zeros_like(np.asarray(DATA.test.x)))
    model.critic.forward = lambda x, condition: x.flatten(1).sum(1)
    game = looked_into(model, dark, EVERY, bright, seed=0)
    assert game.memorised is not None
    assert game.memorised.value == 1
    assert game.told.value < 0.5  # what is generated is brighter than black
    assert looked_into(model, dark, EVERY, None, seed=0).memorised is None


def test_the_data_are_not_those_that_it_was_trained_on_unless_they_are(tmp_path):
    """Only then does it have scores of training items."""
    model = sim.fit("gan", DATA, tmp_path / "run", steps=2, generator="dense:hidden=8", critic="dense:hidden=8")
    assert isinstance(model, GAN)
    model.trained_steps = None
    assert "memorised" in sim.health(model, DATA).findings
    assert "memorised" not in sim.health(model, dataset(SPECS["grey"], (40, 30, 30), seed=4)).findings
    assert "memorised" not in sim.health(model, np.asarray(DATA.test.x)).findings
