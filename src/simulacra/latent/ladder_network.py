"""The two networks of a ladder: one from x up to features on every grid, one from the top down through the codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.distributions import DiagonalGaussian
from simulacra.fields import Field
from simulacra.nn import AddCondition, Bottleneck, Embed
from simulacra.parts import kind, within

LOG_SCALE = 8.0  # |log σ| of every layer stays below it

Choose = Callable[[DiagonalGaussian, DiagonalGaussian], Tensor]  # p(z_l | h) and q(z_l | h, d) -> z_l


@kind("ladder-size")
class Size:
    """How large a ladder is.

    Attributes:
        width: features of h, on every grid.
        hidden: features within a block.
        latent: numbers that one layer adds to the code of one pixel of its grid.
        layers: on the finest grid, on its half, and so on; the last number is repeated.
        grid: pixels on a side of the finest grid, at most: larger images are cut into patches.
    """

    width: int
    hidden: int
    latent: int
    layers: tuple[int, ...]
    grid: int

    def __post_init__(self) -> None:
        least = min(self.layers, default=0)
        within(1, width=self.width, hidden=self.hidden, latent=self.latent, layers=least, grid=self.grid)


class Grid(NamedTuple):
    """A grid of codes: its pixels (h, w) and how many layers lie on it."""

    size: tuple[int, int]
    layers: int


def grids_of(shape: Sequence[int], size: Size) -> tuple[int, list[Grid]]:
    """The side of a patch, and the grids for images (C, H, W) from the finest down to 1×1, halved and rounded up."""
    patch = 1
    while max(shape[1:]) > patch * size.grid:
        patch *= 2
    pixels, grids = (-(-shape[1] // patch), -(-shape[2] // patch)), []
    while not grids or max(grids[-1].size) > 1:
        grids.append(Grid(pixels, size.layers[min(len(grids), len(size.layers) - 1)]))
        pixels = ((pixels[0] + 1) // 2, (pixels[1] + 1) // 2)
    return patch, grids


class BottomUp(nn.Module):
    """x -> features on every grid."""

    def __init__(self, channels: int, patch: int, size: Size, grids: list[Grid], fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.patch = patch
        self.stem = nn.Conv2d(channels, size.width, patch + 2, stride=patch, padding=1)
        self.embed = Embed(fields, grids[0].size)
        self.condition = AddCondition(fields, size.width, maps=True)
        blocks = [(grid.layers + 1) // 2 for grid in grids]
        scale = 1 / math.sqrt(sum(blocks))
        self.grids = nn.ModuleList(
            nn.ModuleList(Bottleneck(size.width, size.hidden, size.width, grid.size, scale) for _ in range(count))
            for grid, count in zip(grids, blocks, strict=True)
        )

    def forward(self, image: Tensor, condition: Condition) -> list[Tensor]:
        """(N, C, H, W) in [-1, 1] -> features (N, width, h, w), those of the coarsest grid first."""
        height, width = image.shape[2:]
        # a patch that ends beyond the image is filled with its border
        whole = F.pad(image, (0, -width % self.patch, 0, -height % self.patch), mode="replicate")
        h, features = self.condition(self.stem(whole), self.embed(condition)), []
        for blocks in cast(list[nn.ModuleList], self.grids):
            if features:
                h = F.avg_pool2d(h, 2, ceil_mode=True)
            for block in blocks:
                h = h + block(h)
            features.append(h)
        return features[::-1]


class Layer(nn.Module):
    """One layer of codes: p(z_l | h), q(z_l | h, d) with d the features of x, and the map that adds z_l to h."""

    def __init__(self, size: Size, grid: tuple[int, int], scale: float) -> None:
        super().__init__()
        width, hidden, self.latent = size.width, size.hidden, size.latent
        self.prior = Bottleneck(width, hidden, 2 * self.latent + width, grid, scale)
        self.posterior = Bottleneck(2 * width, hidden, 2 * self.latent, grid)
        self.enter = nn.Conv2d(self.latent, width, 1)
        self.block = Bottleneck(width, hidden, width, grid, scale)
        with torch.no_grad():
            self.enter.weight.mul_(scale)

    def forward(self, h: Tensor, features: Tensor | None, choose: Choose) -> Tensor:
        """h, features (N, width, H, W) -> the next h. Without features, q is p."""
        raw = self.prior(h)
        p = _gaussian(raw[:, : 2 * self.latent])
        q = p if features is None else _gaussian(self.posterior(torch.cat((h, features), dim=1)))
        h = h + raw[:, 2 * self.latent :] + self.enter(choose(p, q))
        return h + self.block(h)


def _gaussian(raw: Tensor) -> DiagonalGaussian:
    mean, log_scale = raw.chunk(2, dim=1)
    return DiagonalGaussian(mean, log_scale.clamp(-LOG_SCALE, LOG_SCALE))


class Rung(nn.Module):
    """All layers on one grid."""

    def __init__(self, size: Size, grid: Grid, scale: float, fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(size.width, *grid.size))  # embeds the pixel of the grid
        self.condition = AddCondition(fields, size.width, maps=True)
        self.layers = nn.ModuleList(Layer(size, grid.size, scale) for _ in range(grid.layers))

    def forward(self, h: Tensor, features: Tensor | None, condition: Condition, choose: Choose) -> Tensor:
        """h (N, width, h/2, w/2), rounded up, -> (N, width, h, w)"""
        height, width = self.place.shape[1:]
        grown = F.interpolate(h, scale_factor=2.0)[:, :, :height, :width]
        h = self.condition(grown + self.place, condition)
        for layer in self.layers:
            h = layer(h, features, choose)
        return h


class TopDown(nn.Module):
    """h, from zeros at the top to the finest grid, and from there `outputs` numbers for every pixel of the image."""

    def __init__(
        self, shape: Sequence[int], outputs: int, patch: int, size: Size, grids: list[Grid], fields: Mapping[str, Field]
    ) -> None:
        super().__init__()
        self.height, self.across, self.width, self.patch = *shape[1:], size.width, patch
        scale = 1 / math.sqrt(sum(grid.layers for grid in grids))
        self.embed = Embed(fields, grids[0].size)
        self.rungs = nn.ModuleList(Rung(size, grid, scale, fields) for grid in reversed(grids))
        self.last = nn.Conv2d(size.width, outputs * patch**2, 1)

    def forward(self, n: int, features: Sequence[Tensor] | None, condition: Condition, choose: Choose) -> Tensor:
        """The top-down pass for n items, with or without the features of x -> (N, outputs, H, W)."""
        h, embedded = self.last.weight.new_zeros(n, self.width, 1, 1), self.embed(condition)
        for number, rung in enumerate(self.rungs):
            h = rung(h, None if features is None else features[number], embedded, choose)
        return F.pixel_shuffle(self.last(h), self.patch)[:, :, : self.height, : self.across]
