"""Where codes have their mass: bounds within which a search stays, by two measures of draws.

Each number of a code lies between the least and the greatest of the draws, and its norm, in standard deviations from
the mean, within the range of the middle 99 %. Numbers that take few values, the classes of a structured prior, do not
move at all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol, cast

import torch
from torch import Tensor

from simulacra.condition import ConditionLike
from simulacra.distributions import Distribution
from simulacra.model import Model
from simulacra.randomness import generator

DRAWS = 4096
TAIL = 0.005  # share of the draws with a smaller norm than a code may have, and with a larger one
FEW = 64  # values: a number of a code with no more of them among the draws is a class


class WithPrior(Protocol):
    def prior(self, n: int, condition: ConditionLike | None = None) -> Distribution: ...


@dataclass(frozen=True)
class Mass:
    """Bounds of each number of a code, (K, D), and of the norm in standard deviations, (K, 1).

    K = 1: the same for all codes; else those of each.

    free: (K, D) the numbers that a search may change.
    """

    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    least: Tensor
    most: Tensor
    free: Tensor

    @classmethod
    def of(cls, model: WithPrior) -> Mass:
        """That of the prior, by DRAWS draws of a constant seed."""
        return cls.of_draws(draws(model).flatten(1))

    @classmethod
    def of_draws(cls, z: Tensor) -> Mass:
        """That of codes (M, D), one for all."""
        free = (z.sort(0).values.diff(dim=0).ne(0).sum(0) >= FEW)[None]
        mean, scale = z.mean(0, keepdim=True), z.std(0, keepdim=True).clamp(min=1e-12)
        norms = (((z - mean) / scale) * free).norm(dim=1).double().sort().values
        least, most = (norms[round(share * (len(z) - 1))].to(z).view(1, 1) for share in (TAIL, 1 - TAIL))
        return cls(mean, scale, z.amin(0, keepdim=True), z.amax(0, keepdim=True), least, most, free)

    @classmethod
    def stacked(cls, each: list[Mass]) -> Mass:
        """One for each code."""
        return cls(*(torch.cat([getattr(mass, field.name) for mass in each]) for field in fields(cls)))

    def rows(self, index: Tensor) -> Mass:
        """Those of some codes with an axis for their layers, (len(index), 1, D)."""
        chosen = index if len(self.mean) > 1 else torch.zeros_like(index)
        return Mass(*(getattr(self, field.name)[chosen, None] for field in fields(self)))

    def keep(self, z: Tensor) -> Tensor:
        """Codes (..., D) -> the same within the bounds: first the norm, then each number."""
        u = ((z - self.mean) / self.scale) * self.free
        norm = u.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        inside = self.mean + self.scale * u * (norm.clamp(self.least, self.most) / norm)
        return torch.where(self.free, inside.clamp(self.low, self.high), z)


def draws(model: WithPrior) -> Tensor:
    """(DRAWS, *code) of the prior, always the same."""
    return model.prior(DRAWS).sample(generator(cast(Model, model).device, "mass"))
