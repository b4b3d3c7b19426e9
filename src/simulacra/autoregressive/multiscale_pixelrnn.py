r"""Multi-scale PixelRNN: first a small image, then the large one around it, exactly.

The small image s is made of the image's own pixels, every k-th row and column, so that no coordinate is modelled twice:

    p(x) = p(s) Π_{i not in s} p(x_i | s, x_<i),

with one PixelRNN for s and another one for the rest, which is conditioned on s as on any picture: an up-sampling
network spreads it over the large image, and in every layer a 1×1 convolution of its features is added to the
pre-activations of the LSTMs. The order of the chain is that of s, then raster order over all that is left. van den
Oord, Kalchbrenner & Kavukcuoglu 2016, "Pixel Recurrent Neural Networks", section 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.orders import raster
from simulacra.autoregressive.pixelrnn_diagonal import DiagonalPixelRNN
from simulacra.autoregressive.pixelrnn_row import RowPixelRNN
from simulacra.autoregressive.raster import Raster, RasterSteps, refuse_unless_pixels
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import GridDistribution
from simulacra.errors import UsageError
from simulacra.fields import numeric
from simulacra.registry import register

SMALL = "the small image"  # the field of the large network's condition
KINDS: dict[str, type[RowPixelRNN] | type[DiagonalPixelRNN]] = {"row": RowPixelRNN, "diagonal": DiagonalPixelRNN}


def coarse_first(shape: Sequence[int], factor: int) -> Tensor:
    """The small image in raster order, then all that is left in raster order; (dims,)."""
    coarse = torch.zeros(*shape, dtype=torch.bool, device="cpu")
    coarse[..., ::factor, ::factor] = True
    order = raster(shape)
    first = coarse.flatten()[order]
    return torch.cat([order[first], order[~first]])


@register(
    "multiscale-pixelrnn",
    paper="van den Oord et al. 2016, Pixel Recurrent Neural Networks",
    defaults={"learning_rate": 4e-3, "batch": 32, "steps": 1200, "schedule": "cosine"},
)
class MultiscalePixelRNN(Autoregressive):
    r"""log p(x|c) = log p(s|c) + Σ_{i not in s} log p(x_i | s, x_<i, c), exact; s a coarse grid of x's own pixels.

    Args:
        spec: what x is; with a condition field, p(x | label).
        kind: row or diagonal, which LSTMs both networks have.
        factor: rows and columns from one pixel of the small image to the next.
        width: units of each LSTM; the residual streams and the up-sampling have twice as many features.
        layers: of either network.
        kernel: side of the first windows, odd.
        dropout: share of the states that a layer's output leaves out in training.
    """

    def __init__(
        self,
        spec: DataSpec,
        kind: Literal["row", "diagonal"] = "diagonal",
        factor: int = 2,
        width: int = 48,
        layers: int = 2,
        kernel: int = 7,
        dropout: float = 0.5,
    ) -> None:
        refuse_unless_pixels(spec)
        if factor < 2:
            raise UsageError(f"a factor of at least 2 makes a small image, not {factor}")
        super().__init__(spec, coarse_first(spec.shape, factor)[None])
        network = KINDS[kind](width=width, layers=layers, kernel=kernel, dropout=dropout)
        small = numeric((spec.shape[0], *(-(-side // factor) for side in spec.shape[1:])), spec.levels)
        self.factor = factor
        self.large = Raster(DataSpec(spec.x, {**spec.condition, SMALL: small}), network)
        self.small = Raster(DataSpec(small, spec.condition), network)

    def thin(self, image: Tensor) -> Tensor:
        """The small image within an image (..., H, W), as a view."""
        return image[..., :: self.factor, :: self.factor]

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        condition, image = self.conditioned(condition, len(x)), self.large.network.enter(x)
        output = self.large.output(image, condition | {SMALL: self.thin(x)}).clone()
        self.thin(output).copy_(self.small.output(self.thin(image), condition))
        return self.large.network.head.everywhere(output, image)

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> MultiscaleSteps:
        return MultiscaleSteps(self, n, self.conditioned(condition, n))


class MultiscaleSteps:
    """`Steps` through the small image, then through the large one, in which the pixels of the small one are known."""

    def __init__(self, model: MultiscalePixelRNN, n: int, condition: Condition) -> None:
        self.model, self.n, self.condition = model, n, condition
        self.walk, self.left = RasterSteps(model.small, n, condition), model.small.spec.dims
        self.known = torch.zeros((n, *model.small.spec.shape), dtype=torch.uint8, device=model.device)

    def conditional(self) -> GridDistribution:
        if self.left <= 0:
            self._feed_known_pixels()
        return self.walk.conditional()

    def append(self, value: Tensor) -> None:
        memory, large = self.walk.memory, self.model.large
        if self.left > 0:
            self.known[:, memory.channel, memory.row, memory.column] = value
        self.walk.append(value)
        self.left -= 1
        if self.left == 0:
            self.walk = RasterSteps(large, self.n, self.condition | {SMALL: self.known})

    def _feed_known_pixels(self) -> None:
        """Run the network at known pixels too, since later ones read its memory; the outputs there are not used."""
        factor, memory = self.model.factor, self.walk.memory
        while memory.row % factor == 0 and memory.column % factor == 0:
            self.walk.conditional()
            self.walk.append(self.known[:, memory.channel, memory.row // factor, memory.column // factor])
