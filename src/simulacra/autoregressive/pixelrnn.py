r"""PixelRNN: log p(x) = Σ_i log p(x_i | x_<i) by LSTMs that move over the image, red -> green -> blue within a pixel.

A masked convolution reads the image, layers of LSTMs carry its features onwards without bound, each with h units on a
residual stream of 2h features, x <- x + U h(x); two masked 1×1 convolutions give the logits of the next sub-pixel. The
gates of a layer read x through a mask as in a PixelCNN, and earlier states without one: these depend only on the past.

For whole images all features stand pixel first, (M, N, C), in the order in which the line of cells reaches the M = H·W
pixels: a step of the recurrence is then one stretch of memory.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3 and table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, cast

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import LevelHead
from simulacra.autoregressive.pixels import PixelNetwork, shared
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field
from simulacra.nn import AddCondition, Memory, RightConv2d
from simulacra.nn.lstm import Spans


class Path(Protocol):
    """The order in which a line of cells reaches the pixels of an image; `spans` as in `simulacra.nn.lstm.scan`."""

    spans: Spans

    def flatten(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (M, N, C); a single pixel (N, C, 1, 1) stands for all, (1, N, C)."""
        ...

    def unflatten(self, pixels: Tensor) -> Tensor:
        """(M, N, C) -> (N, C, H, W)"""
        ...


class Added(NamedTuple):
    """What is added to a layer's pre-activations: maps of the condition (N, maps, H or 1, W or 1), and features of the
    row above (N, maps / 2, H, W) for those of its cells that come from the right."""

    maps: Tensor | None
    above: Tensor | None


class Layer(Protocol):
    """Attributes: maps: number of a pixel's pre-activations to which the condition is added."""

    maps: int

    def __call__(self, x: Tensor, added: Added, memory: Memory | None) -> Tensor:
        """x (M, N, 2h), or with a memory the pixel it stands at (N, 2h or its share); `added` to pre-activations."""
        ...


def pointwise(conv: RightConv2d, x: Tensor) -> Tensor:
    """A masked 1×1 convolution of pixels in any order, (..., C) -> (..., C')."""
    return F.linear(x, (conv.weight * conv.mask)[:, :, 0, 0], conv.bias)


class LayerConditions(nn.Module):
    """The condition, embedded as what is added to the pre-activations of every layer."""

    def __init__(self, fields: Mapping[str, Field], size: tuple[int, int], maps: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.ModuleList(AddCondition(fields, count, maps=True) for count in maps)

    def forward(self, condition: Condition, memory: Memory | None = None) -> list[Tensor | None]:
        """For every layer (N, maps, 1, 1), (N, maps, H, W), or nothing; with a memory one row of a map."""
        return [cast(AddCondition, layer).everywhere(condition, self.size, memory) for layer in self.layers]


class PixelRNN(PixelNetwork):
    """A first window, layers of LSTMs along one path, and a `LevelHead`.

    Args:
        path: that all layers take.
        layer: makes one of its number of units.
        width: units of each layer.
        layers: how many.
        kernel: side of the first window.
        looks_up: whether the first layer also reads the image one row further up.
    """

    def __init__(
        self,
        spec: DataSpec,
        path: Path,
        layer: Callable[[int], nn.Module],
        width: int,
        layers: int,
        kernel: int,
        looks_up: bool,
    ) -> None:
        super().__init__(spec)
        channels, width, reach = spec.shape[0], shared(width, spec.shape[0]), kernel // 2
        self.head, self.path = LevelHead(spec), path
        self.first = RightConv2d(channels, 2 * width, reach, reach, reach, groups=channels, strict=True)
        self.stack = nn.ModuleList(layer(width) for _ in range(layers))
        size, maps = (spec.shape[1], spec.shape[2]), [each.maps for each in self.layers]
        self.conditions = LayerConditions(spec.condition, size, maps)
        self.gather = RightConv2d(2 * width, 2 * width, groups=channels)
        self.last = RightConv2d(2 * width, self.head.outputs, groups=channels)
        self.above_features = nn.Conv2d(channels, maps[0] // 2, 1, bias=False) if looks_up else None

    @property
    def layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.stack))

    def vertical_pass(self, image: Tensor, condition: Condition, memory: Memory | None = None) -> list[Added]:
        """The condition, and what the first layer reads of the row above: the states of the LSTMs carry the rest."""
        above = None if self.above_features is None else self.above_features(image)
        return [Added(maps, None if i else above) for i, maps in enumerate(self.conditions(condition, memory))]

    def horizontal_pass(self, image: Tensor, added: list[Added], memory: Memory | None = None) -> Tensor:
        if memory is None:
            return self._everywhere(image, added)
        x = self.first(image, memory=memory)
        for layer, each in zip(self.layers, added, strict=True):
            x = layer(x, each, memory)
        return self.last(F.relu(self.gather(F.relu(x), memory=memory)), memory=memory)

    def _everywhere(self, image: Tensor, added: list[Added]) -> Tensor:
        x = self.path.flatten(self.first(image))
        for layer, each in zip(self.layers, added, strict=True):
            x = layer(x, each, None)
        return self.path.unflatten(pointwise(self.last, F.relu(pointwise(self.gather, F.relu(x)))))
