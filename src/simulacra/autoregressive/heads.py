r"""What a network says of a pixel, as masses of its sub-pixels, red before green before blue.

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

    def here(self, output: Tensor, pixel: Tensor, channel: int) -> GridDistribution:
        """output (N, outputs, or its share for one channel), pixel (N, C) so far -> that of one sub-pixel, (N,)."""
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

    def here(self, output: Tensor, pixel: Tensor, channel: int) -> GridDistribution:
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
        """Let the components begin side by side on the grid, with scales of e^-2, instead of all in its middle.

        On CIFAR-10 this is worth 0.1 bits/dim after 600 steps.
        """
        means, scales = bias.view(-1, self.components)[1 : 1 + 2 * self.channels].chunk(2)
        means.copy_(torch.linspace(-0.8, 0.8, self.components).expand_as(means))
        scales.fill_(-2.0)

    def everywhere(self, output: Tensor, image: Tensor) -> DiscretisedLogisticMixture:
        parameters = output.unflatten(1, (-1, self.components)).movedim(2, -1)  # (N, parameters, H, W, K)
        weights, means, scales = zip(*self._chain(parameters, image, self.channels), strict=True)
        return DiscretisedLogisticMixture(
            torch.stack(weights, 1), torch.stack(means, 1), torch.stack(scales, 1), self.levels
        )

    def here(self, output: Tensor, pixel: Tensor, channel: int) -> DiscretisedLogisticMixture:
        parameters = output.unflatten(1, (-1, self.components))
        return DiscretisedLogisticMixture(*self._chain(parameters, pixel, channel + 1)[-1], self.levels)

    def _chain(self, parameters: Tensor, image: Tensor, channels: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Log weights, means and log scales of the first `channels` sub-pixels, each (N, ..., K)."""
        one, c = parameters.unbind(1), self.channels
        weights, means, scales, slopes = one[0], one[1 : 1 + c], one[1 + c : 1 + 2 * c], list(one[1 + 2 * c :])
        found = []
        for channel in range(channels):
            mean = means[channel]
            for before in range(channel):
                mean = mean + torch.tanh(slopes.pop(0)) * image[:, before].unsqueeze(-1)
            found.append((weights, mean, scales[channel]))
            if channel + 1 < channels:
                mixture = DiscretisedLogisticMixture(weights, mean, scales[channel], self.levels)
                weights = mixture.log_joint(image[:, channel])
        return found


def pixel_head(spec: DataSpec, components: int) -> LevelHead | MixtureHead:
    """A mixture for all channels of a pixel; for a binary image of one channel a Bernoulli says the same with less."""
    return LevelHead(spec) if (spec.shape[0], spec.levels) == (1, 2) else MixtureHead(spec, components)
