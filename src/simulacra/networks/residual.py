r"""Residual networks of generators and critics, for images of any size from 8×8 up.

    generator   z -> coarsest map -> blocks that double it -> batch norm, ReLU, 3×3, tanh -> cropped
    critic      padded -> blocks that halve -> blocks that do not -> ReLU, sum over all places

A block is h + F(h), with F two 3×3 convolutions, a ReLU (in the generator batch norm and a ReLU) before each. In a
generator the condition enters by conditional batch norm. Miyato et al. 2018, "Spectral Normalization for Generative
Adversarial Networks", appendix B; with self-attention: Zhang et al. 2019, "Self-Attention Generative Adversarial
Networks". The paper's networks for CIFAR-10 are `residual:width=256,widest=256` and
`residual:width=128,widest=128,halvings=2,blocks=2`, those for ImageNet at 128×128 the ones by default.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.blocks import Beginning, Down, Growth, Initial, attended, widths
from simulacra.networks.critics import Critic
from simulacra.networks.generators import Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import ConditionalBatchNorm, ConditionRows, Embed, SelfAttention, halvings, padding
from simulacra.parts import part, within

CIFAR = 32  # shorter side, at most, for which the papers keep a network as wide everywhere
Normalise = Literal["spectral", "batch", "none"]
Pool = Literal["sum", "mean"]


class ResNetGenerator(nn.Module):
    """z (N, latent) -> x (N, C, H, W) in [-1, 1], the condition in every batch norm of a block."""

    def __init__(self, spec: DataSpec, latent: int, part: ResidualGenerator) -> None:
        super().__init__()
        begin = Beginning(part.initial, part.spectral)
        count, self.coarsest = halvings(spec.shape)
        own = widths(part.width, part.widest, count)
        self.embed, fields = Embed(spec.condition), spec.condition
        self.enter = begin(nn.Linear(latent, own[-1] * self.coarsest[0] * self.coarsest[1]))
        self.blocks = Growth(
            spec.shape,
            own,
            lambda _, width: ConditionalBatchNorm(width, ConditionRows(fields, 2 * width) if fields else None),
            begin,
            part.attention,
        )

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        given = self.embed(condition)
        h = self.enter(z).unflatten(1, (-1, *self.coarsest))
        return self.blocks(h, [given] * len(self.blocks))


class ResNetCritic(nn.Module):
    """x (N, C, H, W) -> features (N, outputs), summed or averaged over all places."""

    def __init__(self, shape: Sequence[int], part: ResidualCritic) -> None:
        super().__init__()
        self.begin, self.pool = Beginning(part.initial, part.normalise == "spectral"), part.pool
        begin = self.begin
        norm = nn.BatchNorm2d if part.normalise == "batch" else lambda width: nn.Identity()
        possible, _ = halvings(tuple(shape))
        count = possible if part.halvings is None else min(part.halvings, possible)
        coarsest = (-(-shape[1] // 2**count), -(-shape[2] // 2**count))
        self.padding = padding(tuple(shape), count, coarsest)
        own = [shape[0], *widths(part.width, part.widest, count)[: count + bool(part.blocks)]]
        own += [own[-1]] * (part.blocks - 1)
        self.blocks = nn.ModuleList(
            Down(before, after, norm, begin, number < count, number == 0)
            for number, (before, after) in enumerate(itertools.pairwise(own))
        )
        self.attended = attended(part.attention, [min(coarsest) << i for i in reversed(range(count))])
        self.attention = None if self.attended is None else begin.all_of(SelfAttention(own[self.attended + 1]))
        self.outputs = own[-1]
        self.last = nn.Sequential(norm(self.outputs), nn.ReLU())

    def initialise(self, module: nn.Module) -> None:
        self.begin(module)

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(x, self.padding)
        for number, block in enumerate(self.blocks):
            h = block(h)
            if self.attention is not None and number == self.attended:
                h = self.attention(h)
        h = self.last(h)
        return h.sum((2, 3)) if self.pool == "sum" else h.mean((2, 3))


@part("generator", "residual")
class ResidualGenerator(Generator):
    """Residual blocks that double the size, the condition in their batch norms.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        spectral: whether its weights are normalised by their largest singular values, too.
        attention: self-attention at the largest feature map whose shorter side is at most this; none without it.
        initial: weights at the beginning: glorot or orthogonal.
    """

    width: int = 64
    widest: int | None = None
    spectral: bool = False
    attention: int | None = None
    initial: Initial = "glorot"

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, attention=self.attention)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "residual", on_grid=True)
        return ResNetGenerator(spec, latent, self)


@part("critic", "residual")
class ResidualCritic(Critic):
    """Residual blocks that halve the size, and the sum or mean of what is left of it.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        halvings: how often the sides are halved at most; without it down to 4 pixels.
        blocks: after the last halving.
        normalise: spectral (every weight by its largest singular value), batch or none.
        pool: sum or mean, of what is left of the image.
        attention: self-attention at the largest feature map whose shorter side is at most this; none without it.
        initial: weights at the beginning: glorot or orthogonal.
    """

    width: int = 64
    widest: int | None = None
    halvings: int | None = None
    blocks: int = 1
    normalise: Normalise = "spectral"
    pool: Pool = "sum"
    attention: int | None = None
    initial: Initial = "glorot"

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, halvings=self.halvings, attention=self.attention)
        within(0, blocks=self.blocks)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "residual", on_grid=True)
        return ResNetCritic(shape, self)


def paper_critic(
    spec: DataSpec,
    width: int,
    normalise: Normalise = "spectral",
    pool: Pool = "sum",
    attention: int | None = None,
) -> ResidualCritic:
    """That of the papers: up to 32×32 as for CIFAR-10 (width 128), as wide everywhere; above as for ImageNet (64)."""
    if is_large(spec):
        return ResidualCritic(width, normalise=normalise, pool=pool, attention=attention)
    return ResidualCritic(width, width, 2, 2, normalise, pool, attention)


def paper_generator(
    spec: DataSpec, width: int, spectral: bool = False, attention: int | None = None
) -> ResidualGenerator:
    """That which goes with a `paper_critic` of this width: twice as wide up to 32×32."""
    if is_large(spec):
        return ResidualGenerator(width, None, spectral, attention)
    return ResidualGenerator(2 * width, 2 * width, spectral, attention)


def is_large(spec: DataSpec) -> bool:
    return spec.is_image and min(spec.shape[1:]) > CIFAR


def at_most_half(spec: DataSpec, most: int = 32) -> int:
    """Half the shorter side of an image, that of a feature map of a generator, and `most` at most."""
    if not spec.is_image:
        return most
    count, coarsest = halvings(spec.shape)
    return min(most, min(coarsest) << max(1, count - 1))
