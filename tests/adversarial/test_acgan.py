"""Auxiliary classification: cross-entropies by hand, who learns from them, and what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F
from small import condition_of, items, labels

from simulacra.adversarial import GAN, Auxiliary, NonSaturating, acgan
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Levels, Real
from simulacra.networks import DenseCritic, DenseGenerator
from simulacra.turns import Turn

TWO = {"label": ClassLabel(3), "colour": ClassLabel(2)}
SPEC = DataSpec(Levels((1, 4, 4), 17), TWO)


def small(spec: DataSpec = SPEC, weight: float = 2.0) -> GAN:
    torch.manual_seed(0)
    networks = DenseGenerator(hidden=8), DenseCritic(hidden=8)
    return GAN(spec, 4, *networks, NonSaturating(), (Auxiliary(weight),), "none")


def turn(spec: DataSpec = SPEC, n: int = 12) -> Turn:
    return Turn(items(spec, n), condition_of(spec, n))


def by_hand(model: GAN, x: torch.Tensor, condition) -> float:
    """Σ over both fields of the mean of -log softmax at the class."""
    heads, features = model.memories[0].heads, model.critic.features(x, condition)
    total = 0.0
    for name in TWO:
        masses = (features @ heads[name].weight.T + heads[name].bias).softmax(1)
        total -= masses[torch.arange(len(x)), condition[name]].log().mean().item()
    return total


def test_the_critic_has_it_of_both_kinds_and_the_generator_of_generated_items():
    model, own = small(), turn()
    torch.manual_seed(1)
    seen = model.round(own, "critic")
    real, fake = by_hand(model, seen.real.x, own.condition), by_hand(model, seen.fake.x, own.condition)
    torch.manual_seed(1)
    critic = model.critic_loss(own)
    torch.manual_seed(1)
    generator = model.generator_loss(own)
    assert critic["auxiliary"].item() == pytest.approx(2 * (real + fake), rel=1e-5)
    assert generator["auxiliary"].item() == pytest.approx(2 * fake, rel=1e-5)


def test_heads_without_weights_know_nothing():
    model = small(weight=1.0)
    for parameter in model.memories.parameters():
        parameter.data.zero_()
    assert model.critic_loss(turn())["auxiliary"].item() == pytest.approx(2 * (math.log(3) + math.log(2)), rel=1e-5)


def test_the_heads_move_with_the_critic_alone():
    model = small()
    critic, generator = model.phases()
    heads = {id(parameter) for parameter in model.memories.parameters()}
    assert heads <= {id(parameter) for parameter in critic.player.parameters()}
    assert not heads & {id(parameter) for parameter in generator.player.parameters()}


def test_the_score_does_not_depend_on_the_class():
    model = small().eval()
    x = SPEC.centred(items(SPEC, 2))
    scores = [model.critic(x, condition_of(SPEC, 3).rows(torch.tensor([k, k]))) for k in range(2)]
    assert torch.equal(*scores)


def test_a_generator_learns_to_show_its_class():
    """From the classification alone, by a critic whose heads read the class off real items in which it is plain."""
    spec = DataSpec(Levels((1, 4, 4), 17), labels(2))
    model = small(spec, 1.0)
    label = torch.arange(24) % 2
    x = (16 * label).byte().view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    plain = Turn(x, condition_of(spec, 24))
    critic = torch.optim.Adam([*model.critic.parameters(), *model.memories.parameters()], 0.01)
    generator = torch.optim.Adam(model.generator.parameters(), 0.01)
    for _ in range(60):
        for adam, loss in ((critic, model.critic_loss), (generator, model.generator_loss)):
            adam.zero_grad()
            loss(plain)["auxiliary"].backward()
            adam.step()
    with torch.no_grad():
        made = model.eval().decode(torch.zeros(2, 4), {"label": torch.tensor([0, 1])}).mean
    logits = model.memories[0].heads["label"](model.critic.features(spec.centred(made), {}))
    assert F.cross_entropy(logits, torch.tensor([0, 1])).item() < 0.1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (DataSpec(Levels((1, 8, 8), 17)), "penalty 'auxiliary' is of a class of each item: add --condition label"),
        (DataSpec(Levels((1, 8, 8), 17), {"a": Real((3,))}), "conditioned on classes alone, and 'a' is"),
    ],
)
def test_without_classes_it_is_refused(spec, message):
    with pytest.raises(UsageError, match=message):
        acgan(spec, latent=3, width=2)
