r"""The outputs of a network for a pixel as probability masses of its sub-pixels, red before green before blue.

A *level head* gives every sub-pixel masses of its own: the network runs once for each channel, on masked features. A
*mixture head* runs the network once for a pixel: its channels share the components of a mixture of logistics, whose
means move with the channels already known,

    p(r, g, b) = Σ_k π_k L(r; μ_k) L(g; μ_k + α_k r) L(b; μ_k + β_k r + γ_k g),

which by the chain rule is a mixture for every sub-pixel, with weights p(k | the channels before it).
Salimans et al. 2017 (PixelCNN++), eq. 2 and 3.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from simulacra.data.spec import DataSpec
from simulacra.distributions import Bernoulli, Categorical, DiscretisedLogisticMixture, GridDistribution


class Head(Protocol):
    """Attributes:
    outputs: numbers that the network gives for a pixel.
    per_channel: whether the network runs once for each channel, or once for a pixel.
    """

    outputs: int
    per_channel: bool

    def everywhere(self, output: Tensor, image: Tensor) -> GridDistribution:
        """output (N, outputs, H, W), image (N, C, H, W) in [-1, 1] -> all conditionals, (N, C, H, W)."""
        ...

    def here(
        self, output: Tensor, pixel: Tensor, channel: int, before: GridDistribution | None = None
    ) -> GridDistribution:
        """output (N, outputs, or its share for one channel), pixel (N, C) so far -> that of one sub-pixel, (N,).

        `before` is that of the channel before it; without it, it is computed again.
        """
        ...


class LevelHead:
    """A Bernoulli for two levels, else a categorical."""

    per_channel = True

    def __init__(self, spec: DataSpec) -> None:
        self.channels, self.levels = spec.shape[0], spec.grid_levels
        self.outputs = self.channels * (1 if self.levels == 2 else self.levels)

    def everywhere(self, output: Tensor, image: Tensor) -> GridDistribution:
        if self.levels == 2:
            return Bernoulli(output)
        return Categorical(output.unflatten(1, (self.channels, self.levels)).movedim(2, -1))

    def here(
        self, output: Tensor, pixel: Tensor, channel: int, before: GridDistribution | None = None
    ) -> GridDistribution:
        return Bernoulli(output[:, 0]) if self.levels == 2 else Categorical(output)


class MixtureHead:
    """A discretised mixture of logistics over all channels of a pixel."""

    per_channel = False

    def __init__(self, spec: DataSpec, components: int) -> None:
        self.channels, self.levels, self.components = spec.shape[0], spec.grid_levels, components
        self.pairs = self.channels * (self.channels - 1) // 2
        self.outputs = components * (1 + 2 * self.channels + self.pairs)

    @torch.no_grad()
    def spread(self, bias: Tensor) -> None:
        """Initialise the components side by side on the grid, with scales of e^-2, instead of all in its middle.

        On CIFAR-10 this is worth 0.1 bits/dim after 600 steps.
        """
        means, scales = bias.view(-1, self.components)[1 : 1 + 2 * self.channels].chunk(2)
        means.copy_(torch.linspace(-0.8, 0.8, self.components).expand_as(means))
        scales.fill_(-2.0)

    def everywhere(self, output: Tensor, image: Tensor) -> DiscretisedLogisticMixture:
        parameters = output.unflatten(1, (-1, self.components)).movedim(2, -1)  # (N, parameters, H, W, K)
        factors = [self._factor(parameters, image, 0, None)]
        for channel in range(1, self.channels):
            before = DiscretisedLogisticMixture(*factors[-1], self.levels)
            factors.append(self._factor(parameters, image, channel, before))
        weights, means, scales = (torch.stack(each, 1) for each in zip(*factors, strict=True))
        return DiscretisedLogisticMixture(weights, means, scales, self.levels)

    def here(
        self, output: Tensor, pixel: Tensor, channel: int, before: GridDistribution | None = None
    ) -> DiscretisedLogisticMixture:
        if channel and before is None:
            before = self.here(output, pixel, channel - 1)
        parameters = output.unflatten(1, (-1, self.components))
        return DiscretisedLogisticMixture(*self._factor(parameters, pixel, channel, before), self.levels)

    def _factor(
        self, parameters: Tensor, image: Tensor, channel: int, before: GridDistribution | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, means and log scales of one channel, (N, ..., K), given the factor before it."""
        first = 1 + 2 * self.channels + channel * (channel - 1) // 2  # of the slopes for the channels before
        weights, mean, scale = (parameters[:, i] for i in (0, 1 + channel, 1 + self.channels + channel))
        if before is None:
            return weights, mean, scale
        assert isinstance(before, DiscretisedLogisticMixture)
        slopes = torch.tanh(parameters[:, first : first + channel])
        mean = mean + (slopes * image[:, :channel].unsqueeze(-1)).sum(1)
        return before.log_joint(image[:, channel - 1]), mean, scale


def pixel_head(spec: DataSpec, components: int) -> LevelHead | MixtureHead:
    """A mixture for all channels of a pixel; for a binary image of one channel a Bernoulli, which is as expressive."""
    return LevelHead(spec) if (spec.shape[0], spec.levels) == (1, 2) else MixtureHead(spec, components)
