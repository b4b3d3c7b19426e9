"""Densities over codes z and continuous data, one peak for every coordinate; and the point mass."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions.base import Distribution, Factorised, at_least_float32, log_symmetric_mass, uniform
from simulacra.distributions.discretised import log_normal_cdf


class Peaked(Factorised):
    """Abstract: a density with one symmetric peak in every coordinate, at mean and of width exp(log_scale)."""

    def __init__(self, mean: Tensor, log_scale: Tensor) -> None:
        self._mean = at_least_float32(mean)
        self.log_scale = at_least_float32(log_scale)

    @property
    def mean(self) -> Tensor:
        return self._mean

    def log_mass(self, lower: Tensor, upper: Tensor) -> Tensor:
        """log ∫ p_i(x) dx from lower to upper, both broadcast against (N, *shape); exact far out in the tails too."""
        inverse = torch.exp(-self.log_scale)
        return log_symmetric_mass(self._log_cdf, (lower - self._mean) * inverse, (upper - self._mean) * inverse)

    @staticmethod
    @abstractmethod
    def _log_cdf(x: Tensor) -> Tensor:
        """log F(x) of the peak with mean 0 and width 1."""


class DiagonalGaussian(Peaked):
    """N(mean, diag(exp(2 log_scale))), parameters (N, *shape)."""

    @classmethod
    def standard(cls, *shape: int, like: Tensor) -> DiagonalGaussian:
        """N(0, I) on the device and in the precision of `like`."""
        zeros = torch.zeros(shape, device=like.device, dtype=torch.promote_types(like.dtype, torch.float32))
        return cls(zeros, zeros)

    @property
    def deviations(self) -> Tensor:
        return self.log_scale.exp()

    @staticmethod
    def _log_cdf(x: Tensor) -> Tensor:
        return log_normal_cdf(x)

    def log_each(self, x: Tensor) -> Tensor:
        standardised = (x - self._mean) * torch.exp(-self.log_scale)
        return -0.5 * standardised.square() - self.log_scale - 0.5 * math.log(2 * math.pi)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        return self._mean + torch.special.ndtri(u) * torch.exp(self.log_scale) * temperature

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        noise = whole.normal(self._mean.shape, self._mean, generator)
        return self._mean + noise * torch.exp(self.log_scale) * temperature


class Laplace(Peaked):
    """Π_d exp(-|z_d - mean_d| / b_d) / 2b_d with b = exp(log_scale), parameters (N, *shape)."""

    @property
    def deviations(self) -> Tensor:
        return math.sqrt(2) * self.log_scale.exp()

    @staticmethod
    def _log_cdf(x: Tensor) -> Tensor:
        return torch.where(x < 0, x - math.log(2), torch.log1p(-0.5 * torch.exp(-x.abs())))

    def log_each(self, x: Tensor) -> Tensor:
        return -(x - self._mean).abs() * torch.exp(-self.log_scale) - self.log_scale - math.log(2)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        centred = u - 0.5
        standard = -centred.sign() * torch.log1p(-2 * centred.abs())
        return self._mean + standard * torch.exp(self.log_scale) * temperature

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        u = uniform(self._mean, generator)
        smallest = torch.finfo(u.dtype).eps / 4  # half of what is drawn next to 0, whose quantile is -inf
        return self.quantile(u.clamp(min=smallest), temperature)


class PointMass(Distribution):
    """All mass on one value per item: what a deterministic encoder or a GAN's generator returns."""

    def __init__(self, value: Tensor) -> None:
        self.value = value

    @property
    def mean(self) -> Tensor:
        return self.value

    @property
    def deviations(self) -> Tensor:
        return torch.zeros_like(self.value)

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.value

    def log_prob(self, x: Tensor) -> Tensor:
        """0 where x is the value, -inf elsewhere."""
        hit = (x == self.value).flatten(1).all(1)
        return torch.zeros(hit.shape, device=hit.device).masked_fill(~hit, -math.inf)
