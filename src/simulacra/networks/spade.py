"""A style becomes an image under a map, which scales and shifts every norm place by place.

    h_K = W s,  h_k = h_k+1 doubled + F(h_k+1, m),  x = tanh(conv(ReLU(h_0)))

F is a spatial norm, ReLU, 3×3 doubled, a spatial norm, ReLU, 3×3; before the first doubling stands one block that
doubles nothing. No network reads the map from its full size down: it enters at each size as it is. The sides of an
image that are no multiple of 2^K are cropped, and the map is padded by its edges.
Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 3 and appendix A.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.blocks import widths
from simulacra.networks.generators import Generator
from simulacra.networks.translating import STYLE, Ending, Inputs, refuse_without_picture
from simulacra.nn import DoublingConv2d, SpatialNorm, halvings, padding, repeated
from simulacra.parts import part, within


class SpatialDecoder(nn.Module):
    """z (N, latent) and a condition with pictures -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, part: SpadeGenerator) -> None:
        super().__init__()
        count, self.coarsest = halvings(spec.shape)
        self.padding = padding(spec.shape, count, self.coarsest)
        own = widths(part.width, part.widest, count)
        self.inputs = Inputs(spec, latent, (spec.shape[1], spec.shape[2]))
        norm = functools.partial(SpatialNorm, inputs=self.inputs.count, hidden=part.hidden)
        self.first = nn.Linear(STYLE, own[-1] * self.coarsest[0] * self.coarsest[1])
        self.middle = Block(own[-1], own[-1], norm, double=False)
        self.up = nn.ModuleList(Block(own[k + 1], own[k], norm, double=True) for k in reversed(range(count)))
        self.last = Ending(spec, own[0])

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        pictures, s = self.inputs(z, condition)
        pictures = F.pad(pictures, self.padding, mode="replicate")
        h = self.middle(self.first(s).unflatten(1, (-1, *self.coarsest)), pictures)
        for up in self.up:
            h = up(h, pictures)
        return self.last(F.relu(h), condition)


class Block(nn.Module):
    """h (N, before, H, W) and pictures -> (N, after, 2H, 2W), or (N, after, H, W) where nothing is doubled."""

    def __init__(self, before: int, after: int, norm: Callable[[int], nn.Module], double: bool) -> None:
        super().__init__()
        self.enter, self.between, self.doubles = norm(before), norm(after), double
        conv = DoublingConv2d if double else functools.partial(nn.Conv2d, padding=1)
        self.first = conv(before, after, 3)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.beside = nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)

    def forward(self, h: Tensor, pictures: Tensor) -> Tensor:
        inside = self.first(F.relu(self.enter(h, pictures)))
        inside = self.second(F.relu(self.between(inside, pictures)))
        beside = self.beside(h)
        return inside + (repeated(beside) if self.doubles else beside)


@part("generator", "spade")
class SpadeGenerator(Generator):
    """From a code to x, under the pictures of the condition, which scale and shift every norm place by place.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        hidden: channels between the pictures and what they scale and shift a norm by.
    """

    width: int = 16
    widest: int = 128
    hidden: int = 32

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, hidden=self.hidden)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_without_picture(spec, "spade")
        return SpatialDecoder(spec, latent, self)
