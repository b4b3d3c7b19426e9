"""Three ways to draw from a chain, which turn the same noise into the same items.

*cached* walks along the chain with `steps`, so that every activation is computed once. *naive* runs the whole model for
every coordinate: the reference. *fixed-point* draws all coordinates at once, conditioned on those of the last sweep,
until none changes: the only fixed point of this map is the item that the chain would have drawn, because coordinate i
of sweep t depends on coordinates before i of sweep t - 1 alone, so that after i sweeps it is final
(Song et al. 2021, "Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from simulacra.capabilities import Steps
from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Factorised, grid_dtype

Progress = Callable[[Tensor, int, int], None]


class Factors(Protocol):
    """What is drawn from: a chain whose factors can be had all at once, and one after the other."""

    spec: DataSpec

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> Factorised:
        """As `Autoregressive.conditionals`."""
        ...

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> Steps:
        """As `Autoregressive.steps`."""
        ...


class Task(NamedTuple):
    """What is to be drawn.

    Attributes:
        order: of the chain, (dims,).
        noise: one uniform number for each coordinate, (N, *shape).
        condition: named tensors with a batch axis of N.
        x, known: items, and True where their values are kept, (N, *shape).
        progress: called with the items so far, the number of coordinates that are final, and of all.
    """

    model: Factors
    order: Tensor
    noise: Tensor
    condition: Mapping[str, Tensor]
    temperature: float
    x: Tensor
    known: Tensor
    progress: Progress | None


def cached(task: Task) -> Tensor:
    return _walk(task, task.model.steps(len(task.noise), task.condition, task.order))


def naive(task: Task) -> Tensor:
    return _walk(task, WholeSteps(task.model, len(task.noise), task.condition, task.order))


def fixed_point(task: Task) -> Tensor:
    x, total = task.x.masked_fill(~task.known, 0), len(task.order)
    for _ in range(total + 1):
        drawn = task.model.conditionals(x, task.condition, task.order).quantile(task.noise, task.temperature)
        drawn = torch.where(task.known, task.x, drawn.to(x.dtype))
        changed = (drawn != x).flatten(1).any(0)[task.order].nonzero()
        x = drawn
        if task.progress is not None:
            task.progress(x, int(changed[0]) if len(changed) else total, total)
        if not len(changed):
            break
    return x


SAMPLERS: dict[str, Callable[[Task], Tensor]] = {"cached": cached, "naive": naive, "fixed-point": fixed_point}


class WholeSteps:
    """`Steps` for any model that has `conditionals`, by computing all of them for every factor."""

    def __init__(self, model: Factors, n: int, condition: Mapping[str, Tensor], order: Tensor) -> None:
        self.model, self.condition, self.order, self.places = model, condition, order, order.tolist()
        self.x = torch.zeros((n, *model.spec.shape), dtype=grid_dtype(model.spec.levels), device=order.device)
        self.position = 0

    def conditional(self) -> Factorised:
        place = torch.unravel_index(torch.tensor(self.places[self.position]), self.model.spec.shape)
        return self.model.conditionals(self.x, self.condition, self.order)[(slice(None), *map(int, place))]

    def append(self, value: Tensor) -> None:
        self.x.flatten(1)[:, self.places[self.position]] = value.to(self.x.dtype)
        self.position += 1


def _walk(task: Task, steps: Steps) -> Tensor:
    x, progress = task.x.masked_fill(~task.known, 0), task.progress
    drawn, free = x.flatten(1), ~task.known.flatten(1)
    places, anything_known = task.order.tolist(), bool(task.known.any())
    uniform = task.noise.flatten(1).t().contiguous().unbind(0)
    a_row = x.shape[1] * x.shape[-1] if x.dim() == 4 else -(-len(places) // 32)  # between two calls of `progress`
    for i, place in enumerate(places):
        value = steps.conditional().quantile(uniform[place], task.temperature)
        column = drawn[:, place]
        if anything_known:
            value = torch.where(free[:, place], value.to(x.dtype), column)
        column.copy_(value)
        steps.append(value)
        if progress is not None and ((i + 1) % a_row == 0 or i + 1 == len(places)):
            progress(x, i + 1, len(places))
    return x
