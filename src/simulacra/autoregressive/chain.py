r"""The chain rule: p(x) = Π_i p(x_o(i) | x_o(1), ..., x_o(i-1)) for any order o of the coordinates, exactly.

A model of the family defines `conditionals` (all factors at once) and `steps` (one factor after the other, every
activation computed once); likelihood, sampling, completion and coding are made of these here and elsewhere. A model
that factorises items in several orders is the mixture of them, p(x) = 1/K Σ_k p_k(x): it is the probabilities of whole
items that are averaged. The mean of the logits over orders, or of the conditionals coordinate by coordinate, adds up to
something else than one and is no density.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from simulacra.autoregressive.orders import best_order, raster, report_as_whole
from simulacra.autoregressive.samplers import SAMPLERS, Progress, Task
from simulacra.capabilities import Steps
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Factorised, grid_dtype
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.turns import Phase, Turn


class Autoregressive(Model):
    """Base of the family: a subclass writes `conditionals` and `steps`; the rest follows from the chain rule.

    Without an order, `conditionals`, `steps` and `log_each` use the first one; `log_prob` and `sample` are those of the
    mixture.

    Attributes:
        orders: of the chain rule, (K, dims) places in the flattened item; by default raster order alone.
    """

    orders: Tensor

    def __init__(self, spec: DataSpec, orders: Tensor | None = None) -> None:
        super().__init__(spec)
        self.register_buffer("orders", raster(spec.shape)[None] if orders is None else orders, persistent=False)

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
        """The first order, (dims,); where coordinates are unknown, the one that conditions them on most of the others.

        unknown (*shape): True where a value is to be drawn. A model that takes any order at all may return another one.
        """
        return self.orders[0] if unknown is None else best_order(self.orders, unknown)

    def own(self, order: Tensor | None) -> Tensor:
        """The order of a model that has one alone; raises UsageError for another one."""
        own = self.orders[0]
        if order is not None and not torch.equal(order, own):
            raise UsageError(f"{self.name} factorises in raster order only; made and orderless-nade take any order")
        return own

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        return {"nats": -self.log_prob(turn.x, turn.condition).mean()}

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log 1/K Σ_k p_k(x | condition), exact, (N,) nats; x (N, *shape) on the data grid."""
        if len(self.orders) == 1:
            return self.conditionals(x, condition).log_prob(x)
        each = [self.conditionals(x, condition, order).log_prob(x) for order in self.orders]
        return torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each))

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
        """(n, *shape) draws: of each item first its order, where there are several, then the item.

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
        x = torch.zeros((n, *self.spec.shape), dtype=grid_dtype(self.spec.levels), device=self.device)
        condition = self.conditioned(condition, n)
        if len(self.orders) == 1:
            return self._fill(x, unknown, self.orders[0], condition, temperature, generator, sampler, progress)
        which = torch.randint(len(self.orders), (n,), generator=generator, device=self.device)
        for k, order in enumerate(self.orders):
            own = (which == k).nonzero()[:, 0]
            some = condition.rows(own)
            of_these = None if progress is None else report_as_whole(x, own, int((which < k).sum()), progress)
            x[own] = self._fill(x[own], unknown, order, some, temperature, generator, sampler, of_these)
        return x

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
