r"""Patch critics: a score for each place of an image, which depends on a patch about it, at one or several scales.

    features (N, P, F), P places; scales: of the image at full size, of means over 2×2 pixels, over 4×4, ...

Every place of the finest map has a score at every scale, that of the coarser map's place that covers it; so all scales
count alike. Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", 3.2.2; at several
scales: Wang et al. 2018, "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", 3.2.
Weights have spectral norm (Miyato et al. 2018), or the network has group norms, or nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.networks.blocks import widths
from simulacra.networks.critics import Critic
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import groups_for, halvings, spectral
from simulacra.parts import part, within

Normalise = Literal["spectral", "group", "none"]


class PatchCriticNetwork(nn.Module):
    """x (N, C, H, W) -> features (N, scales · h · w, outputs)."""

    def __init__(self, shape: Sequence[int], part: PatchCritic) -> None:
        super().__init__()
        most, _ = halvings(tuple(shape), smallest=2)
        count = min(part.halvings, most)
        self.scales = nn.ModuleList(_scale(shape[0], part, min(count, max(1, most - k))) for k in range(part.scales))
        self.outputs = widths(part.width, part.widest, part.halvings)[-1]

    def initialise(self, module: nn.Module) -> None:
        """The head is normalised as the body is."""
        if any(hasattr(layer, "u") for layer in self.modules()):
            spectral(module)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for number, network in enumerate(self.scales):
            maps.append(network(x if number == 0 else F.avg_pool2d(x, 2**number, ceil_mode=True)))
        size = maps[0].shape[2:]
        spread = [maps[0], *(F.interpolate(own, size, mode="nearest-exact") for own in maps[1:])]
        return torch.cat([own.flatten(2) for own in spread], dim=2).transpose(1, 2)


def _scale(inputs: int, part: PatchCritic, count: int) -> nn.Sequential:
    """The critic of one scale; the same number of channels at the end whatever its size."""
    own = widths(part.width, part.widest, part.halvings)
    sizes = [inputs, *own[:count]]
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), *_norm(part, after, number > 0), nn.LeakyReLU(0.2)]
    last = own[part.halvings]
    layers += [nn.Conv2d(sizes[-1], last, 3, padding=1), *_norm(part, last, True), nn.LeakyReLU(0.2)]
    network = nn.Sequential(*layers)
    return spectral(network) if part.normalise == "spectral" else network


def _norm(part: PatchCritic, width: int, wanted: bool) -> list[nn.Module]:
    return [nn.GroupNorm(groups_for(width), width)] if wanted and part.normalise == "group" else []


@part("critic", "patch")
class PatchCritic(Critic):
    """A score for each patch of the image.

    Attributes:
        width: channels after the first halving; they double with every further one.
        widest: channels at most; 16 times the width without it.
        halvings: how often the sides are halved at most: with 2 a patch is 18×18 pixels, with 3 it is 38×38.
        scales: at how many sizes the image is looked at.
        normalise: spectral (every weight by its largest singular value), group or none.
    """

    width: int = 32
    widest: int | None = None
    halvings: int = 2
    scales: int = 1
    normalise: Normalise = "spectral"

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, halvings=self.halvings, scales=self.scales)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "patch", on_grid=True)
        return PatchCriticNetwork(shape, self)
