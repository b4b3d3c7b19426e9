"""Mutual information: the bound against its closed forms, and whom it moves."""

import math

import pytest
import torch
from small import condition_of, items, labels

from simulacra.adversarial import GAN, Information, NonSaturating, infogan
from simulacra.adversarial.infogan import bound
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.exploration import manifold, traverse
from simulacra.fields import Levels
from simulacra.latent import Structured
from simulacra.networks import DenseCritic, DenseGenerator
from simulacra.turns import Turn

SPEC = DataSpec(Levels((1, 4, 4), 17))


def small(**arguments) -> GAN:
    torch.manual_seed(0)
    networks = {"generator": DenseGenerator(hidden=8), "critic": DenseCritic(hidden=8), "game": NonSaturating()}
    own = {"latent": 6, "penalties": (Information(),), "prior": Structured((3,), 2)}
    return GAN(SPEC, **(networks | own | arguments))


def turn(n: int = 12) -> Turn:
    return Turn(items(SPEC, n), condition_of(SPEC, n))


def test_a_head_that_is_right_finds_the_entropy():
    """log 3 + log 4 where the logits are certain, and 0 where they say nothing."""
    rows = [torch.eye(3).repeat(4, 1), torch.eye(4).repeat(3, 1)]
    nothing = torch.zeros(12, 0)
    certain = bound([*(100 * row for row in rows), nothing], [*rows, nothing], 1.0)
    ignorant = bound([torch.zeros(12, 3), torch.zeros(12, 4), nothing], [*rows, nothing], 1.0)
    assert certain.item() == pytest.approx(math.log(12), abs=1e-6)
    assert ignorant.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("deviation", [0.3, 1.0])
def test_of_a_number_it_is_the_entropy_and_the_mean_density_of_a_gaussian(deviation):
    """log 2 - ½ log 2πσ² - E (u - μ)²/2σ², with E u² = 1/3."""
    u = torch.linspace(-1, 1, 20_001)[:, None]
    found = bound([torch.zeros_like(u)], [u], deviation).item()
    constant = math.log(2) - 0.5 * math.log(2 * math.pi * deviation**2)
    assert found == pytest.approx(constant - 1 / 6 / deviation**2, abs=1e-3)
    assert bound([u], [u], deviation).item() == pytest.approx(constant, abs=1e-6)


def test_it_never_exceeds_the_information_of_a_channel():
    """c passes unchanged with probability 0.7, else as another of three: I = log 3 - H, which the posterior attains."""
    keep, others = 0.7, 0.15
    channel = torch.full((3, 3), others) + (keep - others) * torch.eye(3)
    seen = torch.repeat_interleave(torch.arange(9), (channel.flatten() * 100).round().long())
    true, read = torch.eye(3)[seen // 3], channel.log()[seen % 3]
    information = math.log(3) + keep * math.log(keep) + 2 * others * math.log(others)
    nothing = torch.zeros(len(seen), 0)
    assert bound([read, nothing], [true, nothing], 1.0).item() == pytest.approx(information, abs=1e-6)
    for _ in range(10):
        other = read + 0.5 * torch.randn(3)
        assert bound([other, nothing], [true, nothing], 1.0) < information


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_it_is_a_term_of_both_players_and_moves_the_head_with_each(player):
    model = small()
    loss = getattr(model, f"{player}_loss")
    terms = loss(turn())
    assert list(terms) == [player, "information"]
    terms["information"].backward()
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == ({"critic", "memories"} if player == "critic" else {"critic", "memories", "generator"})
    own = {id(p) for phase in model.phases() if phase.name == player for p in phase.player.parameters()}
    assert all(id(p) in own for p in model.memories.parameters())


def test_a_generator_learns_to_show_its_categories():
    """By the information alone: the bound rises from about 0 to nearly log 3."""
    model = small(penalties=(Information(1.0),), prior=Structured((3,), 0))
    adam = torch.optim.Adam(model.parameters(), 0.01)
    found = []
    for _ in range(120):
        adam.zero_grad()
        loss = model.generator_loss(turn(24))["information"]
        loss.backward()
        adam.step()
        found.append(-loss.item())
    assert found[0] < 0.3
    assert found[-1] > 0.9 * math.log(3)


def test_what_has_no_structure_is_refused():
    with pytest.raises(UsageError, match="penalty 'information' is of codes with a structure: add --prior structured"):
        small(prior="gaussian")
    with pytest.raises(UsageError, match="needs latent >= 5, not 4"):
        small(latent=4)


def test_verbs_on_codes_take_its_codes():
    torch.manual_seed(0)
    model = infogan(DataSpec(Levels((1, 8, 8), 17), labels(2)), latent=14, width=2).eval()
    assert model.prior(3).sample().shape == (3, 14)
    assert traverse(model, condition={"label": 1}, dims=[10, 11], steps=3).items.shape == (2, 3, 1, 8, 8)
    assert manifold(model, condition={"label": 1}, dims=[10, 11], side=2).items.shape == (2, 2, 1, 8, 8)
