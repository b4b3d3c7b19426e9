r"""A critic that is aware of matching: a real item under the condition of another one counts as generated.

    L_D = L(D(x, c), D(G(z, c), c)) + λ L(D(x, c), D(x, c̄)),      L the game's loss of real and generated scores

so that an item must be likely *and* agree with its condition. c̄ is drawn among the conditions in the batch that differ
from c, all of its fields together; where all of them are equal there is no such term. With λ = 1 this is twice the loss
of the paper, in which both kinds of wrong pairs count half. It holds for any field: words, classes, maps, lists.
Reed et al. 2016, "Generative Adversarial Text to Image Synthesis", algorithm 1 (GAN-CLS).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.adversarial.penalties import Weighed
from simulacra.adversarial.rounds import Round
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks import CriticNetwork
from simulacra.parts import part


def wrong(condition: Condition) -> tuple[Condition, Tensor]:
    """For each of N items the condition of another item of the whole batch that differs from its own, drawn uniformly
    among these; and whether there is one, a truth (): if one item has none, all conditions are equal, and the
    conditions that are returned are wrong for nobody.
    """
    everything = {name: whole.column(name, own) for name, own in condition.items()}
    first = next(iter(condition.values()))
    differs = torch.zeros(len(first), len(next(iter(everything.values()))), dtype=torch.bool, device=first.device)
    for name, own in condition.items():
        differs |= (own.reshape(len(own), 1, -1) != everything[name].reshape(1, -1, own[0].numel())).any(2)
    many = differs.sum(1)
    nth = (whole.uniform((len(first),), torch.empty((), device=first.device)) * many).long().clamp(max=many - 1)
    chosen = (differs.cumsum(1) > nth[:, None]).byte().argmax(1)  # the first column by which so many differ
    return Condition({name: all_of[chosen] for name, all_of in everything.items()}), many.min() > 0


@part("penalty", "matching")
class Matching(Weighed):
    """The game's loss of real items under their own conditions against the same items under wrong ones.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    weight: float = 1.0
    every: int = 1

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not spec.condition:
            raise UsageError(
                "penalty 'matching' shows items under wrong conditions: give one, such as --condition label"
            )
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        other, there = wrong(seen.condition)
        if seen.critic.planes is None:  # the body does not see the condition: its features are those of the right one
            scores = seen.critic.head(seen.real.features, other)
        else:
            scores = seen.critic(seen.real.x, other)
        return self.weight * there * seen.game.critic(seen.real.scores, scores.float())
