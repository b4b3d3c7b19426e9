r"""Gated PixelCNN: log p(x) = Σ_i log p(x_i | x_<i), in raster order and red -> green -> blue within a pixel.

A *vertical* stack sees all rows above, a *horizontal* stack sees the pixels to the left and is told what the vertical
one found; together they cover the whole past, without the blind spot of a single masked convolution. A layer is gated,

    y = tanh(W_f * x + V_f c) ⊙ σ(W_g * x + V_g c).

van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", eq. 2 and figure 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import Categorical
from simulacra.errors import UsageError
from simulacra.model import Model, Phase
from simulacra.nn import AddCondition, MaskedConv2d, group_mask
from simulacra.registry import register


def gate(h: Tensor) -> Tensor:
    """(N, 2p, ...) -> (N, p, ...)"""
    f, g = h.chunk(2, dim=1)
    return torch.tanh(f) * torch.sigmoid(g)


class GatedLayer(nn.Module):
    """One layer of both stacks.

    `first`: its input is the image, so the current sub-pixel itself is hidden. `last`: no layer follows that would read
    its horizontal features, so only its contribution to the output is computed.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        kernel: int,
        groups: int,
        classes: dict[str, int],
        dropout: float,
        *,
        first: bool,
        last: bool,
    ) -> None:
        super().__init__()
        self.inputs, self.first = inputs, first
        self.reach = kernel // 2  # columns of context, to the left (both sides in the vertical stack)
        self.rows = kernel // 2 + 1  # rows that the vertical stack looks at, its own included
        self.vertical = nn.Conv2d(inputs, 2 * width, (self.rows, kernel))
        self.vertical_to_horizontal = nn.Conv2d(2 * width, 2 * width, 1)
        mask = torch.ones(2 * width, inputs, 1, self.reach + 1)
        mask[..., -1] = group_mask(2 * width, inputs, groups, strict=first, period=width)[:, :, None]
        self.horizontal = MaskedConv2d(inputs, 2 * width, (1, self.reach + 1), mask)
        within = group_mask(width, width, groups, strict=False)[:, :, None, None]
        self.residual = None if last else MaskedConv2d(width, width, (1, 1), within)
        self.skip = MaskedConv2d(width, width, (1, 1), within)
        self.condition = AddCondition(classes, 2 * width)
        self.dropout = nn.Dropout(dropout)

    def look_up(self, v: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """The vertical stack over `rows - 1` rows of context and then the rows wanted: v (N, C, rows - 1 + R, W).

        Returns its new features (N, p, R, W) and what it tells the horizontal stack (N, 2p, R, W).
        """
        v = self.condition(self.vertical(F.pad(v, (self.reach, self.reach, 0, 0))), condition)
        return gate(v), self.vertical_to_horizontal(v)

    def look_left(self, h: Tensor, told: Tensor, condition: Condition) -> tuple[Tensor | None, Tensor]:
        """The horizontal stack over `reach` columns of context and then the columns wanted: h (N, C, R, reach + W).

        Returns its new features (none of the last layer) and its contribution to the output, both (N, p, R, W).
        """
        gated = self.dropout(gate(self.condition(self.horizontal(h) + told, condition)))
        if self.residual is None:
            return None, self.skip(gated)
        passed = self.residual(gated)
        return passed if self.first else passed + h[..., self.reach :], self.skip(gated)


@register("gated-pixelcnn", paper="van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders")
class GatedPixelCNN(Model):
    r"""log p(x|c) = Σ_i log softmax(f(x_<i, c))_{x_i}: exact, for images of any size, depth and number of channels.

    Args:
        spec: what x is; with a condition field, p(x | label).
        width: channels of each stack.
        layers: gated layers, the first included.
        kernel: side of the first layer's (unmasked) window.
        inner_kernel: side of the window of all later layers.
        dropout: share of the horizontal features dropped in training.
    """

    defaults = {"learning_rate": 4e-3, "batch": 32, "steps": 1500, "schedule": "cosine"}

    def __init__(
        self,
        spec: DataSpec,
        width: int = 32,
        layers: int = 5,
        kernel: int = 7,
        inner_kernel: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(spec)
        if not spec.is_image:
            raise UsageError(f"gated-pixelcnn models images (C, H, W), not vectors of shape {spec.shape}; try vae")
        levels, channels = spec.grid_levels, spec.shape[0]
        if kernel % 2 == 0 or inner_kernel % 2 == 0:
            raise UsageError(f"kernels have an odd side, not {kernel} and {inner_kernel}")
        width = width // channels * channels  # equal shares of the features for red, green and blue
        if width < 1 or layers < 1 or not 0 <= dropout < 1:
            raise UsageError(f"gated-pixelcnn needs width >= {channels}, at least one layer and dropout from 0 up to 1")
        classes = {name: label.count for name, label in spec.condition.items()}
        self.stack = nn.ModuleList()
        for i in range(layers):
            first, last = i == 0, i == layers - 1
            inputs, side = (channels, kernel) if first else (width, inner_kernel)
            self.stack.append(GatedLayer(inputs, width, side, channels, classes, dropout, first=first, last=last))
        within = group_mask(width, width, channels, strict=False)[:, :, None, None]
        out = group_mask(levels * channels, width, channels, strict=False)[:, :, None, None]
        self.head = nn.Sequential(
            nn.ReLU(),
            MaskedConv2d(width, width, (1, 1), within),
            nn.ReLU(),
            MaskedConv2d(width, channels * levels, (1, 1), out),
        )

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, x: Tensor, condition: Condition) -> dict[str, Tensor]:
        return {"nats": -self.log_prob(x, condition).mean()}

    def log_prob(self, x: Tensor, condition: Condition | None = None) -> Tensor:
        """log p(x | condition), exact, (N,) nats; x integers (N, C, H, W)."""
        return self.conditionals(x, condition).log_prob(x)

    def conditionals(self, x: Tensor, condition: Condition | None = None) -> Categorical:
        """All p(x_i | x_<i) at once; those of sub-pixel i read nothing at or after i."""
        given = self.conditioned(condition, len(x))
        image = self._centred(x)
        v = F.pad(image, (0, 0, 1, 0))[:, :, :-1]  # row r of the vertical stack has seen rows before r only
        h: Tensor | None = image
        output = torch.zeros((), device=x.device)
        for layer in self.layers:
            v, told = layer.look_up(F.pad(v, (0, 0, layer.rows - 1, 0)), given)
            assert h is not None
            h, skip = layer.look_left(F.pad(h, (layer.reach, 0)), told, given)
            output = output + skip
        return self._head(output)

    @property
    def layers(self) -> list[GatedLayer]:
        return cast(list[GatedLayer], list(self.stack))

    def _centred(self, x: Tensor) -> Tensor:
        return self.spec.centred(x).to(self.layers[0].vertical.weight.dtype)

    def _head(self, output: Tensor) -> Categorical:
        """(N, width, R, W) -> masses over the levels of (N, C, R, W)"""
        logits = self.head(output).unflatten(1, (self.spec.shape[0], self.spec.grid_levels))
        return Categorical(logits.movedim(2, -1))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: Condition | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
        sampler: str = "cached",
    ) -> Tensor:
        """(n, C, H, W) draws. `sampler`: "cached" computes every activation once; "naive" runs the whole network for
        every sub-pixel and is the reference. Both turn the same noise into the same image.
        """
        samplers: dict[str, Callable[..., Tensor]] = {"cached": self._draw_cached, "naive": self._draw_naive}
        if sampler not in samplers:
            raise UsageError(f"there is no sampler {sampler!r}: use one of {', '.join(samplers)}")
        given = self.conditioned(condition, n)
        noise = torch.rand((n, *self.spec.shape), generator=generator, device=self.device)
        return samplers[sampler](noise, given, temperature)

    def _draw_naive(self, noise: Tensor, given: Condition, temperature: float) -> Tensor:
        x = torch.zeros(noise.shape, dtype=torch.uint8, device=noise.device)
        channels, height, width = self.spec.shape
        for row in range(height):
            for column in range(width):
                for channel in range(channels):
                    draws = self.conditionals(x, given).quantile(noise, temperature)
                    x[:, channel, row, column] = draws[:, channel, row, column]
        return x

    def _draw_cached(self, noise: Tensor, given: Condition, temperature: float) -> Tensor:
        """The vertical stack runs once per row, the horizontal one once per sub-pixel, on windows of their own past."""
        channels, height, width = self.spec.shape
        layers = self.layers
        x = torch.zeros(noise.shape, dtype=torch.uint8, device=noise.device)
        image = self._centred(x)
        above = [image.new_zeros(len(x), layer.inputs, layer.rows, width) for layer in layers]
        for row in range(height):
            v = image[:, :, row - 1 : row] if row else image.new_zeros(len(x), channels, 1, width)
            told = []
            for i, layer in enumerate(layers):
                above[i] = torch.cat((above[i][:, :, 1:], v), dim=2)
                v, word = layer.look_up(above[i], given)
                told.append(word)
            left = [image.new_zeros(len(x), layer.inputs, 1, layer.reach + width) for layer in layers]
            for column in range(width):
                for channel in range(channels):
                    here = self._at(column, left, told, given)
                    u = noise[:, :, row : row + 1, column : column + 1]
                    x[:, channel, row, column] = here.quantile(u, temperature)[:, channel, 0, 0]
                    pixel = self._centred(x[:, :, row, column])
                    image[:, :, row, column] = pixel
                    left[0][:, :, 0, layers[0].reach + column] = pixel
        return x

    def _at(self, column: int, left: list[Tensor], told: list[Tensor], given: Condition) -> Categorical:
        """p(x_i | x_<i) at one column of the current row; fills the column of each layer's window on the way."""
        output = torch.zeros((), device=left[0].device)
        layers = self.layers
        for i, layer in enumerate(layers):
            window = left[i][..., column : column + layer.reach + 1]
            h, skip = layer.look_left(window, told[i][..., column : column + 1], given)
            if h is not None:
                left[i + 1][..., layers[i + 1].reach + column] = h[..., 0]
            output = output + skip
        return self._head(output)
