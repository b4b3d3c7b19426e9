"""Images as chains in raster order, red before green before blue, p(x) = Π_i p(x_i | x_<i), from one network.

Networks over pixels are parts, whose two passes `simulacra.autoregressive.pixels` describes; a named model, such as
`pixelcnn`, is a preset with one of them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.gated_pixelcnn import GatedPixelCNN
from simulacra.autoregressive.pixels import PixelPart
from simulacra.capabilities import Steps
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import Embed, Memory
from simulacra.registry import register


def refuse_unless_pixels(spec: DataSpec) -> None:
    """Raise UsageError, with what to use instead, for data that are no images on a grid of levels."""
    if spec.levels is None:
        raise UsageError(f"this model is for images on a grid of levels, not {spec.describe()}; try rnade")
    if not spec.is_image:
        raise UsageError(f"this model is for images (C, H, W), not vectors of shape {spec.shape}; try made or nade")


@register(
    "raster",
    paper="van den Oord et al. 2016, Pixel Recurrent Neural Networks",
    defaults={"learning_rate": 4e-3, "batch": 32, "steps": 1500, "schedule": "cosine"},
)
class Raster(Autoregressive):
    r"""log p(x|c) = Σ_i log p(x_i | x_<i, c), exact, for images of any size, depth and number of channels.

    Args:
        spec: what x is; with a condition, p(x | condition).
        network: gated-pixelcnn, pixelcnn, pixelcnn++, pixelsnail, pixelrnn-row, pixelrnn-diagonal, or one of your own.
    """

    bf16_from: ClassVar[int | None] = 784

    def __init__(self, spec: DataSpec, network: PixelPart = GatedPixelCNN()) -> None:  # noqa: B008 (it is immutable)
        super().__init__(spec)
        refuse_unless_pixels(spec)
        self.embed = Embed(spec.condition, (spec.shape[1], spec.shape[2]))
        self.network = network.build(spec)

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        image = self.network.enter(x)
        return self.network.head.everywhere(self.output(image, self.conditioned(condition, len(x))), image)

    def output(self, image: Tensor, condition: Condition) -> Tensor:
        """Both passes over whole images: (N, C · per_value, H, W) from `enter` -> (N, head.outputs, H, W)."""
        above = self.network.vertical_pass(F.pad(image, (0, 0, 1, 0))[:, :, :-1], self.embed(condition))
        return self.network.horizontal_pass(image, above)

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> Steps:
        return RasterSteps(self, n, self.conditioned(condition, n))


class RasterSteps:
    """`Steps` of a network over pixels: the vertical pass once a row, the horizontal one once a pixel or sub-pixel."""

    @torch.no_grad()
    def __init__(self, model: Raster, n: int, condition: Condition) -> None:
        self.network, self.embedded = model.network, model.embed(condition)
        channels, height, width = model.spec.shape
        like = next(model.parameters()).detach()
        network = self.network
        self.memory = Memory(n, (channels, height, width), like, network.per_value)
        self.entered = network.enter(torch.arange(model.spec.grid_levels, device=like.device)[:, None])  # of each level
        self.row = like.new_zeros(n, channels * network.per_value, 1, width)
        self.columns = self.row[:, :, 0].unbind(2)
        self.pixel = like.new_zeros(n, channels * network.per_value)
        self.parts = self.pixel.split(network.per_value, dim=1)
        self.added: Any = None
        self.output = self.pixel
        self.factor: GridDistribution | None = None

    @torch.no_grad()
    def conditional(self) -> GridDistribution:
        memory, network = self.memory, self.network
        if memory.channel == 0 and memory.column == 0:
            self.added = network.vertical_pass(self.row, self.embedded, memory)
        if memory.channel == 0 or network.head.per_channel:
            self.output = network.horizontal_pass(self.pixel, self.added, memory)
        self.factor = network.head.here(
            self.output, self.pixel, memory.channel, self.factor if memory.channel else None
        )
        return self.factor

    def append(self, value: Tensor) -> None:
        memory = self.memory
        self.parts[memory.channel].copy_(self.entered.index_select(0, value.long()))
        if memory.channel == memory.channels - 1:
            self.columns[memory.column].copy_(self.pixel)
            memory.previous.copy_(self.pixel)
            self.pixel.zero_()
        memory.advance()
