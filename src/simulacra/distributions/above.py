"""Levels of a grid of which some must lie above the lowest one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from simulacra.distributions.base import GridDistribution, log_sub_exp


class AboveLowest(GridDistribution):
    """p(x_i | x_i > 0) where `must` is true, (N, *shape), and p(x_i) elsewhere."""

    def __init__(self, all_levels: GridDistribution, must: Tensor) -> None:
        self.all_levels, self.must, self.levels = all_levels, must, all_levels.levels

    def _log_above(self) -> Tensor:
        """log p(x_i > 0), and 0 where that need not be."""
        lowest = self.all_levels.log_each(torch.zeros_like(self.must, dtype=torch.uint8))
        lowest = torch.where(self.must, lowest, -1.0)  # no gradient of what is not used, which may be infinite
        return torch.where(self.must, log_sub_exp(torch.zeros_like(lowest), lowest), 0.0)

    def log_each(self, x: Tensor) -> Tensor:
        each = self.all_levels.log_each(x) - self._log_above()
        return each.masked_fill(self.must & (x == 0), -torch.inf)

    def log_masses(self) -> Tensor:
        masses = self.all_levels.log_masses() - self._log_above().unsqueeze(-1)
        lowest = torch.arange(self.levels, device=masses.device) == 0
        return masses.masked_fill(self.must.unsqueeze(-1) & lowest, -torch.inf)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        if temperature == 1 and not self.must.any():
            return self.all_levels.quantile(u)
        return super().quantile(u, temperature)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(self.all_levels._with(change), change(self.must).bool())
