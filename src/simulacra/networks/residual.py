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

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.critics import Critic
from simulacra.networks.generators import Generator
from simulacra.nn import ConditionalBatchNorm, ConditionRows, Embed, SelfAttention, halvings, padding, spectral
from simulacra.parts import part, within

SMALLEST = 8  # shorter side of an image, at least
CIFAR = 32  # shorter side, at most, for which the papers keep a network as wide everywhere
WIDEST = 16  # channels at most, in units of those next to the image
HALF = 2**0.5  # gain of a map behind a ReLU, which lets half of a signal through

Initial = Literal["glorot", "orthogonal"]
Normalise = Literal["spectral", "batch", "none"]
Pool = Literal["sum", "mean"]
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


def refuse(spec: DataSpec, name: str) -> None:
    """Raise UsageError for what is no image on a grid of at least 8×8."""
    if not spec.is_image or min(spec.shape[1:]) < SMALLEST:
        raise UsageError(f"{name} networks are for images from 8×8 up, not shape {spec.shape}; try dense, or a vae")
    if spec.levels is None:
        raise UsageError(f"{name} networks are for images on a grid of levels; try dense")


class Up(nn.Module):
    """h (N, inputs, H, W) -> (N, outputs, 2H, 2W)

    Nothing in it has a bias: the batch norm that follows would take it away.
    """

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], begin: Beginning) -> None:
        super().__init__()
        self.before, self.between = norm(inputs), norm(outputs)
        self.first = begin(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), gain=HALF)
        self.second = begin(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), gain=HALF)
        self.beside = begin(nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, h: Tensor, given: object) -> Tensor:
        inside = self.first(_doubled(F.relu(self.before(h, given))))
        inside = self.second(F.relu(self.between(inside, given)))
        return inside + _doubled(self.beside(h))  # a 1×1 convolution of what is doubled, at a quarter of the cost


def _doubled(h: Tensor) -> Tensor:
    return F.interpolate(h, scale_factor=2.0, mode="nearest")


class Down(nn.Module):
    """h (N, inputs, H, W) -> (N, outputs, H/2, W/2), or of the same size; the first one reads an image.

    norm: what stands before each ReLU, of so many channels.
    """

    def __init__(
        self, inputs: int, outputs: int, norm: Callable[[int], nn.Module], begin: Beginning, halve: bool, first: bool
    ) -> None:
        super().__init__()
        self.before = nn.Identity() if first else nn.Sequential(norm(inputs), nn.ReLU())
        between = norm(outputs)
        bias = isinstance(between, nn.Identity)
        self.inside = nn.Sequential(
            begin(nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias), gain=HALF),
            between,
            nn.ReLU(),
            begin(nn.Conv2d(outputs, outputs, 3, padding=1), gain=HALF),
        )
        same = inputs == outputs and not halve
        self.beside = nn.Identity() if same else begin(nn.Conv2d(inputs, outputs, 1, bias=False))
        self.halve = halve

    def forward(self, h: Tensor) -> Tensor:
        inside = self.inside(self.before(h))
        if not self.halve:
            return inside + self.beside(h)
        return F.avg_pool2d(inside, 2) + self.beside(F.avg_pool2d(h, 2))


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
        refuse(spec, "residual")
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
        refuse(spec, "residual")
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
