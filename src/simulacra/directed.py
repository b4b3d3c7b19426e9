"""Drawing from the graph z -> x, with a bound or without: first a code z ~ p(z), then x ~ p(x|z)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Generator, Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.distributions import Distribution


class Directed(Protocol):
    """A model with a prior and a decoder; a GAN's p(x|z) is a point mass."""

    def conditioned(self, condition: ConditionLike | None, n: int) -> Condition:
        """As `Model.conditioned`."""
        ...

    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution:
        """p(z), codes (n, ...)."""
        ...

    def decode(self, z: Tensor, condition: ConditionLike | None = None) -> Distribution:
        """p(x|z), x (N, *shape)."""
        ...


@torch.no_grad()
def ancestral(
    self: Directed,
    n: int,
    condition: ConditionLike | None = None,
    temperature: float = 1.0,
    generator: Generator | None = None,
) -> Tensor:
    """True draws, (n, *shape) on the grid, pixel noise included; temperature sharpens p(z) and p(x|z) alike.

    It is the `sample` of a class of models: `sample = ancestral`.
    """
    given = self.conditioned(condition, n)
    z = self.prior(n, given).sample(generator, temperature)
    return self.decode(z, given).sample(generator, temperature)
