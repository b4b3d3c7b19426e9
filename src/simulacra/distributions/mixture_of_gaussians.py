"""A density with several peaks for every coordinate."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from simulacra.distributions.base import Factorised, at_least_float32, uniform


class MixtureOfGaussians(Factorised):
    """Σ_k softmax(weights)_k N(means_k, exp(log_scales_k)²); parameters (N, *shape, K).

    Bishop 1994, "Mixture Density Networks", eq. 22 and 23.
    """

    def __init__(self, weights: Tensor, means: Tensor, log_scales: Tensor) -> None:
        self.log_weights = at_least_float32(weights).log_softmax(-1)
        self.means = at_least_float32(means)
        self.log_scales = at_least_float32(log_scales)

    def log_each(self, x: Tensor) -> Tensor:
        standardised = (x.unsqueeze(-1) - self.means) * torch.exp(-self.log_scales)
        densities = -0.5 * standardised.square() - self.log_scales - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(self.log_weights + densities, dim=-1)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """u picks a component, by its weight, and the place of u in the share of that component picks a value of its
        Gaussian: a rising piece for each component, and not the inverse of the mixture's distribution function.

        A component to the power 1/T is a Gaussian again, of scale σ√T and an area that goes with σ^(1-1/T). What is
        drawn therefore is p^(1/T), renormalised, wherever components do not overlap, and for one component always.
        """
        areas = self.log_weights / temperature + (1 - 1 / temperature) * self.log_scales
        ends = areas.softmax(-1).cumsum(-1)
        starts = torch.cat((torch.zeros_like(ends[..., :1]), ends[..., :-1]), dim=-1)
        half_a_step = torch.finfo(ends.dtype).eps / 2  # from either end, where a Gaussian has no quantile
        u = u.to(ends.dtype).clamp(max=1 - half_a_step).unsqueeze(-1) * ends[..., -1:]  # rounded sums are not quite one
        chosen = (ends <= u).sum(-1, keepdim=True)
        start, end, mean, log_scale = (
            torch.take_along_dim(each, chosen, dim=-1) for each in (starts, ends, self.means, self.log_scales)
        )
        inside = ((u - start) / (end - start)).clamp(half_a_step, 1 - half_a_step)
        return (mean + torch.special.ndtri(inside) * log_scale.exp() * math.sqrt(temperature)).squeeze(-1)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.quantile(uniform(self.means[..., 0], generator), temperature)

    @property
    def mean(self) -> Tensor:
        return (self.log_weights.exp() * self.means).sum(-1)

    @property
    def deviations(self) -> Tensor:
        """sqrt(Σ_k w_k (σ_k² + (μ_k - μ)²)) with the mean μ of all."""
        spread = (2 * self.log_scales).exp() + (self.means - self.mean.unsqueeze(-1)).square()
        return (self.log_weights.exp() * spread).sum(-1).sqrt()
