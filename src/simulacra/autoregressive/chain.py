r"""The chain rule: p(x) = Π_i p(x_o(i) | x_o(1), ..., x_o(i-1)) for any order o of the coordinates, exactly.

A model of the family defines `conditionals` (all factors at once) and `steps` (one factor after the other, every
activation computed once); likelihood, sampling, completion and coding are made of these here and elsewhere.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from simulacra.autoregressive.samplers import SAMPLERS, Progress, Task
from simulacra.capabilities import Steps
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Factorised, grid_dtype
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.turns import Phase, Turn


def raster(shape: Sequence[int]) -> Tensor:
    """(dims,) places in the flattened item; of an image row by row, column by column, red before green before blue."""
    places = torch.arange(math.prod(shape), device="cpu")  # real numbers also under the meta device
    return places if len(shape) != 3 else places.view(*shape).permute(1, 2, 0).flatten()


class Autoregressive(Model):
    """Base of the family: a subclass writes `conditionals` and `steps`; the rest follows from the chain rule."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self._raster = raster(spec.shape)

    @abstractmethod
    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> Factorised:
        """All p(x_i | those before it in `order`) at once, of the shape of x; that of x_i reads nothing at or after i.

        x is (N, *shape) on the data grid, as integers or as real numbers (which have derivatives).
        """

    @abstractmethod
    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> Steps:
        """The same factors one after the other, every activation computed once; see `simulacra.capabilities.Steps`."""

    def order(self, unknown: Tensor | None = None) -> Tensor:
        """The order of the chain, (dims,): raster, whatever is unknown, unless a model overrides it."""
        return self._raster.to(self.device)

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return {"nats": -self.log_prob(turn.x, turn.condition).mean()}

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(x | condition), exact, (N,) nats; x (N, *shape) on the data grid."""
        return self.conditionals(x, condition).log_prob(x)

    def log_each(self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None) -> Tensor:
        """log p(x_i | those before it), nats, of the shape of x: where an item is surprising."""
        return self.conditionals(x, condition, order).log_each(x)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
        sampler: str = "cached",
        progress: Progress | None = None,
    ) -> Tensor:
        """(n, *shape) draws.

        Args:
            n: how many.
            condition: one value for all, or one for each.
            temperature: every factor is sharpened to p^(1/temperature).
            generator: of the noise, one uniform number for each coordinate.
            sampler: "cached" computes every activation once; "naive" runs the whole model for every coordinate and is
                the reference; "fixed-point" redraws all coordinates in parallel, conditioned on the last sweep, until
                none changes. All three turn the same noise into the same items.
            progress: called with the items so far, the number of coordinates that are final, and of all.
        """
        unknown = torch.ones(self.spec.shape, dtype=torch.bool, device=self.device)
        blank = torch.zeros((n, *self.spec.shape), dtype=grid_dtype(self.spec.levels), device=self.device)
        condition = self.conditioned(condition, n)
        return self._fill(blank, unknown, self.order(), condition, temperature, generator, sampler, progress)

    @torch.no_grad()
    def complete(
        self,
        x: Tensor,
        unknown: Tensor,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
        sampler: str = "cached",
        progress: Progress | None = None,
    ) -> Tensor:
        """x with its unknown coordinates drawn from p(unknown | the known ones that precede them in the order).

        In a fixed order, known coordinates after an unknown one are kept but do not condition it.

        Args:
            x: (N, *shape) on the data grid; the values at unknown places do not matter.
            unknown: (*shape) or (N, *shape), True where a value is to be drawn.
            condition, temperature, generator, sampler, progress: as in `sample`.

        Raises:
            UsageError: items or a mask of another shape, or nothing unknown.
        """
        x, unknown = self._checked(x, unknown)
        condition, result = self.conditioned(condition, len(x)), x.clone()
        for order, own in self._by_order(unknown.expand(x.shape)):
            some = condition.rows(own)
            mask = unknown.expand(x.shape)[own]
            result[own] = self._fill(x[own], mask, order, some, temperature, generator, sampler, progress)
        return result

    def log_prob_completion(self, x: Tensor, unknown: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(the unknown coordinates | the known ones that `complete` conditions on), (N,) nats."""
        x, unknown = self._checked(x, unknown)
        condition, each = self.conditioned(condition, len(x)), []
        for order, own in self._by_order(unknown.expand(x.shape)):
            some = condition.rows(own)
            log_each = self.log_each(x[own], some, order)
            each.append((own, log_each.masked_fill(~unknown.expand(x.shape)[own], 0).flatten(1).sum(1)))
        places = torch.cat([own.nonzero()[:, 0] for own, _ in each])
        return torch.cat([nats for _, nats in each])[places.argsort()]

    def _by_order(self, unknown: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The orders chosen for masks (N, *shape), each with the items that are completed in it, (N,) booleans."""
        masks, which = unknown.unique(dim=0, return_inverse=True)
        orders, kinds = torch.stack([self.order(mask) for mask in masks]).unique(dim=0, return_inverse=True)
        return [(order, kinds[which] == kind) for kind, order in enumerate(orders)]

    def _checked(self, x: Tensor, unknown: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[1:] != self.spec.shape:
            raise UsageError(f"the model is for items of shape {self.spec.shape}, not {tuple(x.shape[1:])}")
        if unknown.shape not in (x.shape, x.shape[1:]):
            raise UsageError(
                f"a mask of unknown values has the shape of the items, {self.spec.shape}, not {tuple(unknown.shape)}"
            )
        if not unknown.any():
            raise UsageError("nothing is unknown: the mask marks no place to fill")
        return x.to(self.device), unknown.bool().to(self.device)

    def _fill(
        self,
        x: Tensor,
        unknown: Tensor,
        order: Tensor,
        condition: Condition,
        temperature: float,
        generator: Generator | None,
        sampler: str,
        progress: Progress | None,
    ) -> Tensor:
        """Draw the unknown coordinates, in one order for all items."""
        if sampler not in SAMPLERS:
            raise UsageError(f"there is no sampler {sampler!r}: use one of {', '.join(SAMPLERS)}")
        noise = torch.rand(x.shape, generator=generator, device=self.device)
        known = ~unknown.expand(x.shape)
        return SAMPLERS[sampler](Task(self, order, noise, condition, temperature, x, known, progress))
