"""Likelihoods p(x|z): one part for each, an exact mass on the grid, or a density of continuous data.

A decoder returns `parameters` numbers per sub-pixel; `distribution` turns them, (N, *shape, parameters), into p(x|z).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from simulacra.data.spec import DataSpec
from simulacra.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    DiscretisedContinuousBernoulli,
    DiscretisedGaussian,
    DiscretisedLogisticMixture,
    Distribution,
    at_least_float32,
)
from simulacra.distributions.discretised import MAX_LOG_SCALE, MIN_LOG_SCALE
from simulacra.errors import UsageError
from simulacra.parts import above, called, kind, part, within


@kind("likelihood")
class Likelihood(Protocol):
    """Builds the map from a decoder's outputs to p(x|z)."""

    def build(self, spec: DataSpec) -> Output:
        """For data of this spec; raises UsageError where it does not suit them."""
        ...


@dataclass(frozen=True)
class Output:
    """A decoder's output: the number of `parameters` of a sub-pixel, and the distribution that has them."""

    parameters: int
    distribution: Callable[[Tensor], Distribution]

    def __call__(self, raw: Tensor) -> Distribution:
        """p(x|z) from a decoder's output, (N, *shape, parameters), in at least float32."""
        return self.distribution(at_least_float32(raw))


@part("likelihood", "bernoulli")
class BernoulliLikelihood:
    """One probability for a sub-pixel of two levels."""

    def build(self, spec: DataSpec) -> Output:
        if _grid(self, spec) != 2:
            raise UsageError(
                f"likelihood 'bernoulli' needs binary data, these have {spec.levels} levels; leave the likelihood out, "
                "or use 'continuous-bernoulli', which is its counterpart for grey values"
            )
        return Output(1, _bernoulli)


@part("likelihood", "continuous-bernoulli")
class ContinuousBernoulliLikelihood:
    """p(x) ∝ exp(λx), one λ for a sub-pixel, gathered into the bins of the grid."""

    def build(self, spec: DataSpec) -> Output:
        return Output(1, partial(_continuous_bernoulli, levels=_grid(self, spec)))


@part("likelihood", "categorical")
class CategoricalLikelihood:
    """A mass of its own for each level of a sub-pixel."""

    def build(self, spec: DataSpec) -> Output:
        return Output(_grid(self, spec), Categorical)


@part("likelihood", "gaussian")
class GaussianLikelihood:
    """N(μ, σ²) for a sub-pixel: a density of continuous data, gathered into bins where there is a grid.

    Attributes:
        scale: fixes σ, on [-1, 1] where there is a grid; without it σ is learned for every sub-pixel.
    """

    scale: float | None = None

    def __post_init__(self) -> None:
        above(0, scale=self.scale)

    def build(self, spec: DataSpec) -> Output:
        if self.scale is None:
            return Output(2, partial(_gaussian, levels=spec.levels))
        if spec.levels is not None and not MIN_LOG_SCALE <= math.log(self.scale) <= MAX_LOG_SCALE:
            least, most = math.exp(MIN_LOG_SCALE), math.exp(MAX_LOG_SCALE)
            raise UsageError(f"on a grid from -1 to 1 scale must be {least:.1g} to {most:.0f}, not {self.scale}")
        return Output(1, partial(_fixed_gaussian, levels=spec.levels, log_scale=math.log(self.scale)))


@part("likelihood", "logistic-mixture")
class LogisticMixtureLikelihood:
    """A mixture of logistics for a sub-pixel, gathered into the bins of the grid.

    Attributes:
        components: of the mixture.
    """

    components: int = 5

    def __post_init__(self) -> None:
        within(1, components=self.components)

    def build(self, spec: DataSpec) -> Output:
        form = partial(_logistic_mixture, levels=_grid(self, spec), components=self.components)
        return Output(3 * self.components, form)


def default_likelihood(spec: DataSpec) -> Likelihood:
    """Bernoulli for two levels, a smooth mixture for more; continuous data have a density."""
    if spec.levels is None:
        return GaussianLikelihood()
    return BernoulliLikelihood() if spec.levels == 2 else LogisticMixtureLikelihood()


def compact_likelihood(spec: DataSpec) -> Likelihood:
    """The same with few numbers for a sub-pixel, where a decoder runs so often that they count."""
    return default_likelihood(spec) if spec.levels in (None, 2) else ContinuousBernoulliLikelihood()


def _grid(likelihood: object, spec: DataSpec) -> int:
    """The levels of the data; raises UsageError for continuous ones."""
    if spec.levels is None:
        name = called(likelihood)[1]
        raise UsageError(f"likelihood {name!r} is a mass over levels, but these data are continuous; use 'gaussian'")
    return spec.levels


def _bernoulli(raw: Tensor) -> Distribution:
    return Bernoulli(raw.squeeze(-1))


def _continuous_bernoulli(raw: Tensor, levels: int) -> Distribution:
    return DiscretisedContinuousBernoulli(raw.squeeze(-1), levels)


def _gaussian(raw: Tensor, levels: int | None) -> Distribution:
    """Mean and diagonal covariance, both learned."""
    mean, log_scale = raw.unbind(-1)
    return DiagonalGaussian(mean, log_scale) if levels is None else DiscretisedGaussian(mean, log_scale - 1.0, levels)


def _fixed_gaussian(raw: Tensor, levels: int | None, log_scale: float) -> Distribution:
    """The mean is learned: squared error over 2σ² and a constant, gathered into bins where there is a grid."""
    mean = raw.squeeze(-1)
    spread = torch.full_like(mean, log_scale)
    return DiagonalGaussian(mean, spread) if levels is None else DiscretisedGaussian(mean, spread, levels)


def _logistic_mixture(raw: Tensor, levels: int, components: int) -> Distribution:
    weights, means, log_scales = raw.chunk(3, dim=-1)
    # spread the components over the grid at the start, so that they do not all learn the same mean
    start = raw.new_tensor([2 * (k + 0.5) / components - 1 for k in range(components)])
    return DiscretisedLogisticMixture(weights, means + start, log_scales - 2.0, levels)
