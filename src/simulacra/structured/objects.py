r"""Losses of single objects in their boxes.

    boxes     λ E |b̂_k - b_k| + μ E o(b̂)                          of the boxes that the generator predicts
    masks     λ E H(m_k, m̂_k)                                     of the masks, a mean over the places of each
    objects   λ E [ζ(-D(x_k)) + ζ(D(G_k)) + log 1/P(a_k | x_k)]   of the critic, x_k what x has within the box of k
              λ E [ζ(-D(G_k)) + log 1/P(a_k | G_k)]               of the generator

The second critic sees an object at a time, brought to one size, and says what it is as well: its classes a_k. It learns
that of real objects alone, so that a generator cannot agree with it on signs of its own. Means are over the objects of
an item, and then over items; an object whose box is not given has no part in what is compared with it.
Johnson et al. 2018, "Image Generation from Scene Graphs", 3.4 and 3.5; ζ(t) = log(1 + eᵗ).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra import whole
from simulacra.adversarial.pairs import OfPairs
from simulacra.adversarial.penalties import PLAYERS, OfCritic
from simulacra.adversarial.rounds import Round
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel
from simulacra.networks import CriticNetwork
from simulacra.networks.layout import Arranging
from simulacra.nn import spectral
from simulacra.nn.boxes import cropped
from simulacra.nn.embed import key, masked_mean, present
from simulacra.parts import above, called, part, within


def refuse_unless_arranging(generator: nn.Module, name: str) -> Arranging:
    """Raise UsageError for a generator without boxes."""
    if not isinstance(generator, Arranging):
        raise UsageError(f"penalty {name!r} is for a generator that places objects in boxes: --generator layout")
    return generator


def means(values: Tensor, mask: Tensor) -> Tensor:
    """(N, K) -> the mean over the objects of each item, 0 of none, (N,)."""
    return masked_mean(values[..., None], mask).squeeze(-1)


@part("penalty", "boxes")
class Boxes(OfCritic):
    r"""λ E |b̂ - b| + μ E o(b̂): the distance is a mean over the four numbers of a box, o the sum over the other objects
    of an item of what both boxes share of the smaller one beyond what they share in the data; both are means over the
    objects of an item whose boxes are given, and over items.

    Of boxes that may be in one place or another the distance picks the middle, that of all of them; so objects of which
    the graph says the same would lie on each other. In o the sizes of boxes are constants: it moves them apart.

    Attributes:
        weight: λ, where the sides of the image are 1.
        every: steps from one to the next.
        apart: μ.
        answers: codes for which boxes are predicted, all but the first from N(0, I); the nearest counts, so that others
            are free to place objects in other ways. Guzman-Rivera et al. 2012, "Multiple Choice Learning".
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 10.0
    every: int = 1
    apart: float = 5.0
    answers: int = 4

    def __post_init__(self) -> None:
        above(0, weight=self.weight)
        within(0, apart=self.apart)
        within(1, every=self.every, answers=self.answers)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        refuse_unless_arranging(generator, called(self)[1])
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        generator, z = cast(Arranging, seen.generator), seen.z
        if self.answers > 1:
            z = torch.cat([z, *(whole.normal(z.shape, z) for _ in range(self.answers - 1))])
        own = generator.arranged(z, seen.condition.repeat(self.answers))
        away = means((own.predicted - own.boxes).abs().mean(-1), own.known).view(self.answers, -1).amin(0).mean()
        reach = shared(own.predicted, own.boxes, own.known.to(own.boxes.dtype))
        return self.weight * away + self.apart * means(reach, own.known).mean()


def shared(predicted: Tensor, boxes: Tensor, weights: Tensor) -> Tensor:
    """o, (N, K): how far each predicted box (N, K, 4) reaches into the others beyond what is so of the boxes of the
    data, both of a pair by their weights (N, K)."""
    sides = (predicted[..., 2:] - predicted[..., :2]).detach()
    area = sides.prod(-1)
    more = (_reach(predicted, sides) - _reach(boxes, boxes[..., 2:] - boxes[..., :2])).clamp(min=0)
    pairs = weights[:, :, None] * weights[:, None]
    pairs = pairs * ~torch.eye(pairs.shape[1], dtype=torch.bool, device=pairs.device)
    return (more / torch.minimum(area[:, :, None], area[:, None]) * pairs).sum(2)


def _reach(boxes: Tensor, sides: Tensor) -> Tensor:
    """What two boxes share, (N, K, K); of one that lies within another the more, the nearer their middles are."""
    middles = (boxes[..., 2:] + boxes[..., :2]) / 2
    apart = (middles[:, :, None] - middles[:, None]).abs()
    return ((sides[:, :, None] + sides[:, None]) / 2 - apart).clamp(min=0).prod(-1)


@part("penalty", "masks")
class Masks(OfCritic):
    r"""λ E H(m, m̂), H(m, m̂) = -m log m̂ - (1 - m) log(1 - m̂): a mean over the places of a mask within its box, over
    the objects of an item whose masks are given, and over items. Without it a generator that is given the mask of each
    object has nothing to learn its own from.

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 1.0
    every: int = 1

    def __post_init__(self) -> None:
        above(0, weight=self.weight)
        within(1, every=self.every)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not refuse_unless_arranging(generator, called(self)[1]).graph.has_masks:
            raise UsageError(
                "penalty 'masks' compares masks, and the objects of the condition have none; leave it out, or give "
                "each object a mask in its graph"
            )
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        own = cast(Arranging, seen.generator).arranged(seen.z, seen.condition)
        true = F.adaptive_avg_pool2d(own.given, (own.masks.shape[2], own.masks.shape[3]))
        nats = F.binary_cross_entropy_with_logits(own.masks.float(), true.float(), reduction="none").mean((2, 3))
        return self.weight * means(nats, own.outlined).mean()


class ObjectCritic(nn.Module):
    """Crops (N, K, C, side, side) -> scores (N, K), and logits (N, K, count) of each class that an object has."""

    def __init__(self, channels: int, side: int, width: int, classes: dict[str, ClassLabel]) -> None:
        super().__init__()
        self.side, self.names = side, list(classes)
        features = 2 * width * (side // 4) ** 2
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.score = nn.Linear(features, 1)
        spectral(self.body)
        spectral(self.score)
        self.heads = nn.ModuleDict({key(name): nn.Linear(features, own.count) for name, own in classes.items()})

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        h = self.body(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.score(h).squeeze(-1).float(), {name: self.heads[key(name)](h).float() for name in self.names}


@part("penalty", "objects")
class Objects(OfPairs):
    r"""A critic of single objects, which also says what they are; a term of both players' losses.

    Attributes:
        weight: λ.
        every: steps from one to the next.
        side: pixels along a side of the crops, a multiple of 4.
        width: channels of the critic.
        auxiliary: weight of the classes beside the scores.
    """

    players: ClassVar[Sequence[str]] = PLAYERS
    owners: ClassVar[Sequence[str]] = ("critic",)
    weight: float = 1.0
    every: int = 1
    side: int = 12
    width: int = 32
    auxiliary: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above(0, auxiliary=self.auxiliary)
        within(1, width=self.width)
        within(4, side=self.side)
        if self.side % 4:
            raise UsageError(f"side must be a multiple of 4, not {self.side}")

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        graph = refuse_unless_arranging(generator, called(self)[1]).graph
        classes = {name: own for name, own in graph.attributes.items() if isinstance(own, ClassLabel)}
        return ObjectCritic(spec.shape[0], self.side, self.width, classes)

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(memory, ObjectCritic)
        graph = cast(Arranging, seen.generator).graph
        with torch.no_grad():
            own = cast(Arranging, seen.generator).arranged(seen.z, seen.condition)
        score, logits = memory(cropped(seen.fake.x.float(), own.boxes, self.side))
        if seen.of_generator:
            wrong = F.softplus(-score)
            return (
                self.weight * means(wrong + self.auxiliary * self._nats(seen, logits, graph.objects), own.mask).mean()
            )
        real, classes = memory(cropped(seen.real.x.float(), own.boxes, self.side))
        right = F.softplus(-real) + self.auxiliary * self._nats(seen, classes, graph.objects)
        return self.weight * (means(right, own.known) + means(F.softplus(score), own.mask)).mean()

    def _nats(self, seen: Round, logits: dict[str, Tensor], objects: str) -> Tensor:
        """Σ over the classes of an object of -log P, (N, K)."""
        mask = seen.condition[f"{objects}.mask"]
        total = torch.zeros(mask.shape, device=mask.device)
        for name, own in logits.items():
            classes = present(seen.condition[f"{objects}.{name}"], mask).long()
            total = total + F.cross_entropy(own.movedim(-1, 1), classes, reduction="none")
        return total
