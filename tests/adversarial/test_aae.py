"""Whose turn moves what, what the critic is shown, and where the codes end."""

import math

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, items, labels, randomise

import simulacra as sim
from simulacra.adversarial import AAE
from simulacra.condition import Condition
from simulacra.data import Card, Dataset, DataSpec, Split
from simulacra.errors import NotSupported
from simulacra.fields import Real
from simulacra.networks import Dense
from simulacra.turns import Player, Turn

LABELLED = SPECS["grey-labelled"]


def small(spec: DataSpec = LABELLED, **arguments) -> AAE:
    return randomise(
        AAE(spec, **({"latent": 2, "network": Dense(hidden=16, layers=2), "critic_hidden": 16} | arguments))
        .double()
        .eval()
    )


def names(model: AAE, player: Player) -> set[str]:
    own = {id(parameter) for parameter in player.parameters()}
    return {name.split(".")[0] for name, parameter in model.named_parameters() if id(parameter) in own}


def test_the_players_are_the_autoencoder_the_critic_and_the_encoder_alone():
    model = small()
    assert [names(model, phase.player) for phase in model.phases()] == [{"encoder", "decoder"}, {"critic"}, {"encoder"}]


def test_the_losses_of_a_blind_critic_are_those_of_a_coin():
    """D = 1/2 everywhere: V = -log 4, and the encoder loses log 2."""
    model, x, given = small(), items(LABELLED, 6), condition_of(LABELLED, 6)
    torch.nn.init.zeros_(model.critic.last.weight)
    torch.nn.init.zeros_(model.critic.last.bias)
    assert model.critic_loss(Turn(x, Condition(given)))["critic"].item() == pytest.approx(math.log(4))
    assert model.encoder_loss(Turn(x, Condition(given)))["encoder"].item() == pytest.approx(math.log(2))


def test_the_encoder_wins_where_the_critic_takes_its_codes_for_draws():
    """A step along the gradient of its loss raises the critic's belief in the codes."""
    model, x, given = small(), items(LABELLED, 6), condition_of(LABELLED, 6)
    before = model.encoder_loss(Turn(x, Condition(given)))["encoder"]
    before.backward()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter -= 1e-3 * parameter.grad
    assert model.encoder_loss(Turn(x, Condition(given)))["encoder"] < before


def test_the_critic_is_shown_draws_of_the_mode_of_each_label(monkeypatch):
    model, x, given = small(prior="ring"), items(LABELLED, 9), condition_of(LABELLED, 9)
    shown = []
    monkeypatch.setattr(model.critic, "forward", lambda z, c: shown.append((z, c)) or z.sum(1, keepdim=True))
    model.critic_loss(Turn(x, Condition(given)))
    (drawn, label), (codes, label_again) = shown
    assert label["label"].tolist() == label_again["label"].tolist() == given["label"].tolist()
    turn = torch.atan2(drawn[:, 1], drawn[:, 0]) / (2 * math.pi / 3)
    assert (turn.round() % 3).tolist() == given["label"].tolist()
    assert torch.equal(codes, model.encode(x, given).mean)


def test_the_critic_reads_the_label():
    model, z = small(prior="ring"), torch.randn(4, 2).double()
    scores = [model.critic(z, {"label": torch.full((4,), label)}) for label in (0, 1)]
    assert (scores[0] - scores[1]).abs().min() > 1e-6


def test_a_sample_is_a_decoded_draw_of_the_prior():
    model, given = small(prior="ring"), {"label": torch.tensor([2, 0, 1])}
    noise = torch.Generator().manual_seed(4)
    z = model.prior(3, given).sample(noise)
    by_hand = model.decode(z, given).sample(noise)
    assert torch.equal(model.sample(3, given, generator=torch.Generator().manual_seed(4)), by_hand)


def test_it_has_no_likelihood_and_says_so():
    with pytest.raises(NotSupported, match=r"aae assigns no probability.*evaluate"):
        sim.score(small(SPECS["grey"]), "digits")


def blobs() -> Dataset:
    """Points of the plane around three places, one a class."""
    rng, parts = np.random.default_rng(0), {}
    for name, n in (("train", 600), ("valid", 60), ("test", 300)):
        label = np.arange(n) % 3
        x = np.array([[-1, 0], [1, 0], [0, 1]], np.float32)[label] + 0.1 * rng.standard_normal((n, 2))
        parts[name] = Split(x.astype(np.float32), {"label": label}, name)
    return Dataset(
        "blobs", DataSpec(Real((2,)), labels(3)), **parts, card=Card("blobs", "a test", "none"), fingerprint="blobs"
    )


def test_with_labels_each_class_comes_to_lie_in_a_mode_of_its_own(tmp_path):
    """The code tells the class: of items by where they lie, and of samples by where they were drawn."""
    data = blobs()
    options = {"network": "dense:hidden=32", "critic_hidden": 32, "latent": 2, "prior": "ring"}
    budget = {"steps": 400, "batch": 64, "ema": 0.9, "learning_rate": 3e-3}
    model = sim.fit("aae", data, tmp_path, condition="label", **options, **budget)
    z = sim.encode(model, data)["mean"]
    nearest = np.rint(np.arctan2(z[:, 1], z[:, 0]) / (2 * math.pi / 3)) % 3
    assert (nearest == data.test.condition["label"]).mean() > 0.9
    assert np.linalg.norm(z, axis=1).mean() == pytest.approx(2, abs=0.5)
    x, wanted = sim.sample(model, 300), np.arange(300) % 3
    made = ((x[:, None] - np.array([[-1, 0], [1, 0], [0, 1]])) ** 2).sum(-1).argmin(1)
    assert (made == wanted).mean() > 0.9
