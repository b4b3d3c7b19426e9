r"""Differentiable augmentation: the same random changes of colour and place for real and generated images, always.

    colour       x + b, m_c + s (x - m_c), then m + t (x - m), with b ∈ [-½, ½], s ∈ [0, 2] and t ∈ [½, 3/2]
    translation  by whole pixels, up to an eighth of each side, with zeros from outside
    cutout       a square of half the sides, anywhere, is set to zero

brightness, saturation and contrast, with m_c the mean over the channels of a pixel and m that over an image. No change
is left out by chance, so that there is no proof that a generator cannot learn them, as there is for `adaptive`; Zhao et
al. found no such leak.
Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", sections 3.2 and 4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from simulacra import whole
from simulacra.adversarial.augmentation import Augment, Shown, refuse_without_images
from simulacra.data.spec import DataSpec
from simulacra.distributions import at_least_float32
from simulacra.errors import UsageError
from simulacra.parts import part

Change = Literal["colour", "translation", "cutout"]
SHARE = 1 / 8  # of a side, by which an image is moved at most


def per_item(low: float, high: float, x: Tensor) -> Tensor:
    """A uniform number between two others for each image (N, C, H, W), (N, 1, 1, 1)."""
    return low + (high - low) * whole.uniform((len(x), 1, 1, 1), x)


def per_item_integer(low: int, high: int, x: Tensor) -> Tensor:
    """An integer from low to high for each image, all equally probable, (N, 1, 1, 1)."""
    return (low + (whole.uniform((len(x), 1, 1, 1), x) * (high - low + 1)).floor()).long().clamp(max=high)


def coloured(x: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    """Images with a number of each for every one of them; a grey image has no saturation that could change."""
    x = x + brightness
    if x.shape[1] > 1:
        x = torch.lerp(x.mean(1, keepdim=True), x, saturation)
    return torch.lerp(x.mean((1, 2, 3), keepdim=True), x, contrast)


def translated(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Images moved by whole pixels (N, 1, 1, 1), with zeros from outside."""
    rows, columns = places(x)
    from_row, from_column = rows - down, columns - right
    inside = _within(from_row, x.shape[2]) & _within(from_column, x.shape[3])
    return gathered(x, from_row.clamp(0, x.shape[2] - 1), from_column.clamp(0, x.shape[3] - 1)) * inside


def places(x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows (1, 1, H, 1) and the columns (1, 1, 1, W) of images (N, C, H, W)."""
    rows, columns = torch.arange(x.shape[2], device=x.device), torch.arange(x.shape[3], device=x.device)
    return rows.view(1, 1, -1, 1), columns.view(1, 1, 1, -1)


def gathered(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Pixels of images (N, C, H, W) at the given rows and columns, both of a shape like (N, 1, H, W)."""
    index = (row * x.shape[3] + column).expand(len(x), x.shape[1], *x.shape[2:])
    return x.flatten(2).gather(2, index.flatten(2)).view_as(x)


def without_square(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Images with zeros in a square of half the sides, whose centre (N, 1, 1, 1) may lie at an edge."""
    (height, width), (rows, columns) = x.shape[2:], places(x)
    hole = _around(rows - row, height // 2) & _around(columns - column, width // 2)
    return x * ~hole


def _around(distance: Tensor, side: int) -> Tensor:
    """Whether a place is one of the `side` about the centre."""
    return (distance >= -(side // 2)) & (distance < side - side // 2)


def _within(place: Tensor, side: int) -> Tensor:
    return (place >= 0) & (place < side)


class Changes(Augment):
    """T by a policy."""

    def __init__(self, policy: tuple[Change, ...]) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, x: Tensor) -> Tensor:
        x = at_least_float32(x)
        height, width = x.shape[2:]
        if "colour" in self.policy:
            x = coloured(x, per_item(-0.5, 0.5, x), per_item(0.0, 2.0, x), per_item(0.5, 1.5, x))
        if "translation" in self.policy:
            furthest = [round(side * SHARE) for side in (height, width)]
            x = translated(x, *(per_item_integer(-most, most, x) for most in furthest))
        if "cutout" in self.policy:
            x = without_square(x, per_item_integer(0, height - 1, x), per_item_integer(0, width - 1, x))
        return x


@part("shown", "diffaugment")
class DiffAugment(Shown):
    """Colour, translation and cutout, of every image in every turn.

    Attributes:
        policy: which of colour, translation and cutout.
    """

    policy: tuple[Change, ...] = ("colour", "translation", "cutout")

    def __post_init__(self) -> None:
        if not self.policy or len(set(self.policy)) < len(self.policy):
            raise UsageError("the policy of diffaugment has one or more of colour, translation and cutout, each once")

    def build(self, spec: DataSpec) -> Augment:
        refuse_without_images(spec, "diffaugment")
        return Changes(self.policy)
