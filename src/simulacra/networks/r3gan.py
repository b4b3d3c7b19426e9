r"""Residual networks without normalisation, for images from 8×8 up: the modern baseline for both players.

    h <- h + W₃ σ(W₂ * σ(W₁ h)),     W₁, W₃ 1×1, W₂ 3×3 in groups of 16 channels, W₁ widens h twice, σ a leaky ReLU

Resolutions are two such blocks each; between them are bilinear interpolation, or its adjoint, and a 1×1 convolution
where the width changes. Initialisation takes the place of normalisation (fix-up): W₃ is zero, and W₁ and W₂ are those
of He times L^(-1/4), with L blocks in the network, so that the first updates of its output do not grow with L.
A learned map of the coarsest size, weighed by a linear map of the code, is where the generator starts; with another
such map the critic ends.
Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", sections 3.2 to 3.4; Zhang et al. 2019,
"Fixup Initialization".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.critics import Critic
from simulacra.networks.generators import BesideCode, Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import doubled, halved, halvings, padding
from simulacra.parts import part, within

SLOPE = 0.2  # of the leaky ReLU
WIDEST = 2  # doublings of the channels, at most


class Block(nn.Module):
    """h (N, width, H, W) -> the same shape; the identity in the beginning. `blocks`: L of the network."""

    def __init__(self, width: int, expansion: int, group: int, blocks: int) -> None:
        super().__init__()
        hidden = width * expansion
        size = next(size for size in range(min(group, hidden), 0, -1) if hidden % size == 0)
        self.widen = nn.Conv2d(width, hidden, 1)
        self.around = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden // size)
        self.narrow = nn.Conv2d(hidden, width, 1, bias=False)
        for conv in (self.widen, self.around):
            _he(conv, gain=nn.init.calculate_gain("leaky_relu", SLOPE) * blocks**-0.25)
        nn.init.zeros_(self.narrow.weight)

    def forward(self, h: Tensor) -> Tensor:
        inner = F.leaky_relu(self.widen(h), SLOPE)
        return h + self.narrow(F.leaky_relu(self.around(inner), SLOPE))


def _he(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Weights from N(0, gain² / inputs), without a bias."""
    nn.init.normal_(layer.weight, 0.0, gain * layer.weight[0].numel() ** -0.5)
    _no_bias(layer)


def _no_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _change(inputs: int, outputs: int) -> nn.Module:
    """A 1×1 convolution where the width changes."""
    if inputs == outputs:
        return nn.Identity()
    conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    _he(conv)
    return conv


class _Levels(nn.Module):
    """What both networks are built of: for each resolution, the image's own first, its width and its blocks."""

    def __init__(self, shape: Sequence[int], width: int, blocks: int, expansion: int, group: int) -> None:
        super().__init__()
        self.halvings, self.coarsest = halvings(tuple(shape))
        self.widths = [width << min(i, WIDEST) for i in range(self.halvings + 1)]
        count = blocks * len(self.widths)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(own, expansion, group, count) for _ in range(blocks))) for own in self.widths
        )


class ResidualGenerator(_Levels):
    """z (N, latent) -> x (N, C, H, W), unbounded: from the coarsest size doubled to that of the image, then cropped."""

    def __init__(self, spec: DataSpec, latent: int, width: int, blocks: int, expansion: int, group: int) -> None:
        super().__init__(spec.shape, width, blocks, expansion, group)
        channels, *self.size = spec.shape
        self.beside = BesideCode(spec.condition, latent)
        self.basis = nn.Parameter(torch.randn(self.widths[-1], *self.coarsest))
        self.weigh = nn.Linear(self.beside.outputs, self.widths[-1], bias=False)
        self.changes = nn.ModuleList(_change(self.widths[i + 1], self.widths[i]) for i in range(self.halvings))
        self.last = nn.Conv2d(width, channels, 1)
        for layer in (self.weigh, self.last):
            _he(layer)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        h = self.weigh(self.beside(z, condition))[:, :, None, None] * self.basis
        h = self.stages[-1](h)
        for i in reversed(range(self.halvings)):
            h = self.stages[i](doubled(self.changes[i](h)))
        return self.last(h)[..., : self.size[0], : self.size[1]]


class ResidualCritic(_Levels):
    """x (N, C, H, W) -> features (N, F): zero-padded to a multiple of the coarsest size and halved down to it."""

    def __init__(self, shape: Sequence[int], width: int, blocks: int, expansion: int, group: int) -> None:
        super().__init__(shape, width, blocks, expansion, group)
        self.padding = padding(tuple(shape), self.halvings, self.coarsest)
        self.first = nn.Conv2d(shape[0], width, 1)
        self.changes = nn.ModuleList(_change(self.widths[i], self.widths[i + 1]) for i in range(self.halvings))
        self.outputs = self.widths[-1]
        area = self.coarsest[0] * self.coarsest[1]
        self.basis = nn.Parameter(torch.randn(self.outputs, *self.coarsest) * area**-0.5)
        _he(self.first)

    def initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            _he(module)
        elif isinstance(module, nn.Embedding):  # such that what the condition adds to a score is about as large as it
            nn.init.normal_(module.weight, 0.0, self.outputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(F.pad(x, self.padding))
        for i in range(self.halvings):
            h = self.changes[i](halved(self.stages[i](h)))
        return (self.stages[-1](h) * self.basis).sum((2, 3))


class _Residual:
    width: int
    blocks: int
    expansion: int
    group: int

    def __post_init__(self) -> None:
        within(1, width=self.width, blocks=self.blocks, expansion=self.expansion, group=self.group)


@part("generator", "r3gan")
class R3Generator(_Residual, Generator):
    """Residual blocks without normalisation, in groups of channels, and bilinear interpolation.

    Attributes:
        width: channels next to the image; they double with the first two halvings of its sides.
        blocks: of each resolution.
        expansion: of the width within a block.
        group: channels that a 3×3 convolution looks at together, at most.
    """

    width: int = 32
    blocks: int = 2
    expansion: int = 2
    group: int = 16

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "r3gan")
        return ResidualGenerator(spec, latent, self.width, self.blocks, self.expansion, self.group)


@part("critic", "r3gan")
class R3Critic(_Residual, Critic):
    """Residual blocks without normalisation, in groups of channels, and the adjoint of bilinear interpolation.

    Attributes:
        width: channels next to the image; they double with the first two halvings of its sides.
        blocks: of each resolution.
        expansion: of the width within a block.
        group: channels that a 3×3 convolution looks at together, at most.
    """

    width: int = 32
    blocks: int = 2
    expansion: int = 2
    group: int = 16

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "r3gan")
        return ResidualCritic(shape, self.width, self.blocks, self.expansion, self.group)
