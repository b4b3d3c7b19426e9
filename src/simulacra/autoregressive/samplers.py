"""Three ways to draw from a chain, which turn the same noise into the same items.

*cached* walks along the chain with `steps`, so that every activation is computed once. *naive* runs the whole model for
every coordinate: the reference. *fixed-point* guesses all coordinates and draws all of them anew, given the last guess,
until nothing changes: the only fixed point of this map is the item that the chain would have drawn, because coordinate
i of sweep t depends on coordinates before i of sweep t - 1 alone, so that after i sweeps it is right for good
(Song et al. 2021, "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from simulacra.capabilities import Steps
from simulacra.distributions import Factorised

if TYPE_CHECKING:
    from simulacra.autoregressive.chain import Autoregressive

Progress = Callable[[Tensor, int, int], None]


class Known(NamedTuple):
    """Items (N, *shape), and where their values are given (N, *shape)."""

    x: Tensor
    places: Tensor


def cached(
    model: Autoregressive,
    order: Tensor,
    noise: Tensor,
    given: Mapping[str, Tensor],
    temperature: float,
    known: Known,
    progress: Progress | None = None,
) -> Tensor:
    return _walk(model.steps(len(noise), given, order), order, noise, temperature, known, progress)


def naive(
    model: Autoregressive,
    order: Tensor,
    noise: Tensor,
    given: Mapping[str, Tensor],
    temperature: float,
    known: Known,
    progress: Progress | None = None,
) -> Tensor:
    return _walk(WholeSteps(model, len(noise), given, order), order, noise, temperature, known, progress)


def fixed_point(
    model: Autoregressive,
    order: Tensor,
    noise: Tensor,
    given: Mapping[str, Tensor],
    temperature: float,
    known: Known,
    progress: Progress | None = None,
) -> Tensor:
    x = known.x.masked_fill(~known.places, 0)
    for _ in range(len(order) + 1):
        drawn = model.conditionals(x, given, order).quantile(noise, temperature)
        drawn = torch.where(known.places, known.x, drawn.to(x.dtype))
        changed = (drawn != x).flatten(1).any(0)[order].nonzero()
        x = drawn
        if progress is not None:
            progress(x, int(changed[0]) if len(changed) else len(order), len(order))
        if not len(changed):
            break
    return x


SAMPLERS: dict[str, Callable[..., Tensor]] = {"cached": cached, "naive": naive, "fixed-point": fixed_point}


class WholeSteps:
    """`Steps` for any model that has `conditionals`, by computing all of them for every look."""

    def __init__(self, model: Autoregressive, n: int, given: Mapping[str, Tensor], order: Tensor) -> None:
        self.model, self.given, self.order, self.places = model, given, order, order.tolist()
        dtype = torch.float32 if model.spec.levels is None else torch.uint8
        self.x = torch.zeros((n, *model.spec.shape), dtype=dtype, device=order.device)
        self.told = 0

    def look(self) -> Factorised:
        place = torch.unravel_index(torch.tensor(self.places[self.told]), self.model.spec.shape)
        return self.model.conditionals(self.x, self.given, self.order)[(slice(None), *map(int, place))]

    def put(self, value: Tensor) -> None:
        self.x.flatten(1)[:, self.places[self.told]] = value.to(self.x.dtype)
        self.told += 1


def _walk(
    steps: Steps, order: Tensor, noise: Tensor, temperature: float, known: Known, progress: Progress | None
) -> Tensor:
    x = known.x.masked_fill(~known.places, 0)
    drawn, free = x.flatten(1), ~known.places.flatten(1)
    places, anything_known = order.tolist(), bool(known.places.any())
    uniform = noise.flatten(1).t().contiguous().unbind(0)
    a_row = x.shape[1] * x.shape[-1] if x.dim() == 4 else -(-len(places) // 32)  # between two calls of `progress`
    for i, place in enumerate(places):
        value = steps.look().quantile(uniform[place], temperature)
        column = drawn[:, place]
        if anything_known:
            value = torch.where(free[:, place], value.to(x.dtype), column)
        column.copy_(value)
        steps.put(value)
        if progress is not None and ((i + 1) % a_row == 0 or i + 1 == len(places)):
            progress(x, i + 1, len(places))
    return x
