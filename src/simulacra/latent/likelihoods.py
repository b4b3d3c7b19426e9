"""How a decoder's raw numbers become p(x|z): one row per likelihood, each an exact mass on the grid (or a density).

A decoder emits `parameters` numbers per sub-pixel; `distribution` turns them, (N, *shape, parameters), into p(x|z).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from simulacra.data.spec import DataSpec
from simulacra.distributions import (
    Bernoulli,
    Categorical,
    DiagonalGaussian,
    DiscretisedGaussian,
    DiscretisedLogisticMixture,
    Distribution,
)
from simulacra.errors import UsageError, did_you_mean

COMPONENTS = 5  # of the logistic mixture


@dataclass(frozen=True)
class Likelihood:
    parameters: int
    distribution: Callable[[Tensor], Distribution]


def likelihood(name: str, spec: DataSpec) -> Likelihood:
    """The likelihood called `name` for data of this spec; "auto" is the one that suits the grid.

    Raises UsageError for a likelihood that is none for these data: Bernoulli for grey values is not a probability of
    them, and a mass over levels does not exist for continuous data.
    """
    name = suited(spec) if name == "auto" else name
    if name not in _LIKELIHOODS:
        raise UsageError(f"there is no likelihood {name!r}.{did_you_mean(name, ['auto', *_LIKELIHOODS])}")
    if spec.levels is None and name != "gaussian":
        raise UsageError(f"likelihood {name!r} is a mass over levels, but these data are continuous; use 'gaussian'")
    if spec.levels not in (None, 2) and name == "bernoulli":
        raise UsageError(f"likelihood 'bernoulli' needs binary data, these have {spec.levels} levels; use 'auto'")
    return _LIKELIHOODS[name](spec)


def suited(spec: DataSpec) -> str:
    """Bernoulli for two levels, a smooth mixture for more; continuous data have a density."""
    return "gaussian" if spec.levels is None else "bernoulli" if spec.levels == 2 else "logistic-mixture"


def _bernoulli(spec: DataSpec) -> Likelihood:
    return Likelihood(1, _bernoulli_from)


def _bernoulli_from(raw: Tensor) -> Distribution:
    return Bernoulli(raw.squeeze(-1))


def _categorical(spec: DataSpec) -> Likelihood:
    return Likelihood(spec.grid_levels, Categorical)


def _gaussian(spec: DataSpec) -> Likelihood:
    return Likelihood(2, partial(_gaussian_from, levels=spec.levels))


def _gaussian_from(raw: Tensor, levels: int | None) -> Distribution:
    """Mean and diagonal covariance, both learned."""
    mean, log_scale = raw.unbind(-1)
    return DiagonalGaussian(mean, log_scale) if levels is None else DiscretisedGaussian(mean, log_scale - 1.0, levels)


def _logistic_mixture(spec: DataSpec) -> Likelihood:
    return Likelihood(3 * COMPONENTS, partial(_logistic_mixture_from, levels=spec.grid_levels))


def _logistic_mixture_from(raw: Tensor, levels: int) -> Distribution:
    weights, means, log_scales = raw.chunk(3, dim=-1)
    # spread the components over the grid at the start, so that they do not all learn the same mean
    start = raw.new_tensor([2 * (k + 0.5) / COMPONENTS - 1 for k in range(COMPONENTS)])
    return DiscretisedLogisticMixture(weights, means + start, log_scales - 2.0, levels)


_LIKELIHOODS: dict[str, Callable[[DataSpec], Likelihood]] = {
    "bernoulli": _bernoulli,
    "categorical": _categorical,
    "gaussian": _gaussian,
    "logistic-mixture": _logistic_mixture,
}
