r"""Generators in two networks: w = f(z, c), a *style*, and x = g(w), which has a style in each of its layers.

f is a perceptron whose layers learn slowly (`rate`): its weights are N(0, 1/rate²) and its layers compute with rate
times these, so that Adam, which moves weights by the same amount whatever their size, moves f by `rate` of that.

*Style mixing*: in training an item has its later layers, from a random one on, from another code with the probability
`mixing`, so that neighbouring layers do not come to depend on each other. *Truncation*: m + ψ (w - m) with ψ < 1 is
nearer to the mean style m than w, where density is high and images are typical, at the price of variety. m is a running
mean over training, of each class where classes are the condition, so that ψ = 0 is the typical item of a class.

m is a buffer of the generator, and where weights are averaged (`ema`) m is too, by the same rule: the averaged m is
that of the styles of the weights which entered the average, not recomputed from the averaged f.
Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", sections 2, 3.1 and
appendices B and C.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra import whole
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import ClassLabel, Field
from simulacra.networks.progan import Directions
from simulacra.nn import EqualLinear, RunningMean, leaky

DECAY = 0.995  # of the mean style


class Styles(nn.Module):
    """f: codes (N, latent) and a condition -> w (N, latent), by `layers` layers."""

    def __init__(self, fields: Mapping[str, Field], latent: int, layers: int, rate: float) -> None:
        super().__init__()
        self.enter = Directions(fields, latent)
        inputs = [self.enter.outputs, *[latent] * (layers - 1)]
        self.layers = nn.ModuleList(EqualLinear(count, latent, rate=rate) for count in inputs)

    def forward(self, z: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        w = self.enter(z, condition)
        for layer in self.layers:
            w = leaky(layer(w))
        return w


class MeanStyle(nn.Module):
    """m (K, D): of each class where one field of classes is the condition, else of all items."""

    def __init__(self, fields: Mapping[str, Field], width: int) -> None:
        super().__init__()
        own = list(fields.items())
        self.field = own[0][0] if len(own) == 1 and isinstance(own[0][1], ClassLabel) else ""
        self.rows = own[0][1].count if len(own) == 1 and isinstance(own[0][1], ClassLabel) else 1
        self.running = RunningMean(self.rows, width, DECAY)

    def update(self, w: Tensor, condition: Mapping[str, Tensor]) -> None:
        """By the styles (N, D) of a batch, over the items of all processes."""
        of_row = F.one_hot(self._row(condition, w), self.rows).to(self.running.value.dtype)
        total = of_row.T @ w.detach().to(of_row.dtype) / len(w)
        self.running.update(whole.mean(total), whole.mean(of_row.mean(0)))

    def of(self, condition: Mapping[str, Tensor], w: Tensor) -> Tensor:
        """m for each item of w, (N, D)."""
        return self.running.value[self._row(condition, w)].to(w.dtype)

    def _row(self, condition: Mapping[str, Tensor], w: Tensor) -> Tensor:
        zeros = torch.zeros(len(w), dtype=torch.int64, device=w.device)
        return condition[self.field] if self.field else zeros


class StyledGenerator(nn.Module):
    """x = g(f(z, c)), `Styled`; g maps styles (N, layers, latent) to x.

    In training mode m is updated and styles are mixed, also in the critic's turns; g draws its noise.
    """

    def __init__(
        self, spec: DataSpec, latent: int, styles: Styles, network: nn.Module, layers: int, mixing: float
    ) -> None:
        super().__init__()
        self.styles, self.network, self.layers, self.mixing = styles, network, layers, mixing
        self.mean = MeanStyle(spec.condition, latent)

    @property
    def mean_w(self) -> Tensor:
        return self.mean.running.value

    def mapping(self, z: Tensor, condition: Condition) -> Tensor:
        return self._of_all_layers(self.styles(z, condition))

    def synthesis(self, w: Tensor) -> Tensor:
        return self.network(w)

    def truncated(self, z: Tensor, condition: Condition, psi: float) -> Tensor:
        w = self.styles(z, condition)
        return self.network(self._of_all_layers(self.mean.of(condition, w).lerp(w, psi)))

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        w = self.styles(z, condition)
        if not self.training:
            return self.network(self._of_all_layers(w))
        self.mean.update(w, condition)
        return self.network(self._mixed(w, z, condition) if self.mixing else self._of_all_layers(w))

    def _of_all_layers(self, w: Tensor) -> Tensor:
        return w[:, None].expand(-1, self.layers, -1)

    def _mixed(self, w: Tensor, z: Tensor, condition: Condition) -> Tensor:
        """Styles of which some have later layers of the next item's code, under their own condition.

        Codes of other items are distributed like any, whatever the prior is.
        """
        other = self.styles(whole.own(whole.gathered(z).roll(-1, 0)), condition)
        drawn = whole.uniform((len(w), 2), w)
        first = 1 + (drawn[:, 1] * (self.layers - 1)).long()  # of the layers that are of the other code
        layer = torch.arange(self.layers, device=w.device)
        swapped = (layer >= first[:, None]) & (drawn[:, :1] < self.mixing)
        return torch.where(swapped[..., None], other[:, None], w[:, None])


class PixelNoise(nn.Module):
    """h + s ε with one ε ~ N(0, 1) for every pixel, and s learned, of each channel or of all, 0 in the beginning.

    In evaluation mode ε is fixed, the same for all items: what is made of a style is a function of the style.
    """

    fixed: Tensor

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))
        self.register_buffer("fixed", torch.randn(1, 1, *size))

    def forward(self, h: Tensor) -> Tensor:
        noise = whole.normal((len(h), 1, *h.shape[2:]), h) if self.training else self.fixed
        return h + (self.strength * noise).to(h.dtype)
