"""How a decoder's raw numbers become p(x|z): one row per likelihood, each an exact mass on the grid (or a density).

A decoder emits `parameters` numbers per sub-pixel; `distribution` turns them, (N, *shape, parameters), into p(x|z).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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
from simulacra.errors import UsageError, did_you_mean

COMPONENTS = 5  # of the logistic mixture


@dataclass(frozen=True)
class Likelihood:
    parameters: int
    distribution: Callable[[Tensor], Distribution]

    def __call__(self, raw: Tensor) -> Distribution:
        """p(x|z) from what a decoder emits, (N, *shape, parameters), in at least float32."""
        return self.distribution(at_least_float32(raw))


def likelihood(name: str, spec: DataSpec, scale: float | None = None) -> Likelihood:
    """The likelihood called `name` for data of this spec; "auto" is the one that suits the grid.

    `scale` fixes the σ of a Gaussian, on the centred grid [-1, 1]; without it every sub-pixel's is learned.

    Raises UsageError for a likelihood that is none for these data: Bernoulli for grey values is not a probability of
    them, and a mass over levels does not exist for continuous data; for a scale that nothing would use, and for one so
    small or large that masses would be those of another.
    """
    name = suited(spec) if name == "auto" else name
    if name not in _LIKELIHOODS:
        raise UsageError(f"there is no likelihood {name!r}.{did_you_mean(name, ['auto', *_LIKELIHOODS])}")
    if spec.levels is None and name != "gaussian":
        raise UsageError(f"likelihood {name!r} is a mass over levels, but these data are continuous; use 'gaussian'")
    if spec.levels not in (None, 2) and name == "bernoulli":
        raise UsageError(
            f"likelihood 'bernoulli' needs binary data, these have {spec.levels} levels; use 'auto', or "
            "'continuous-bernoulli', which is its counterpart for grey values"
        )
    if scale is None:
        return _LIKELIHOODS[name](spec)
    if name != "gaussian":
        raise UsageError(f"scale {scale} fixes the width of likelihood 'gaussian', and {name!r} has none: leave it out")
    if not 0 < scale < math.inf:
        raise UsageError(f"scale must be positive and finite, not {scale}")
    if spec.levels is not None and not MIN_LOG_SCALE <= math.log(scale) <= MAX_LOG_SCALE:
        least, most = math.exp(MIN_LOG_SCALE), math.exp(MAX_LOG_SCALE)
        raise UsageError(f"on a grid from -1 to 1 scale must be {least:.1g} to {most:.0f}, not {scale}")
    return _fixed_gaussian(spec, scale)


def suited(spec: DataSpec) -> str:
    """Bernoulli for two levels, a smooth mixture for more; continuous data have a density."""
    return "gaussian" if spec.levels is None else "bernoulli" if spec.levels == 2 else "logistic-mixture"


def slender(spec: DataSpec) -> str:
    """The same with few numbers for a sub-pixel, where a decoder is asked so often that they count."""
    return suited(spec) if spec.levels in (None, 2) else "continuous-bernoulli"


def _bernoulli(spec: DataSpec) -> Likelihood:
    return Likelihood(1, _bernoulli_from)


def _bernoulli_from(raw: Tensor) -> Distribution:
    return Bernoulli(raw.squeeze(-1))


def _continuous_bernoulli(spec: DataSpec) -> Likelihood:
    return Likelihood(1, partial(_continuous_bernoulli_from, levels=spec.grid_levels))


def _continuous_bernoulli_from(raw: Tensor, levels: int) -> Distribution:
    return DiscretisedContinuousBernoulli(raw.squeeze(-1), levels)


def _categorical(spec: DataSpec) -> Likelihood:
    return Likelihood(spec.grid_levels, Categorical)


def _gaussian(spec: DataSpec) -> Likelihood:
    return Likelihood(2, partial(_gaussian_from, levels=spec.levels))


def _gaussian_from(raw: Tensor, levels: int | None) -> Distribution:
    """Mean and diagonal covariance, both learned."""
    mean, log_scale = raw.unbind(-1)
    return DiagonalGaussian(mean, log_scale) if levels is None else DiscretisedGaussian(mean, log_scale - 1.0, levels)


def _fixed_gaussian(spec: DataSpec, scale: float) -> Likelihood:
    return Likelihood(1, partial(_fixed_gaussian_from, levels=spec.levels, log_scale=math.log(scale)))


def _fixed_gaussian_from(raw: Tensor, levels: int | None, log_scale: float) -> Distribution:
    """The mean is learned: squared error over 2σ² and a constant, gathered into bins where there is a grid."""
    mean = raw.squeeze(-1)
    spread = torch.full_like(mean, log_scale)
    return DiagonalGaussian(mean, spread) if levels is None else DiscretisedGaussian(mean, spread, levels)


def _logistic_mixture(spec: DataSpec) -> Likelihood:
    return Likelihood(3 * COMPONENTS, partial(_logistic_mixture_from, levels=spec.grid_levels))


def _logistic_mixture_from(raw: Tensor, levels: int) -> Distribution:
    weights, means, log_scales = raw.chunk(3, dim=-1)
    # spread the components over the grid at the start, so that they do not all learn the same mean
    start = raw.new_tensor([2 * (k + 0.5) / COMPONENTS - 1 for k in range(COMPONENTS)])
    return DiscretisedLogisticMixture(weights, means + start, log_scales - 2.0, levels)


_LIKELIHOODS: dict[str, Callable[[DataSpec], Likelihood]] = {
    "bernoulli": _bernoulli,
    "continuous-bernoulli": _continuous_bernoulli,
    "categorical": _categorical,
    "gaussian": _gaussian,
    "logistic-mixture": _logistic_mixture,
}
