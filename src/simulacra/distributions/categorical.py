"""Masses given level by level: Bernoulli for two levels, categorical for any number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from simulacra.distributions.base import GridDistribution, at_least_float32


class Bernoulli(GridDistribution):
    """p(1) = sigmoid(logits), logits (N, *shape)."""

    levels = 2

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)

    def log_masses(self) -> Tensor:
        return F.logsigmoid(torch.stack((-self.logits, self.logits), dim=-1))

    def log_each(self, x: Tensor) -> Tensor:
        # log sigma(l) = l - softplus(l), log sigma(-l) = -softplus(l): one fused kernel for both levels
        return -F.binary_cross_entropy_with_logits(self.logits, x.to(self.logits.dtype), reduction="none")

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        return (u >= torch.sigmoid(self.logits / -temperature)).byte()

    @property
    def mean(self) -> Tensor:
        return self.logits.sigmoid()


class Categorical(GridDistribution):
    """p(level) = softmax(logits), logits (N, *shape, levels)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)
        self.levels = logits.shape[-1]

    def log_masses(self) -> Tensor:
        return self.logits.log_softmax(-1)
