r"""PixelRNN: log p(x) = Σ_i log p(x_i | x_<i) by LSTMs that move over the image, red -> green -> blue within a pixel.

A masked convolution reads the image, layers of LSTMs carry its features onwards without bound, each with h units on a
residual stream of 2h features, x <- x + U h(x); two masked 1×1 convolutions tell the next sub-pixel. What the gates of
a layer read of x is masked as in a PixelCNN; what they read of earlier states needs no mask: these know only the past.

For whole images all features stand pixel first, (M, N, C), in the order in which the line of cells reaches the M = H·W
pixels: a step of the recurrence is then one stretch of memory.
van den Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3 and table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.autoregressive.heads import LevelHead
from simulacra.autoregressive.raster import Raster
from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.nn import AddCondition, Memory, RightConv2d
from simulacra.nn.lstm import Spans


class Path(Protocol):
    """The order in which a line of cells reaches the pixels of an image; `spans` as in `simulacra.nn.lstm.scan`."""

    spans: Spans

    def lay(self, image: Tensor) -> Tensor:
        """(N, C, H, W) -> (M, N, C); a single pixel (N, C, 1, 1) stands for all, (1, N, C)."""
        ...

    def raise_up(self, pixels: Tensor) -> Tensor:
        """(M, N, C) -> (N, C, H, W)"""
        ...


class Layer(Protocol):
    """Attributes: maps: pre-activations of a pixel, to which the condition is added."""

    maps: int

    def __call__(self, x: Tensor, told: Any, memory: Memory | None) -> Tensor:
        """x (M, N, 2h), or with a memory the pixel it stands at (N, 2h or its share)."""
        ...


def pointwise(conv: RightConv2d, x: Tensor) -> Tensor:
    """A masked 1×1 convolution of pixels in any order, (..., C) -> (..., C')."""
    return F.linear(x, (conv.weight * conv.mask)[:, :, 0, 0], conv.bias)


class Labels(nn.Module):
    """Tells every layer the classes, one learned row for each."""

    def __init__(self, classes: dict[str, int], maps: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AddCondition(classes, count) for count in maps)

    def forward(self, given: Condition) -> list[Tensor | None]:
        """For every layer (N, maps, 1, 1), or nothing."""
        rows = [cast(AddCondition, layer).row(given) for layer in self.layers]
        return [None if row is None else row[:, :, None, None] for row in rows]


P = TypeVar("P", bound=Path)


class PixelRNN(Raster):
    """A first window, layers of LSTMs along one path, and a `LevelHead`.

    Attributes:
        teller: from the condition to what every layer is told beside the image, (N, maps, H or 1, W or 1) or None.
    """

    def __init__(
        self,
        spec: DataSpec,
        path: Callable[[int, int], P],
        layer: Callable[[int, P], nn.Module],
        width: int,
        layers: int,
        kernel: int,
    ) -> None:
        """`path` is made of height and width, a `layer` of its units and the path."""
        super().__init__(spec)
        if kernel % 2 == 0:
            raise UsageError(f"windows have an odd side, not {kernel}")
        if layers < 1:
            raise UsageError(f"a PixelRNN has at least one layer, not {layers}")
        channels, width, reach = spec.shape[0], self.groups(width), kernel // 2
        self.head, self.path = LevelHead(spec), (way := path(*spec.shape[1:]))
        self.first = RightConv2d(channels, 2 * width, reach, reach, reach, groups=channels, strict=True)
        self.stack = nn.ModuleList(layer(width, way) for _ in range(layers))
        self.teller: nn.Module = Labels(self.classes, [each.maps for each in self.layers])
        self.gather = RightConv2d(2 * width, 2 * width, groups=channels)
        self.tell = RightConv2d(2 * width, self.head.outputs, groups=channels)

    @property
    def layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.stack))

    def above(self, image: Tensor, given: Condition, memory: Memory | None = None) -> list[Any]:
        """Only what is told: the layers themselves remember the rows above."""
        if memory is None:
            return self.teller(given)
        maps, row = memory.keep(self.teller, lambda: self.teller(given)), memory.row
        return [each if each is None or each.shape[2] == 1 else each[:, :, row : row + 1] for each in maps]

    def beside(self, image: Tensor, told: list[Any], memory: Memory | None = None) -> Tensor:
        if memory is None:
            return self._everywhere(image, told)
        x = self.first(image, memory=memory)
        for layer, maps in zip(self.layers, told, strict=True):
            x = layer(x, maps, memory)
        return self.tell(F.relu(self.gather(F.relu(x), memory=memory)), memory=memory)

    def _everywhere(self, image: Tensor, told: list[Any]) -> Tensor:
        x = self.path.lay(self.first(image))
        for layer, maps in zip(self.layers, told, strict=True):
            x = layer(x, maps, None)
        return self.path.raise_up(pointwise(self.tell, F.relu(pointwise(self.gather, F.relu(x)))))
