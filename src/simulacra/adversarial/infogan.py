r"""InfoGAN: some numbers c of a code z are to be read off what is generated, so that they mean something.

    I(c; G(z)) >= H(c) + E log Q(c | G(z)) = L,        min over G and Q of the game's loss - λ L

Q shares the features of the critic. Of a category, E log Q is minus a cross-entropy; of a continuous number, Q is a
Gaussian with a fixed standard deviation about what it reads. L is I(c; G(z)) where Q is the true posterior.
Chen et al. 2016, "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets", eq. 5 and 6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.penalties import PLAYERS, OfCritic
from simulacra.adversarial.rounds import Round
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.distributions import Distribution
from simulacra.errors import UsageError
from simulacra.latent import Structured
from simulacra.latent.structured_prior import StructuredCodes
from simulacra.networks import CriticNetwork, DCCritic, DCGenerator
from simulacra.parts import above, part, within
from simulacra.registry import register

HIDDEN = 128  # units of the one layer between features and what is read


class CodeHead(nn.Module):
    """Features (N, F) -> what they say of the structure of a code: logits of its categories, means of its numbers."""

    def __init__(self, codes: StructuredCodes, features: int) -> None:
        super().__init__()
        self.sizes = [*codes.categories, codes.continuous]
        self.read = nn.Sequential(
            nn.Linear(features, HIDDEN), nn.LeakyReLU(0.1), nn.Linear(HIDDEN, sum(codes.categories) + codes.continuous)
        )

    def forward(self, features: Tensor) -> list[Tensor]:
        """Logits (N, K_i) of each category i, and last the means (N, C)."""
        return list(self.read(features).float().split(self.sizes, dim=1))

    def of_codes(self, z: Tensor) -> list[Tensor]:
        """The same parts of codes (N, latent): one-hot rows, and last the continuous numbers."""
        return list(z[:, : sum(self.sizes)].split(self.sizes, dim=1))


def bound(read: Sequence[Tensor], true: Sequence[Tensor], deviation: float) -> Tensor:
    """L, nats, a scalar: H(c) + E log Q(c), from what was read of codes and what they are, as `CodeHead` has both.

    H of K categories is log K, of a number between -1 and 1 log 2; the latter is a differential entropy, so that L of
    numbers can exceed it.
    """
    (*logits, means), (*rows, numbers) = read, true
    total = means.new_zeros(())
    for own, row in zip(logits, rows, strict=True):
        total = total + math.log(own.shape[1]) - F.cross_entropy(own, row.to(own.dtype))
    squared = ((numbers - means) / deviation).square().sum(1).mean()
    each = math.log(2) - math.log(deviation) - 0.5 * math.log(2 * math.pi)
    return total + means.shape[1] * each - 0.5 * squared


@part("penalty", "information")
class Information(OfCritic):
    r"""-λ (H(c) + E log Q(c | G(z))), c the categories and continuous numbers of a structured prior: a lower bound of
    their mutual information with what is generated, which both players raise.

    Attributes:
        weight: λ.
        deviation: of the Gaussian Q of a continuous number, which lies between -1 and 1; the smaller, the more these
            numbers count.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = PLAYERS
    weight: float = 1.0
    deviation: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        above(0, weight=self.weight, deviation=self.deviation)
        within(1, every=self.every)

    def memory_of_codes(self, codes: Distribution, critic: CriticNetwork) -> nn.Module:
        if not isinstance(codes, StructuredCodes):
            raise UsageError("penalty 'information' is of codes with a structure: add --prior structured")
        return CodeHead(codes, int(critic.body.outputs))  # pyright: ignore[reportArgumentType]

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(memory, CodeHead)
        return -self.weight * bound(memory(seen.fake.pooled), memory.of_codes(seen.z), self.deviation)


@register("infogan", paper="Chen et al. 2016, InfoGAN", defaults=TRAINING)
def infogan(
    spec: DataSpec,
    latent: int = 64,
    categories: tuple[int, ...] = (10,),
    continuous: int = 2,
    weight: float = 1.0,
    width: int = 64,
) -> GAN:
    """The convolutional networks of DCGAN, with a code whose categories and continuous numbers can be read off images.

    Args:
        spec: what x is: images on a grid of levels, from 8×8 up.
        latent: numbers in a code, of which those that are neither categories nor continuous are noise.
        categories: values of each categorical variable.
        continuous: uniform numbers between -1 and 1.
        weight: of the mutual information.
        width: channels next to the image; they double with every halving of its sides.
    """
    networks = DCGenerator(width), DCCritic(width)
    prior = Structured(categories, continuous)
    return GAN(spec, latent, *networks, NonSaturating(), (Information(weight),), prior=prior)
