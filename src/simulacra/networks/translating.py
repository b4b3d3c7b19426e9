"""What networks from pictures to a picture have in common: what they read, and how they end.

The pictures and maps of the condition stand beside each other as channels; the code z and all other fields are one
vector s, which scales and shifts the norms. What is made ends in [-1, 1] and agrees with the derived fields of the
condition.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.generators import LABEL_SCALE, BesideCode, scale_rows
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import Imposed, Pictures, is_map

STYLE = 64  # numbers of s


class Inputs(nn.Module):
    """z (N, latent) and a condition -> pictures (N, count, H, W) and s (N, STYLE)."""

    def __init__(self, spec: DataSpec, latent: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.pictures = Pictures(spec.condition, size)
        self.beside = BesideCode({n: field for n, field in spec.condition.items() if not is_map(field)}, latent)
        self.style = nn.Sequential(nn.Linear(self.beside.outputs, STYLE), nn.ReLU())
        scale_rows(self.beside.vectors, LABEL_SCALE)
        self.count, self.size = self.pictures.count, size

    def forward(self, z: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        s = self.style(self.beside(z, condition))
        if not self.count:
            return s.new_zeros(len(s), 0, *self.size), s
        return self.pictures(condition).to(s.dtype), s


class Ending(nn.Module):
    """Features (N, width, H', W') -> x (N, C, H, W) in [-1, 1], cropped, and made to agree with the condition."""

    def __init__(self, spec: DataSpec, width: int, kernel: int = 3) -> None:
        super().__init__()
        channels, *self.size = spec.shape
        self.conv = nn.Conv2d(width, channels, kernel, padding=kernel // 2)
        self.imposed = Imposed(spec.condition)

    def forward(self, h: Tensor, condition: Condition) -> Tensor:
        x = torch.tanh(self.conv(h))[..., : self.size[0], : self.size[1]]
        return self.imposed(x, condition)


def refuse_without_picture(spec: DataSpec, name: str) -> None:
    """Raise UsageError unless x is images and one field of the condition is a picture or a map."""
    refuse_unless_images(spec, name, on_grid=True)
    if not any(map(is_map, spec.condition.values())):
        raise UsageError(
            f"{name} networks make a picture of a picture: give a field that is one, --condition map, or one that is "
            "made of x: --condition grey, edges, down:factor=2 or mask:kind=half"
        )
