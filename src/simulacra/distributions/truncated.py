r"""A Gaussian that ends: p(z) ∝ N(z; 0, 1) for |z| <= t in every coordinate, and 0 beyond.

It is what a Gaussian becomes whose coordinates are drawn again until they lie within [-t, t]; drawn here by the inverse
of its distribution function, z = Φ⁻¹(Φ(-t) + u (Φ(t) - Φ(-t))), from one u ~ U[0, 1) for each.
Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", section 3.1.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from simulacra.distributions.base import Factorised, at_least_float32, uniform


class TruncatedGaussian(Factorised):
    """N(0, I) within [-limit, limit] in every coordinate, (N, *shape); zeros: of that shape. limit: t > 0."""

    def __init__(self, zeros: Tensor, limit: float) -> None:
        self.zeros, self.limit = at_least_float32(zeros), limit

    def log_each(self, x: Tensor) -> Tensor:
        inside = -0.5 * x.square() - 0.5 * math.log(2 * math.pi) - math.log(math.erf(self.limit / math.sqrt(2)))
        return torch.where(x.abs() <= self.limit, inside, -math.inf)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """Temperature is the σ of the Gaussian before it is truncated."""
        below = 0.5 * math.erfc(self.limit / temperature / math.sqrt(2))  # Φ(-t/σ)
        inside = below + u.clamp(min=torch.finfo(u.dtype).eps / 4) * (1 - 2 * below)
        return (temperature * torch.special.ndtri(inside)).clamp(-self.limit, self.limit)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.quantile(uniform(self.zeros, generator), temperature)

    @property
    def mean(self) -> Tensor:
        return self.zeros

    @property
    def deviations(self) -> Tensor:
        """√(1 - 2 t φ(t) / (Φ(t) - Φ(-t)))"""
        density = math.exp(-0.5 * self.limit**2) / math.sqrt(2 * math.pi)
        variance = 1 - 2 * self.limit * density / math.erf(self.limit / math.sqrt(2))
        return torch.full_like(self.zeros, math.sqrt(max(0.0, variance)))
