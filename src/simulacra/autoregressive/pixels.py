"""Networks over pixels: parts of a `Raster` model, each with two passes over an image.

`vertical_pass` reads the rows above and the condition and is run once a row in sampling; `horizontal_pass` reads the
pixels to the left, adds the features of the first pass, and is run once a pixel. Both are written once, for whole
images and for a walk that keeps its activations (`simulacra.nn.causal`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

from torch import Tensor, nn

from simulacra.autoregressive.heads import Head
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.nn import Memory
from simulacra.parts import kind


@kind("pixel-network")
class PixelPart(Protocol):
    """Builds the network of a chain over pixels."""

    def build(self, spec: DataSpec) -> PixelNetwork:
        """For images (C, H, W) on a grid of levels; raises UsageError for those that it is not for."""
        ...


class PixelNetwork(nn.Module):
    """Abstract: the two passes. Output i of an image reads the condition, what comes before x_i, and nothing else.

    Attributes:
        head: turns the outputs for a pixel into masses of its sub-pixels.
        per_value: numbers by which one value enters: itself in [-1, 1], or its row of an `embedding`.
        embedding: of the levels, where they stand for things without an order.
    """

    head: Head
    per_value: int
    embedding: nn.Embedding | None

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        self.spec, self.per_value, self.embedding = spec, 1, None

    @abstractmethod
    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> Any:
        """Features of the rows above and of the embedded condition, which `horizontal_pass` adds to its own.

        image (N, C · per_value, H, W) as `enter` returns it, shifted down by one row, or one row of it.
        """

    @abstractmethod
    def horizontal_pass(self, image: Tensor, added: Any, memory: Memory | None = None) -> Tensor:
        """The outputs for `head`: image (N, C · per_value, H, W), or the pixel (N, C · per_value) that the memory
        stands at as far as known; `added` is what `vertical_pass` returned."""

    def enter(self, x: Tensor) -> Tensor:
        """Levels (N, C, ...) -> the network's input, (N, C · per_value, ...), in its precision."""
        if self.embedding is None:
            return self.spec.centred(x.to(next(self.parameters()).dtype))
        return self.embedding(x.long()).movedim(-1, 2).flatten(1, 2)


def shared(width: int, channels: int) -> int:
    """`width` rounded down to equal shares for red, green and blue; raises UsageError if nothing is left."""
    if width < channels:
        raise UsageError(f"a width of at least {channels} is needed for {channels} channels, not {width}")
    return width // channels * channels
