r"""Continuous densities gathered into the bins of the grid: the mass of a level is F(upper edge) - F(lower edge).

The lowest bin reaches down without end and the highest up, so the masses sum to one without renormalising. All of it is
computed from log F and log(1 - F), never from F, because F rounds to 0 or 1 long before its tail is negligible.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.autograd.function import Function, FunctionCtx, once_differentiable

from simulacra.distributions.base import FAR, GridDistribution, at_least_float32, bin_edges, log_symmetric_mass, uniform

MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 5.0  # from a quarter of an 8-bit bin's half width to a flat line over the grid
MAX_MEAN = 1e3  # of a component, on a grid that ends at 1
ALL_LEVELS_AT_ONCE = 1 << 24  # numbers in a table of masses; beyond it one level after the other, to spare memory


def log_logistic_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """log(σ(b) - σ(a)) = log σ(b) + log σ(-a) + log(1 - e^{a-b}) with a = lower, b = upper."""
    return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(lower - upper))


class _LogNormalCdf(Function):
    r"""log Φ(x). Its derivative φ(x)/Φ(x) = √(2/π) / erfcx(-x/√2) keeps its digits in both tails; torch's own,
    written with a difference of nearly equal numbers, is six times too large at x = -10^4 in float32 and NaN beyond."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.special.log_ndtr(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        return grads[0] * math.sqrt(2 / math.pi) / torch.special.erfcx(x * -math.sqrt(0.5))


def log_normal_cdf(x: Tensor) -> Tensor:
    return cast(Tensor, _LogNormalCdf.apply(x))


class DiscretisedGaussian(GridDistribution):
    """N(mean, exp(log_scale)²) on the centred grid [-1, 1], gathered into `levels` bins; parameters (N, *shape)."""

    def __init__(self, mean: Tensor, log_scale: Tensor, levels: int) -> None:
        self.location = at_least_float32(mean).clamp(-MAX_MEAN, MAX_MEAN)
        self.inverse_scale = torch.exp(-at_least_float32(log_scale).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE))
        self.levels = levels

    def _log_mass_between(self, lower: Tensor, upper: Tensor, extra: int = 0) -> Tensor:
        location, inverse = (p[(...,) + (None,) * extra] for p in (self.location, self.inverse_scale))
        return log_symmetric_mass(log_normal_cdf, (lower - location) * inverse, (upper - location) * inverse)

    def log_each(self, x: Tensor) -> Tensor:
        lower, upper = (edge[x.long()] for edge in bin_edges(self.levels, self.location))
        return self._log_mass_between(lower, upper)

    def log_masses(self) -> Tensor:
        return self._log_mass_between(*bin_edges(self.levels, self.location), extra=1)


class DiscretisedLogisticMixture(GridDistribution):
    """Σ_k softmax(weights)_k Logistic(means_k, exp(log_scales_k)) in bins; parameters (N, *shape, K).

    Salimans et al. 2017 (PixelCNN++), eq. 2, with every sub-pixel independent of the others given the parameters.
    """

    def __init__(self, weights: Tensor, means: Tensor, log_scales: Tensor, levels: int) -> None:
        self.log_weights = at_least_float32(weights).log_softmax(-1)
        self.means = at_least_float32(means).clamp(-MAX_MEAN, MAX_MEAN)
        self.inverse_scales = torch.exp(-at_least_float32(log_scales).clamp(MIN_LOG_SCALE, MAX_LOG_SCALE))
        self.levels = levels

    def _log_mass_between(self, lower: Tensor, upper: Tensor) -> Tensor:
        """Edges broadcast against (N, *shape, K) -> the mixture's log mass with the K axis summed out."""
        components = log_logistic_mass(
            (lower - self.means) * self.inverse_scales, (upper - self.means) * self.inverse_scales
        )
        return torch.logsumexp(self.log_weights + components, dim=-1)

    def log_each(self, x: Tensor) -> Tensor:
        lower, upper = (edge[x.long()].unsqueeze(-1) for edge in bin_edges(self.levels, self.means))
        return self._log_mass_between(lower, upper)

    def log_masses(self) -> Tensor:
        if self.means.numel() * self.levels > ALL_LEVELS_AT_ONCE:
            edges = zip(*bin_edges(self.levels, self.means), strict=True)
            return torch.stack([self._log_mass_between(lower, upper) for lower, upper in edges], dim=-1)
        lower, upper = (edge[:, None] for edge in bin_edges(self.levels, self.means))
        components = log_logistic_mass(
            (lower - self.means.unsqueeze(-2)) * self.inverse_scales.unsqueeze(-2),
            (upper - self.means.unsqueeze(-2)) * self.inverse_scales.unsqueeze(-2),
        )
        return torch.logsumexp(self.log_weights.unsqueeze(-2) + components, dim=-1)

    def log_joint(self, value: Tensor) -> Tensor:
        """log of weight × mass, for each component: value (N, *shape) real numbers on the centred grid -> (..., K)."""
        half = 1 / (self.levels - 1)
        lower = torch.where(value < half - 1, -FAR, value - half).unsqueeze(-1)
        upper = torch.where(value > 1 - half, FAR, value + half).unsqueeze(-1)
        return self.log_weights + log_logistic_mass(
            (lower - self.means) * self.inverse_scales, (upper - self.means) * self.inverse_scales
        )

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        noise = uniform(self.means[..., 0], generator)  # no table of masses: `quantile` can do without
        return self.quantile(noise, temperature)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """The inverse distribution function. At temperature 1 the level is found from F at its edges: first among
        every `step`-th edge, then among those between, so that 256 levels take 32 values of F instead of 256."""
        if temperature != 1:
            return super().quantile(u, temperature)
        edges, step = bin_edges(self.levels, self.means)[1], math.isqrt(self.levels - 1) + 1
        level = step * self._count_below(edges[step - 1 : -1 : step], u)
        near = (level.unsqueeze(-1) + torch.arange(step - 1, device=u.device)).clamp(max=self.levels - 1)
        return (level + self._count_below(edges[near], u)).clamp(max=self.levels - 1).byte()

    def _count_below(self, edges: Tensor, u: Tensor) -> Tensor:
        """How many of the edges, (E,) or (N, *shape, E), have F(edge) <= u."""
        scaled = (edges.unsqueeze(-1) - self.means.unsqueeze(-2)) * self.inverse_scales.unsqueeze(-2)
        below = (torch.sigmoid(scaled) * self.log_weights.exp().unsqueeze(-2)).sum(-1)
        return (below <= u.unsqueeze(-1)).sum(-1)
