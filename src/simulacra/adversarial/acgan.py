r"""Auxiliary classification: the critic D also says of which class an item is, and both players want it to be right.

    L_C = E log P(c | x) + E log P(c | G(z, c)),     D maximises its own side of the game + λ L_C, and so does G.

The score itself does not depend on the class. What G gains is items that are easily told apart: there is little to
reward the rarer items of a class, so that the variety within one can be smaller than in the data.
Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.penalties import PLAYERS, Weighed, refuse_without_classes
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.fields import ClassLabel
from simulacra.networks import CriticNetwork, DCCritic, DCGenerator, Unconditional
from simulacra.nn.embed import key
from simulacra.parts import part
from simulacra.registry import register


class ClassHeads(nn.Module):
    """Features (N, F), or the mean of those of patches (N, P, F) -> logits (N, count) of each field of classes."""

    def __init__(self, fields: Mapping[str, ClassLabel], features: int) -> None:
        super().__init__()
        self.names = list(fields)
        self.heads = nn.ModuleDict({key(name): nn.Linear(features, own.count) for name, own in fields.items()})

    def cross_entropy(self, side: Side) -> Tensor:
        """Σ over the fields of -E log P(class), nats, a scalar."""
        terms = []
        for name in self.names:
            logits = self.heads[key(name)](side.pooled).float()
            terms.append(F.cross_entropy(logits, side.condition[name].long()))
        return torch.stack(terms).sum()


@part("penalty", "auxiliary")
class Auxiliary(Weighed):
    r"""-λ E log P(c | x), c the class of an item: the critic's loss has it of real and of generated items, that of the
    generator, which does not move the heads, of generated ones.

    Attributes:
        weight: λ.
        every: steps from one to the next.
        generated: whether the critic's loss has it of generated items too, and not of real ones alone.
    """

    players: ClassVar[Sequence[str]] = PLAYERS
    owners: ClassVar[Sequence[str]] = ("critic",)
    weight: float = 1.0
    every: int = 1
    generated: bool = True

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        refuse_without_classes(spec, "auxiliary")
        return ClassHeads(spec.classes("auxiliary"), int(critic.body.outputs))  # pyright: ignore[reportArgumentType]

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(memory, ClassHeads)
        if seen.of_generator:
            return self.weight * memory.cross_entropy(seen.fake)
        real = memory.cross_entropy(seen.real)
        return self.weight * (real + memory.cross_entropy(seen.fake) if self.generated else real)


@register(
    "acgan", paper="Odena et al. 2017, Conditional Image Synthesis with Auxiliary Classifier GANs", defaults=TRAINING
)
def acgan(spec: DataSpec, latent: int = 64, width: int = 64, weight: float = 1.0) -> GAN:
    """The convolutional networks of DCGAN, with a critic that classifies and whose score does not depend on the class.

    Args:
        spec: what x is: images on a grid of levels, from 8×8 up, conditioned on classes.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with every halving of its sides.
        weight: of the classification.
    """
    networks = DCGenerator(width), DCCritic(width)
    return GAN(spec, latent, *networks, NonSaturating(), (Auxiliary(weight),), Unconditional())
