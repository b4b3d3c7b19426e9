r"""The continuous Bernoulli, p(x) ∝ exp(λx) on [0, 1], gathered into the bins of the grid.

Level j of L covers [j/L, (j+1)/L], and ∫ exp(λx) over it is the same factor for every bin times exp(λ j/L): the masses
are softmax(λ j/L) over j, a truncated geometric law, and sum to one. Loaiza-Ganem & Cunningham 2019, "The continuous
Bernoulli: fixing a pervasive error in variational autoencoders", whose density this is, with the constant that a plain
cross-entropy on grey values leaves out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulacra.distributions.base import GridDistribution, at_least_float32

MAX_LOGIT = 1e4


class DiscretisedContinuousBernoulli(GridDistribution):
    """log p(j) = λ j/L - log Σ_i exp(λ i/L), logits λ (N, *shape); for two levels a Bernoulli with logit λ/2."""

    def __init__(self, logits: Tensor, levels: int) -> None:
        self.logits, self.levels = at_least_float32(logits).clamp(-MAX_LOGIT, MAX_LOGIT), levels

    def log_each(self, x: Tensor) -> Tensor:
        return self.logits * (x.to(self.logits.dtype) / self.levels) - self._log_total()

    def log_masses(self) -> Tensor:
        level = torch.arange(self.levels, device=self.logits.device, dtype=self.logits.dtype) / self.levels
        return (self.logits.unsqueeze(-1) * level).log_softmax(-1)

    def _log_total(self) -> Tensor:
        """log Σ_j exp(λ j/L) = max(λ, 0)(1 - 1/L) + log(1 - e^-|λ|) - log(1 - e^-|λ|/L); near 0 its first terms."""
        size = self.logits.abs()
        away = size.clamp(min=1e-3)
        far = torch.log(-torch.expm1(-away)) - torch.log(-torch.expm1(-away / self.levels))
        top = 1 - 1 / self.levels
        near = math.log(self.levels) - 0.5 * top * size
        near = near + size.square() * (1 - 1 / self.levels**2) / 24  # the variance of a uniform level, halved
        positive = 0.5 * (self.logits + size)  # a clamp has a slope of 1 at 0, where that of this is 1/2, as it must be
        return positive * top + torch.where(size < 1e-3, near, far)
