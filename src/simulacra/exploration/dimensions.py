"""The dimensions of a code: where the prior has them, and how they are moved.

A dimension of a continuous code is one of its real numbers, moved in units of the prior's standard deviation. One of a
discrete code is a variable, which can be set to each of its values: a bit, or the place of the 1 in a one-hot row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Encoder, Prior, Quantised, need
from simulacra.condition import Condition, ConditionLike
from simulacra.distributions import Distribution, Factorised
from simulacra.errors import NotSupported, UsageError
from simulacra.model import Model, evaluating
from simulacra.randomness import generator

DRAWS, TOGETHER = 1000, 250  # of the prior


@dataclass(frozen=True)
class Dimensions:
    """The dimensions of codes (N, *shape), as a prior p(z) has them.

    prior:  of one item.
    draws:  (DRAWS, *shape) of it.
    mean:   (1, *shape) of the prior.
    start:  (1, *shape), where walks start that start from no item: the prior's mean, or one draw of it where the mean
            is no code (it is discrete), or none that the decoder was trained on (a GAN's lie on a shell around it).
    scale:  (count,) standard deviations of the prior; ones where codes are discrete.
    values: how many values a dimension of a discrete code has; 0 for real numbers.
    """

    prior: Distribution
    draws: Tensor
    mean: Tensor
    start: Tensor
    scale: Tensor
    values: int

    @property
    def count(self) -> int:
        return len(self.scale)

    def check(self, listed: Sequence[int]) -> tuple[int, ...]:
        """The listed dimensions themselves; raises UsageError for one that does not exist."""
        for dimension in listed:
            if not 0 <= dimension < self.count:
                raise UsageError(f"there is no dimension {dimension}: those of this code are 0 to {self.count - 1}")
        return tuple(listed)

    def settings(self, steps: int, reach: float) -> list[float]:
        """What a dimension is set to in turn: `steps` standard deviations from -reach to reach, or all its values."""
        return [float(value) for value in range(self.values)] or torch.linspace(-reach, reach, steps).tolist()

    def put(self, z: Tensor, dimension: int, setting: float) -> Tensor:
        """Codes (N, *shape) with one dimension at `setting`: standard deviations from the prior's mean, or a value."""
        z = z.clone()
        if not self.values:
            z.flatten(1)[:, dimension] = self.mean.flatten()[dimension] + setting * self.scale[dimension]
        elif z.dim() == 2:
            z[:, dimension] = setting
        else:
            z[:, dimension] = torch.eye(self.values, dtype=z.dtype, device=z.device)[int(setting)]
        return z

    def move(self, z: Tensor, dimension: int, amount: float) -> Tensor:
        """Codes with one dimension moved by `amount` standard deviations, or set to this value where it is discrete.

        Raises UsageError for a dimension or a value that does not exist.
        """
        self.check([dimension])
        if not math.isfinite(amount):
            raise UsageError(f"dimension {dimension} cannot be moved by {amount}")
        if self.values:
            if amount not in range(self.values):
                allowed = "0 or 1" if self.values == 2 else f"0 to {self.values - 1}"
                raise UsageError(f"this code is discrete: dimension {dimension} can be {allowed}, not {amount:g}")
            return self.put(z, dimension, amount)
        z = z.clone()
        z.flatten(1)[:, dimension] += amount * self.scale[dimension]
        return z

    def quantiles(self, dimension: int, u: Tensor) -> Tensor:
        """The values (len(u),) below which shares u of the prior lie: by its inverse distribution function where its
        dimensions are independent, else those of the draws."""
        if isinstance(self.prior, Factorised):
            each = u.to(self.mean).view(-1, *[1] * (self.mean.dim() - 1)).expand(-1, *self.mean.shape[1:])
            return self.prior.quantile(each).flatten(1)[:, dimension]
        return torch.quantile(self.draws.flatten(1)[:, dimension], u.to(self.draws))


def by_dimension(z: Tensor, values: int) -> Tensor:
    """Codes (N, *shape) -> (N, count, numbers): the numbers of each dimension, K of a one-hot row, else one.

    `values` as in `Distribution.values`: a discrete code of three axes consists of one-hot rows.
    """
    return z if values and z.dim() == 3 else z.flatten(1).unsqueeze(2)


def dimensions_of(model: Model, condition: ConditionLike, seed: int = 0) -> Dimensions:
    """The dimensions of a model's codes under one condition; the seed is that of the draws.

    Raises NotSupported for a model without a decoder or a prior, and for codes that are entries of a codebook.
    """
    need(model, Decoder)
    if isinstance(model, Quantised):
        raise NotSupported(
            f"a code of {model.name} consists of entries of a codebook, which no number moves; "
            "`simulacra interpolate` walks between items; fit a vae for dimensions"
        )
    of, given = need(model, Prior), model.conditioned(condition, 1)
    with evaluating(model):
        prior = of.prior(1, given)
        draws = _draws(of, given, generator(model.device, seed, "dimensions"))
    if prior.values:
        return Dimensions(prior, draws, prior.mean, draws[:1], draws.new_ones(draws.shape[1]), prior.values)
    deviations = prior.deviations
    mean = draws.mean(0, keepdim=True) if deviations is None else prior.mean
    start = mean if isinstance(model, Encoder) else draws[:1]
    scale = draws.flatten(1).std(0) if deviations is None else deviations.flatten()
    return Dimensions(prior, draws, mean, start, scale, 0)


def _draws(model: Prior, given: Condition, noise: torch.Generator) -> Tensor:
    again = given.expand(TOGETHER)
    return torch.cat([model.prior(TOGETHER, again).sample(noise) for _ in range(DRAWS // TOGETHER)])
