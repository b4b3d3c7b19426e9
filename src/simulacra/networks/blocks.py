r"""Residual blocks of generators and critics, h + F(h) with F two 3×3 convolutions behind ReLUs, and how they begin.

    generator   doubled: batch norm, ReLU, 3×3, batch norm, ReLU, 3×3, and a 1×1 convolution beside them
    critic      halved or not: ReLU, 3×3, ReLU, 3×3, and a 1×1 convolution beside them where the shape changes

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", appendix B.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.errors import UsageError
from simulacra.nn import DoublingConv2d, HalvingConv2d, SelfAttention, halvings, repeated, spectral

WIDEST = 16  # channels at most, in units of those next to the image
HALF = 2**0.5  # gain of a map behind a ReLU, which lets half of a signal through

Initial = Literal["glorot", "orthogonal"]
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Beginning:
    """How the layers of a network begin, and whether they are normalised by their largest singular values."""

    initial: Initial
    normed: bool

    def __call__(self, layer: M, gain: float = 1.0) -> M:
        """Draw the weights of a linear map, a convolution or a table of classes; biases are 0. Others stay as they are;
        returns the layer."""
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            if self.initial == "orthogonal":
                nn.init.orthogonal_(layer.weight)
            else:
                nn.init.xavier_uniform_(layer.weight, gain)
            if not isinstance(layer, nn.Embedding) and layer.bias is not None:
                nn.init.zeros_(layer.bias)
            return spectral(layer) if self.normed else layer
        return layer

    def all_of(self, network: M) -> M:
        """The same for all layers of a network."""
        for layer in network.modules():
            self(layer)
        return network


def widths(width: int, widest: int | None, count: int) -> list[int]:
    """Channels by the number of halvings of the image, 0 to `count`."""
    most = WIDEST * width if widest is None else widest
    return [min(width << i, most) for i in range(count + 1)]


def attended(attention: int | None, sides: Sequence[int]) -> int | None:
    """The place, among feature maps with these shorter sides, of self-attention: the largest map within the limit.

    Raises UsageError where all of them are larger.
    """
    if attention is None:
        return None
    fitting = [side for side in sides if side <= attention]
    if not fitting:
        raise UsageError(f"attention={attention} is below the smallest feature map, whose shorter side is {min(sides)}")
    return list(sides).index(max(fitting))


class Up(nn.Module):
    """h (N, inputs, H, W) -> (N, outputs, 2H, 2W)

    Nothing in it has a bias: the batch norm that follows would take it away.
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], begin: Beginning) -> None:
        super().__init__()
        self.before, self.between = norm(inputs), norm(outputs)
        self.first = begin(DoublingConv2d(inputs, outputs, 3, bias=False), gain=HALF)
        self.second = begin(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), gain=HALF)
        self.beside = begin(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, h: Tensor, given: object) -> Tensor:
        inside = self.first(F.relu(self.before(h, given)))
        inside = self.second(F.relu(self.between(inside, given)))
        return inside + repeated(self.beside(h))  # a 1×1 convolution of what is doubled, at a quarter of the cost


class Down(nn.Module):
    """h (N, inputs, H, W) -> (N, outputs, H/2, W/2), or of the same size; the first one reads an image.

    norm: what stands before each ReLU, of so many channels.
    """

    def __init__(
        self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], begin: Beginning, halve: bool, first: bool
    ) -> None:
        super().__init__()
        self.before = nn.Identity() if first else nn.Sequential(norm(inputs), nn.ReLU())
        between, _second = norm(outputs), HalvingConv2d if halve else functools.partial(nn.Conv2d, padding=1)
        bias = isinstance(between, nn.Identity)
        self.inside = nn.Sequential(
            begin(nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias), gain=HALF),
            between,
            nn.ReLU(),
            begin(
                HalvingConv2d(outputs, outputs, 3) if halve else nn.Conv2d(outputs, outputs, 3, padding=1), gain=HALF
            ),
        )
        same = inputs == outputs and not halve
        self.beside = nn.Identity() if same else begin(nn.Conv2d(inputs, outputs, 1, bias=False))
        self.halve = halve

    def forward(self, h: Tensor) -> Tensor:
        inside = self.inside(self.before(h))
        return inside + self.beside(F.avg_pool2d(h, 2) if self.halve else h)


class Growth(nn.Module):
    """(N, widths[-1], h, w) -> (N, C, H, W) in [-1, 1]: blocks that double the coarsest map, and the last layers.

    `norm(k, width)` is a batch norm of block k, which reads the k-th of what is given.
    """

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int],
        norm: Callable[[int, int], nn.Module],
        begin: Beginning,
        attention: int | None,
    ) -> None:
        super().__init__()
        count, coarsest = halvings(tuple(shape))
        self.size = shape[1:]
        own = list(reversed(widths))
        self.blocks = nn.ModuleList(
            Up(before, after, functools.partial(norm, number), begin)
            for number, (before, after) in enumerate(itertools.pairwise(own))
        )
        self.attended = attended(attention, [min(coarsest) << i for i in range(1, count + 1)])
        self.attention = None if self.attended is None else begin.all_of(SelfAttention(own[self.attended + 1]))
        self.last = nn.Sequential(
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            begin(nn.Conv2d(widths[0], shape[0], 3, padding=1)),
            nn.Tanh(),
        )

    def __len__(self) -> int:
        return len(self.blocks)

    def forward(self, h: Tensor, givens: Sequence[object]) -> Tensor:
        for number, (block, given) in enumerate(zip(self.blocks, givens, strict=True)):
            h = block(h, given)
            if self.attention is not None and number == self.attended:
                h = self.attention(h)
        return self.last(h)[..., : self.size[0], : self.size[1]]
