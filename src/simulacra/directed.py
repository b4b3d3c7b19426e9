"""What all models with codes share that can draw, with a bound or without: first a code z ~ p(z), then x ~ p(x|z)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Generator, Tensor

from simulacra.condition import ConditionLike
from simulacra.distributions import Distribution
from simulacra.model import Model


class DirectedModel(Model):
    """Abstract: the graph z -> x. A subclass writes `prior` and `decode`; a GAN's p(x|z) is a point mass."""

    @abstractmethod
    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, ...)."""

    @abstractmethod
    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """True draws, (n, *shape) on the grid, pixel noise included; temperature sharpens p(z) and p(x|z) alike."""
        given = self.conditioned(condition, n)
        z = self.prior(n, given).sample(generator, temperature)
        return self.decode(z, given).sample(generator, temperature)
