"""Items as plain sequences of coordinates: what all models share that do not use rows and columns.

A network reads numbers in [-1, 1] and gives for every coordinate one logit where there are two levels, else one for
each level.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simulacra.autoregressive.chain import Autoregressive
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Bernoulli, Categorical, GridDistribution
from simulacra.errors import UsageError
from simulacra.nn import Embed

MOST_WEIGHTS = 1 << 28  # of one layer: a gigabyte, and in training four more


def blank(*shape: int) -> nn.Parameter:
    """Weights yet to be drawn; raises UsageError for more of them than an ordinary machine can train."""
    if (count := math.prod(shape)) > MOST_WEIGHTS:
        raise UsageError(
            f"one layer would have {count:,} weights ({' × '.join(map(str, shape))}); take fewer levels (--levels) or "
            "units (--hidden), or a model of pixels such as gated-pixelcnn"
        )
    return nn.Parameter(torch.empty(shape))


class Discrete(Autoregressive):
    """Base of the models over vectors, and over images flattened, on a grid.

    Attributes:
        logits: numbers that the network gives for one coordinate.
    """

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if spec.levels is None:
            raise UsageError("these data are continuous and this model is for levels on a grid; use rnade")
        self.logits = 1 if spec.levels == 2 else spec.levels
        self.embed = Embed(spec.condition)

    def embedded(self, condition: ConditionLike | None, n: int) -> Condition:
        """The condition, checked and embedded, as `AddCondition` reads it."""
        return self.embed(self.conditioned(condition, n))

    def numbers(self, x: Tensor) -> Tensor:
        """Levels (N, *shape) -> (N, dims) in [-1, 1], in the precision of the network."""
        return self.spec.centred(x.to(next(self.parameters()).dtype)).flatten(1)

    def everywhere(self, output: Tensor) -> GridDistribution:
        """output (N, dims, logits), coordinates in their places -> all conditionals, (N, *shape)."""
        if self.logits == 1:
            return Bernoulli(output.squeeze(-1).unflatten(1, self.spec.shape))
        return Categorical(output.unflatten(1, self.spec.shape))

    def here(self, output: Tensor) -> GridDistribution:
        """output (N, logits) -> the conditional of one coordinate, (N,)."""
        return Bernoulli(output.squeeze(-1)) if self.logits == 1 else Categorical(output)

    def own(self, order: Tensor | None) -> Tensor:
        """The raster order, for a model that has no other; raises UsageError for another one."""
        own = self.order()
        if order is not None and not torch.equal(order, own):
            raise UsageError("this model factorises in raster order only; made and orderless-nade take any order")
        return own
