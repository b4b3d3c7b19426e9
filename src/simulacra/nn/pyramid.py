"""Images of any size down to a few coarse pixels, by halving, and back.

An image whose sides are no multiple of 2^halvings is padded on the way down and cropped on the way up.
"""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

SMALLEST = 4  # shorter side of the coarsest feature map, at least


def halvings(shape: tuple[int, ...], smallest: int = SMALLEST) -> tuple[int, tuple[int, int]]:
    """How often the shorter side of (C, H, W) can be halved, rounding up, before it falls below `smallest`; the size
    (h, w) then."""
    count = 0
    while -(-min(shape[1:]) // 2 ** (count + 1)) >= smallest:
        count += 1
    return count, (-(-shape[1] // 2**count), -(-shape[2] // 2**count))


def padding(shape: tuple[int, ...], count: int, coarsest: tuple[int, int]) -> tuple[int, int, int, int]:
    """What `F.pad` adds to the right and below, so that (C, H, W) can be halved `count` times without a rest."""
    return (0, (coarsest[1] << count) - shape[2], 0, (coarsest[0] << count) - shape[1])


class Halve(nn.Module):
    """(N, C, H, W) -> (N, features): strided 4×4 convolutions, `width` channels first and twice as many each time."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        count, coarsest = halvings(shape)
        self.padding = padding(shape, count, coarsest)
        widths = [shape[0], *(width << i for i in range(count))]
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.features = widths[-1] * coarsest[0] * coarsest[1]

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(x, self.padding)
        for conv in self.convs:
            h = F.relu(conv(h))
        return h.flatten(1)


class Double(nn.Module):
    """(N, features) -> (N, outputs, H, W): the way back of `Halve`."""

    def __init__(self, shape: tuple[int, ...], width: int, outputs: int) -> None:
        super().__init__()
        count, self.coarsest = halvings(shape)
        self.size = shape[1:]
        widths = [*(width << i for i in reversed(range(count))), outputs]
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1) for before, after in itertools.pairwise(widths)
        )
        self.features = widths[0] * self.coarsest[0] * self.coarsest[1]

    def forward(self, h: Tensor) -> Tensor:
        h = h.unflatten(1, (-1, *self.coarsest))
        for conv in self.convs:
            h = conv(F.relu(h))
        return h[..., : self.size[0], : self.size[1]]
