r"""Words that are found in the items that they are of, so that each is painted where it belongs.

    L = R + λ E |x - G(z, c; b)|² + μ E [|e_t| + Σ_s κ_ts |e_t - e_s|] + ν E o(b̂),    e_t = b̂_t - b_t,
    R = -E log P(c | x) - E log P(x | c) in a batch

b are the boxes in which the words of c are found in x, b̂ those in which the generator would put them by itself, κ_ts
the share of the smaller one of b_t and b_s that both cover, and o how far boxes reach into each other beyond what is so
of b (`objects`).

R teaches what words look like and where they are, from which sentence is of which picture alone. In the boxes that it
finds each word has a piece of the picture to learn from, as an object of a scene graph has whose box is known; four
numbers for each word say nothing of what is in it. The distance is squared: it goes to the mean of what may be at a
place, where |x - G| goes to the ground, on which most pictures agree at most places. Boxes that may be in one place or
another go to the middle. There o keeps those of different things from lying on each other; and words that are found in
one place err together, so that what `red` and `3` paint is one thing wherever they put it.
Words and regions that are matched in a batch: Xu et al. 2018, "AttnGAN", eq. 10; boxes first, then the picture: Hong et
al. 2018, "Inferring Semantic Layout for Hierarchical Text-to-Image Synthesis", who are given them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from simulacra import whole
from simulacra.adversarial.pairs import OfPairs
from simulacra.adversarial.rounds import Round
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.errors import UsageError
from simulacra.networks import CriticNetwork, form_of
from simulacra.networks.grounding import Grounding, Looks, told_apart
from simulacra.networks.word_layout import WordLayout
from simulacra.nn.text import texts_of
from simulacra.parts import above, part, within
from simulacra.structured.objects import shared

FAINTEST = 1e-6  # sum of the gates of an item by which is divided, at least


@part("penalty", "grounded")
class Grounded(OfPairs):
    r"""Words find their places in real items, and the generator learns to paint them there, and to choose such places.

    Attributes:
        weight: λ of the squared distance to the item, where x is in [-1, 1].
        every: steps from one to the next.
        places: μ of the distance of the generator's own boxes from those found, where the sides of the image are 1.
        apart: ν of how far its own boxes reach into each other.
        first: the share of a run in which the generator does nothing else, and the game has not begun.
        features: numbers of a place, and of a word that is sought, an even number.
        width: channels of the network that looks.
    """

    weight: float = 20.0
    every: int = 1
    places: float = 5.0
    apart: float = 1.0
    first: float = 0.0
    features: int = 64
    width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        above(0, places=self.places)
        within(0, apart=self.apart)
        within(1, features=self.features, width=self.width)

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not isinstance(generator, WordLayout):
            raise UsageError("penalty 'grounded' is for a generator whose words have places: --generator word-layout")
        return Grounding(texts_of(spec.condition), form_of(spec).made.shape, self.features, self.width)

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(memory, Grounding)
        generator, condition, x = cast(WordLayout, seen.generator), seen.condition, seen.real.x.detach().float()
        with without_autocast(seen.z.device):
            looks = memory(x, condition)
            boxes = memory.boxes(looks)
            nats = named(memory, looks, condition)
        words = generator.words(seen.z, condition)
        distance = (x - generator.painted(words, condition, boxes).float()).square().mean()
        gates = words.gates.detach()  # constants, lest all words should close them to be near
        far, reach = misplaced(words.boxes, boxes.detach(), gates), shared(words.boxes, boxes.detach(), gates)
        places = (self.places * far + self.apart * reach).sum(1) / gates.sum(1).clamp(min=FAINTEST)
        return nats + self.weight * distance + places.mean()


def misplaced(predicted: Tensor, boxes: Tensor, weights: Tensor) -> Tensor:
    """w_t (|e_t| + Σ_s w_s κ_ts |e_t - e_s|), (N, T), of boxes (N, T, 4) by their weights (N, T); means over the four
    numbers of a box."""
    away = predicted - boxes
    unlike = (away[:, :, None] - away[:, None]).abs().mean(3)
    return weights * (away.abs().mean(2) + (in_common(boxes) * unlike * weights[:, None]).sum(2))


def in_common(boxes: Tensor) -> Tensor:
    """κ, (N, T, T), of boxes (N, T, 4) that have an area: the share of the smaller one of two that both cover."""
    one, other = boxes[:, :, None], boxes[:, None]
    begin, end = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    area = (boxes[..., 2:] - boxes[..., :2]).prod(2)
    return (end - begin).clamp(min=0).prod(3) / torch.minimum(area[:, :, None], area[:, None])


def named(sought: Grounding, looks: Looks, condition: Condition) -> Tensor:
    """R, a scalar; items of all processes are told apart from each other."""
    tokens = torch.cat([condition[name] for name in sought.names], dim=1)
    everything = whole.gathered(tokens.float())
    everyone = Looks(whole.gathered(looks.places), whole.gathered(looks.queries), everything >= 0)
    alike = (everything[:, None] == everything).all(2)
    return whole.own(told_apart(sought.fits(everyone), alike)).mean()
