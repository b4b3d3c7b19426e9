"""Items as plain sequences of coordinates: what all networks share that do not use rows and columns.

A network reads numbers in [-1, 1] and gives for every coordinate one logit where there are two levels, else one for
each level.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.distributions import Bernoulli, Categorical, GridDistribution
from simulacra.errors import UsageError

MOST_WEIGHTS = 1 << 28  # of one layer: a gigabyte, and in training four more


def blank(*shape: int) -> nn.Parameter:
    """Weights yet to be drawn; raises UsageError for more of them than an ordinary machine can train."""
    if (count := math.prod(shape)) > MOST_WEIGHTS:
        raise UsageError(
            f"one layer would have {count:,} weights ({' × '.join(map(str, shape))}); take fewer levels (--levels) or "
            "units (--hidden), or a model of pixels such as gated-pixelcnn"
        )
    return nn.Parameter(torch.empty(shape))


class VectorHead:
    """The outputs of a network for a coordinate as its masses: a Bernoulli for two levels, else a categorical.

    Attributes:
        outputs: numbers that the network gives for one coordinate.
    """

    def __init__(self, spec: DataSpec) -> None:
        if spec.levels is None:
            raise UsageError("these data are continuous and this model is for levels on a grid; use rnade")
        self.spec, self.outputs = spec, 1 if spec.levels == 2 else spec.levels

    def numbers(self, x: Tensor, like: Tensor) -> Tensor:
        """Levels (N, *shape) -> (N, dims) in [-1, 1], in the precision of `like`: what the network reads."""
        return self.spec.centred(x.to(like.dtype)).flatten(1)

    def everywhere(self, output: Tensor) -> GridDistribution:
        """output (N, dims, outputs), coordinates in their places -> all conditionals, (N, *shape)."""
        if self.outputs == 1:
            return Bernoulli(output.squeeze(-1).unflatten(1, self.spec.shape))
        return Categorical(output.unflatten(1, self.spec.shape))

    def here(self, output: Tensor) -> GridDistribution:
        """output (N, outputs) -> the conditional of one coordinate, (N,)."""
        return Bernoulli(output.squeeze(-1)) if self.outputs == 1 else Categorical(output)
