"""Laws of gradients: what the losses of a player reach, and how many parameters are free."""

from __future__ import annotations

import torch

from simulacra.capabilities import ClosedForm, can
from simulacra.checks.cases import Case, randomised
from simulacra.checks.law import law
from simulacra.model import Model
from simulacra.turns import Phase, Player, Turn, players

OTHER_WEIGHTS = (
    0.3,
    0.3,
    0.3,
    10.0,
    10.0,
)  # scales of those with which a gradient is looked for that the first ones do not have
SHARES = (0.0, 0.5, 1.0)  # of training, at which losses are looked at


@law
def a_phase_reaches_every_parameter_of_its_player_and_no_other(case: Case) -> None:
    """All phases of a player together reach all of it: at some time of training where the model grows, and with other
    weights where a gate begins at zero or gradients cancel, as those of a bias within the margin of the hinge do."""
    wanted, found = _owned(case.model()), _reached(case.model(), case)
    for seed, scale in enumerate(OTHER_WEIGHTS):
        found |= _reached(randomised(case.model(), scale, seed), case) if wanted - found else set()
    for losses, name in sorted(wanted ^ found):
        reaches = "reaches" if (losses, name) in found else "does not reach"
        raise AssertionError(f"the loss {losses} {reaches} {name}")


def _losses(model: Model) -> list[tuple[str, Player, list[Phase]]]:
    """Of each player the names of its losses, itself, and its phases."""
    phases = model.phases()
    own = [(player, [phase for phase in phases if phase.player is player]) for player in players(phases)]
    return [(" and ".join(repr(phase.name) for phase in taken), player, taken) for player, taken in own]


def _owned(model: Model) -> set[tuple[str, str]]:
    """The losses of each player, with each of its parameters."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {(losses, names[id(each)]) for losses, player, _ in _losses(model) for each in player.parameters()}


def _reached(model: Model, case: Case) -> set[tuple[str, str]]:
    """The losses of each player, with each parameter that has a gradient of one of them."""
    found: set[tuple[str, str]] = set()
    for losses, player, phases in _losses(model.train()):
        model.requires_grad_(False)
        player.requires_grad_(True)
        model.zero_grad(set_to_none=True)
        for share in SHARES:
            for phase in phases:
                turn = Turn(case.items(24), case.condition(24), share=share)
                torch.stack(list(phase.loss(turn).values())).sum().backward()
            if all(each.grad is not None and bool(each.grad.any()) for each in player.parameters()):
                break
        moved = [name for name, each in model.named_parameters() if each.grad is not None and bool(each.grad.any())]
        found |= {(losses, name) for name in moved}
    return found


@law
def a_parameter_that_can_be_reached_is_free(case: Case) -> None:
    """A weight under a mask has no gradient and is not counted; many of the others have one at random weights."""
    model = randomised(case.model()).eval()
    moved = {parameter: torch.zeros_like(parameter, dtype=torch.bool) for parameter in model.parameters()}
    for phase in model.phases():
        model.zero_grad(set_to_none=True)
        torch.stack(list(phase.loss(Turn(case.items(24), case.condition(24))).values())).sum().backward()
        assert isinstance(phase.player, Player)
        for parameter in phase.player.parameters():
            if parameter.grad is not None:
                moved[parameter] |= parameter.grad != 0
    reached, free = sum(int(some.sum()) for some in moved.values()), model.free_parameters()
    assert reached <= free, f"{reached} parameters have a gradient and {free} are counted as free"
    assert reached > 0.2 * free or can(model, ClosedForm), f"only {reached} of {free} free parameters have a gradient"
