"""In a player's turn that player moves, all of it, and the other one does not."""

from dataclasses import replace

import pytest
import torch
from small import condition_of, items, labels

from simulacra.adversarial import dcgan
from simulacra.data import DataSpec
from simulacra.fields import Levels
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime


class Turns(dict):
    """Fresh random items for every draw."""

    def __missing__(self, draw: int):
        return items(SPEC, 12, seed=draw), condition_of(SPEC, 12)


SPEC = DataSpec(Levels((1, 9, 8), 17), labels(3))


def loop() -> Loop:
    torch.manual_seed(0)
    return Loop(dcgan(SPEC, latent=5, width=4), Options(warmup=0), Runtime(torch.device("cpu"), bf16=False))


def only(loop: Loop, name: str) -> Loop:
    """The loop at a step in which the phase of one player alone is due."""
    loop.steps = 1
    loop.phases = [phase if phase.name == name else replace(phase, every=2) for phase in loop.phases]
    return loop


@pytest.mark.parametrize(("mover", "other"), [("critic", "generator"), ("generator", "critic")])
def test_a_phase_moves_all_of_its_player_and_nothing_of_the_other(mover, other):
    training = only(loop(), mover)
    before = {name: parameter.detach().clone() for name, parameter in training.model.named_parameters()}
    training.step(Turns(), 0.0)
    for name, parameter in training.model.named_parameters():
        if name.startswith(f"{mover}."):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
            assert not torch.equal(parameter, before[name]), name
        else:
            assert name.startswith(f"{other}.")
            assert parameter.grad is None, name
            assert torch.equal(parameter, before[name]), name


def test_a_full_step_leaves_no_gradient_of_one_player_to_the_other():
    """After the generator's turn the critic's gradients are those of its own turn."""
    training, alone = loop(), loop()
    alone.phases = alone.phases[:1]
    for each in (training, alone):
        each.step(Turns(), 0.0)
    for ours, theirs in zip(training.model.critic.parameters(), alone.model.critic.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_phases_cover_all_parameters_once():
    model = loop().model
    owned = [parameter for phase in model.phases() for parameter in phase.player.parameters()]
    assert len(owned) == len(set(owned)) == len(list(model.parameters()))


def test_the_critic_moves_more_often_where_it_is_asked_to():
    training = loop()
    seen = []
    training.phases = [replace(training.phases[0], repeat=3), replace(training.phases[1], every=2)]
    for phase, name in zip(training.phases, ("critic", "generator"), strict=True):
        loss = phase.loss
        tell = lambda turn, loss=loss, name=name: seen.append((name, turn.x.clone())) or loss(turn)  # noqa: E731
        training.phases[training.phases.index(phase)] = replace(phase, loss=tell)
    training.step(Turns(), 0.0)
    training.step(Turns(), 0.0)
    assert [name for name, _ in seen] == ["critic"] * 3 + ["generator"] + ["critic"] * 3
    draws = [x for name, x in seen if name == "critic"]
    assert len({x.numpy().tobytes() for x in draws}) == 6  # fresh data in every turn
