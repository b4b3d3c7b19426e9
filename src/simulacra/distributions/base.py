"""What encoders, decoders and priors return: an object that knows its log-probability and how to draw from itself.

A batch of N independent items; all axes after the first belong to one item. `log_prob` is (N,) nats and always at least
float32, whatever precision the network ran in: bfloat16 likelihoods are off by hundreds of nats.
"""

from __future__ import annotations

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Generator, Tensor

from simulacra import whole

FAR = 1e4  # stands for infinity, whose gradients would be inf·0; 67 of the largest scales that a head may learn


def at_least_float32(value: Tensor) -> Tensor:
    """Half-precision network outputs become float32; float64 stays, so that tests can be sharp."""
    return value if value.dtype in (torch.float32, torch.float64) else value.float()


def grid_dtype(levels: int | None) -> torch.dtype:
    """Of values on a grid: uint8 for all data, int16 for more than 256 levels, float32 for continuous values."""
    return torch.float32 if levels is None else torch.uint8 if levels <= 256 else torch.int16


def uniform(like: Tensor, generator: Generator | None) -> Tensor:
    """Uniform noise in [0, 1) of the shape of `like`, on its device and in its precision."""
    return whole.uniform(like.shape, like, generator)


def log_sub_exp(a: Tensor, b: Tensor) -> Tensor:
    """log(exp(a) - exp(b)) for a > b, exact in the tails where both exponentials round to 0 or 1."""
    return a + torch.log(-torch.expm1((b - a).clamp(max=-torch.finfo(a.dtype).tiny)))


def log_symmetric_mass(log_cdf: Callable[[Tensor], Tensor], lower: Tensor, upper: Tensor) -> Tensor:
    """log(F(upper) - F(lower)) for a density that is symmetric around 0: always in the left tail, where log F keeps its
    digits. The ends may be infinite."""
    flip = lower + upper > 0
    a, b = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    return log_sub_exp(log_cdf(b), log_cdf(a))


class Distribution(ABC):
    """p over N independent items."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), (N,) nats: a mass for discrete x, a density for continuous x."""

    @abstractmethod
    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw per item. Differentiable in the parameters where the distribution can be reparameterised."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[x], of the shape of x; for grid data a real number between the levels."""

    @property
    def mode(self) -> Tensor:
        """The most probable value, of the shape and type of x; the mean where it is not known in closed form."""
        return self.mean

    @property
    def deviations(self) -> Tensor | None:
        """The standard deviation of every coordinate, of the shape of x; None where it is not known in closed form."""
        return None

    @property
    def values(self) -> int:
        """How many values a coordinate of a discrete code has, held as one number (2) or as a one-hot row (K).

        0 for real numbers, and for levels of a grid, which are data and no code.
        """
        return 0

    def reparameterised(self) -> Tensor:
        """A draw through which gradients reach the parameters: exact where there is one, relaxed for discrete codes."""
        return self.sample()

    def repeat(self, times: int) -> Self:
        """The same N items `times` times over, (times · N, ...). The parameters are tensors with the items first."""
        return self._with(lambda value: value.repeat(times, *[1] * (value.dim() - 1)))

    def rows(self, index: slice | Tensor) -> Self:
        """The distribution of some of the items. The parameters are tensors with the items first."""
        return self._with(lambda value: value[index])

    def detached(self) -> Self:
        """The same distribution, of whose parameters no gradient knows."""
        return self._with(torch.Tensor.detach)

    def precise(self) -> Self:
        """The same distribution in double precision, on the CPU."""
        return self._with(lambda value: value.cpu().double())

    def _with(self, change: Callable[[Tensor], Tensor]) -> Self:
        part = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(part, name, change(value))
        return part


class Factorised(Distribution):
    """Independent coordinates: p(x) = Π_i p_i(x_i). The parameters are tensors whose first axes are those of x."""

    @abstractmethod
    def log_each(self, x: Tensor) -> Tensor:
        """log p_i(x_i), nats, of the shape of x (N, *shape): masses for discrete x, densities for continuous x."""

    @abstractmethod
    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """Uniform noise u in [0, 1) of the shape of x -> x, one number for one coordinate.

        Two samplers that are given the same noise therefore draw the same item.
        """

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_each(x).flatten(1).sum(1)

    def __getitem__(self, index: Any) -> Self:
        """The distribution of some of the coordinates: `index` picks them from (N, *shape)."""
        return self._with(lambda value: value[index])


class GridDistribution(Factorised):
    """Independent sub-pixels over the levels 0..levels-1, each with a probability mass."""

    levels: int

    @abstractmethod
    def log_masses(self) -> Tensor:
        """log p(level) for every level, (N, *shape, levels)."""

    def log_each(self, x: Tensor) -> Tensor:
        return self.log_masses().gather(-1, x.long().unsqueeze(-1)).squeeze(-1)

    def quantile(self, u: Tensor, temperature: float = 1.0) -> Tensor:
        """The inverse distribution function: levels as uint8 (int16 where there are more than 256).

        `temperature` sharpens the masses to p^(1/temperature), renormalised.
        """
        masses = torch.softmax(self.log_masses() / temperature, dim=-1)
        level = (masses.cumsum(-1) <= u.unsqueeze(-1)).sum(-1).clamp(max=self.levels - 1)
        return level.to(grid_dtype(self.levels))

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        return self.quantile(uniform(self.log_masses()[..., 0], generator), temperature)

    @property
    def mean(self) -> Tensor:
        masses = self.log_masses().exp()
        return masses @ torch.arange(self.levels, device=masses.device, dtype=masses.dtype)

    @property
    def mode(self) -> Tensor:
        """The most probable level, the lower one of equals."""
        return self.log_masses().argmax(-1).to(grid_dtype(self.levels))


def bin_edges(levels: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper edge of every level on the centred grid [-1, 1]; the outermost bins reach FAR beyond it."""
    edges = _bin_edges(levels, like.device, like.dtype)
    return edges[:-1], edges[1:]  # one list of edges: neighbours share theirs to the last bit, so nothing is lost


@functools.lru_cache(maxsize=64)  # a sampler asks for every sub-pixel
@torch.inference_mode(False)  # what is kept must serve training too
def _bin_edges(levels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    edges = (2 * torch.arange(levels + 1, device=device, dtype=dtype) - levels) / (levels - 1)
    edges[0], edges[-1] = -FAR, FAR
    return edges
