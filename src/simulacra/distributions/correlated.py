r"""A Gaussian over whole codes with any covariance, one for all items: a prior that learns where codes lie.

    y = W (z - μ) ~ N(0, I),   W lower triangular with a positive diagonal,   Σ⁻¹ = WᵀW

It is a chain: given the coordinates before it, z_i is Gaussian with mean μ_i - Σ_{j<i} W_ij (z_j - μ_j) / W_ii and
standard deviation 1 / W_ii. Neither a density nor a KL needs the inverse of W; only draws do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions.ancestral import Ancestral, Choose
from simulacra.distributions.base import Distribution, at_least_float32
from simulacra.distributions.gaussian import DiagonalGaussian


class CorrelatedGaussian(Distribution):
    """N(μ, (WᵀW)⁻¹) for n items; location μ (D,), whitening W (D, D)."""

    def __init__(self, n: int, location: Tensor, whitening: Tensor) -> None:
        self.n = n
        self.location, self.whitening = at_least_float32(location), at_least_float32(whitening)

    @property
    def mean(self) -> Tensor:
        return self.location.expand(self.n, -1)

    @property
    def deviations(self) -> Tensor:
        """Of each coordinate by itself, √Σ_ii."""
        return self._colouring().square().sum(1).sqrt().expand(self.n, -1)

    @property
    def marginals(self) -> DiagonalGaussian:
        """N(μ_i, Σ_ii) of every coordinate, (n, D)."""
        return DiagonalGaussian(self.mean, self.deviations.log())

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_each(x).sum(1)

    def log_each(self, x: Tensor) -> Tensor:
        """log p(z_i | z_<i), (N, D) nats."""
        return -0.5 * self.whitened(x).square() + self._log_scales() - 0.5 * math.log(2 * math.pi)

    def whitened(self, z: Tensor) -> Tensor:
        """y = W (z - μ), (N, D), which is N(0, I) for draws."""
        with torch.autocast(z.device.type, enabled=False):
            return (at_least_float32(z) - self.location) @ self.whitening.T

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        noise = whole.normal((self.n, len(self.location)), self.location, generator)
        return self.location + temperature * noise @ self._colouring().T

    def chain(self) -> Ancestral:
        """The same distribution as one coordinate after the other: layers (n, 1)."""

        def walk(context: Sequence[Tensor], choose: Choose) -> None:
            before = self.location.new_zeros(self.n, 0)
            for i, row in enumerate(self.whitening):
                scale = 1 / row[i]
                mean = self.location[i] - scale * before @ row[:i]
                p = DiagonalGaussian(mean[:, None], scale.log().expand(self.n, 1))
                before = torch.cat([before, choose(p).to(before) - self.location[i]], dim=1)

        return Ancestral(walk, [])

    def kl_each_from(self, q: DiagonalGaussian) -> Tensor:
        """E_q KL(q(z_i) || p(z_i | z_<i)), (N, D) nats, of independent q: their sum over i is KL(q || p).

        E_q y_i² is (W (μ_q - μ))_i² + Σ_j W_ij² σ_j².
        """
        with torch.autocast(q.mean.device.type, enabled=False):
            spread = (2 * q.log_scale).exp() @ self.whitening.square().T
        expected = self.whitened(q.mean).square() + spread
        return 0.5 * (expected - 1) - self._log_scales() - q.log_scale

    def _log_scales(self) -> Tensor:
        return self.whitening.diagonal().log()

    def _colouring(self) -> Tensor:
        """W⁻¹, by which noise becomes z - μ."""
        return torch.linalg.solve_triangular(
            self.whitening, torch.eye(len(self.location)).to(self.whitening), upper=False
        )

    def repeat(self, times: int) -> Self:
        return type(self)(self.n * times, self.location, self.whitening)

    def rows(self, index: slice | Tensor) -> Self:
        return type(self)(len(torch.empty(self.n)[index]), self.location, self.whitening)
