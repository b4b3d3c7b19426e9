"""Images as chains in raster order: what all networks over pixels share.

Such a network has two passes. `vertical_pass` reads the rows above and the condition and is run once a row in
sampling; `horizontal_pass` reads the pixels to the left, adds the features of the first pass, and is run once a pixel.
Both are written once, for whole images and for a walk that keeps its activations (`simulacra.nn.causal`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.heads import Head
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import Embed, Memory


class Raster(Autoregressive):
    """Base of the networks over pixels. A subclass sets `head` and writes the two passes.

    A value enters the network as `per_value` numbers: as a point of [-1, 1], unless a subclass overrides `enter`.
    """

    head: Head
    per_value = 1

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if spec.levels is None:
            raise UsageError(f"this model is for images on a grid of levels, not {spec.describe()}; try rnade")
        if not spec.is_image:
            raise UsageError(f"this model is for images (C, H, W), not vectors of shape {spec.shape}; try made or nade")
        self.embed = Embed(spec.condition, (spec.shape[1], spec.shape[2]))

    @abstractmethod
    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> Any:
        """Features of the rows above and of the embedded condition, which `horizontal_pass` adds to its own.

        image (N, C, H, W) as `enter` returns it, shifted down by one row, or one row of it.
        """

    @abstractmethod
    def horizontal_pass(self, image: Tensor, added: Any, memory: Memory | None = None) -> Tensor:
        """The outputs for `head`: image (N, C, H, W), or the pixel (N, C) that the memory stands at as far as known;
        `added` is what `vertical_pass` returned."""

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        image = self.enter(x)
        return self.head.everywhere(self.output(image, self.conditioned(condition, len(x))), image)

    def output(self, image: Tensor, condition: Condition) -> Tensor:
        """Both passes over whole images: (N, C · per_value, H, W) from `enter` -> (N, head.outputs, H, W)."""
        above = self.vertical_pass(F.pad(image, (0, 0, 1, 0))[:, :, :-1], self.embed(condition))
        return self.horizontal_pass(image, above)

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> RasterSteps:
        return RasterSteps(self, n, self.conditioned(condition, n))

    def enter(self, x: Tensor) -> Tensor:
        """Levels (N, C, ...) -> the network's input, (N, C · per_value, ...), in its precision: here in [-1, 1]."""
        return self.spec.centred(x.to(next(self.parameters()).dtype))

    def groups(self, width: int) -> int:
        """`width` rounded down to equal shares for red, green and blue; raises UsageError if nothing is left."""
        channels = self.spec.shape[0]
        if width < channels:
            raise UsageError(f"a width of at least {channels} is needed for {channels} channels, not {width}")
        return width // channels * channels


class RasterSteps:
    """`Steps` of a network over pixels: the vertical pass once a row, the horizontal one once a pixel or sub-pixel."""

    @torch.no_grad()
    def __init__(self, model: Raster, n: int, condition: Condition) -> None:
        self.model, self.embedded = model, model.embed(condition)
        channels, height, width = model.spec.shape
        like = next(model.parameters()).detach()
        self.memory = Memory(n, (channels, height, width), like, model.per_value)
        self.entered = model.enter(torch.arange(model.spec.grid_levels, device=like.device)[:, None])  # of each level
        self.row = like.new_zeros(n, channels * model.per_value, 1, width)
        self.columns = self.row[:, :, 0].unbind(2)
        self.pixel = like.new_zeros(n, channels * model.per_value)
        self.parts = self.pixel.split(model.per_value, dim=1)
        self.added: Any = None
        self.output = self.pixel
        self.factor: GridDistribution | None = None

    @torch.no_grad()
    def conditional(self) -> GridDistribution:
        memory, model = self.memory, self.model
        if memory.channel == 0 and memory.column == 0:
            self.added = model.vertical_pass(self.row, self.embedded, memory)
        if memory.channel == 0 or model.head.per_channel:
            self.output = model.horizontal_pass(self.pixel, self.added, memory)
        self.factor = model.head.here(self.output, self.pixel, memory.channel, self.factor if memory.channel else None)
        return self.factor

    def append(self, value: Tensor) -> None:
        memory = self.memory
        self.parts[memory.channel].copy_(self.entered.index_select(0, value.long()))
        if memory.channel == memory.channels - 1:
            self.columns[memory.column].copy_(self.pixel)
            memory.previous.copy_(self.pixel)
            self.pixel.zero_()
        memory.advance()
