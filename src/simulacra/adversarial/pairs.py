r"""Penalties on pairs: what the generator makes under the condition of an item is compared with the item.

    l1               λ E |x - G(z, c)|               Isola et al. 2017, pix2pix, eq. 3
    cross-entropy    λ E -log P(x of G(z, c))        of maps of classes
    matched          λ E |f(x, c) - f(G(z, c), c)|   Wang et al. 2018, pix2pixHD, eq. 4

An augmentation would change both of a pair in ways of their own: a GAN refuses the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from simulacra.adversarial.penalties import Weighed
from simulacra.adversarial.rounds import Round
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Classes
from simulacra.networks import CriticNetwork
from simulacra.parts import called, part

SHARPNESS = 5.0  # of logits in units of what is made: 10 nats lie between the ends of its range [-1, 1]


class OfPairs(Weighed):
    """Abstract: a term of the generator's loss that compares what it makes under the condition of an item with the
    item."""

    players: ClassVar[Sequence[str]] = ("generator",)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not spec.condition:
            raise UsageError(
                f"penalty {called(self)[1]!r} compares what is made under the condition of an item with the item: give "
                "a condition, such as --condition grey"
            )
        return nn.Module()


@part("penalty", "l1")
class L1(OfPairs):
    r"""λ E |x - G(z, c)|: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", eq. 3.

    Attributes:
        weight: λ, where x is in [-1, 1].
        every: steps from one to the next.
        first: the share of a run in which the generator does nothing else, and the game has not begun: it then starts
            from the likeliest picture. Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a
            Generative Adversarial Network", 3.2.
    """

    weight: float = 100.0
    every: int = 1
    first: float = 0.0

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        return self.weight * (seen.real.x.float().detach() - seen.fake.x.float()).abs().mean()


@part("penalty", "cross-entropy")
class CrossEntropy(OfPairs):
    r"""λ E -log P(x), P = softmax(5 G(z, c)) over the channels of the classes of each pixel, the mean over pixels.

    Where several classes are possible it is least at their probabilities. The distance `l1` is least at the median of
    each channel by itself, which is no class at all where none has more than half of the probability.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    weight: float = 10.0
    every: int = 1

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not isinstance(spec.x, Classes):
            raise UsageError(
                "penalty 'cross-entropy' is for maps of classes as x (--target map), not for "
                f"{spec.x.describe()}: take --penalties l1"
            )
        return super().memory(spec, generator, critic)

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        return self.weight * cross_entropy(SHARPNESS * seen.fake.x.float(), seen.real.x.detach().argmax(1))


def distance_to_pair(spec: DataSpec, weight: float) -> OfPairs:
    """The distance `l1` of x, and of maps of classes the cross-entropy, a tenth of the weight."""
    return CrossEntropy(weight / 10) if isinstance(spec.x, Classes) else L1(weight)


@part("penalty", "matched")
class MatchedFeatures(OfPairs):
    r"""λ E |f(x, c) - f(G(z, c), c)|, f the features before the critic's head, in place of those of a network that was
    trained on other images.

    Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", eq. 4.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    weight: float = 10.0
    every: int = 1

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        return self.weight * (seen.real.features.float().detach() - seen.fake.features.float()).abs().mean()
