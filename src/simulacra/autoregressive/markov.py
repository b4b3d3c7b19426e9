r"""A Markov chain in raster order: p(x) = Π_i p_i(x_i | x_{i-k}, ..., x_{i-1}), one table for each coordinate.

A table has a row of free masses for each context, the k levels before a coordinate. With k = dims - 1 it is full and
can be any distribution, at the price of L^dims - 1 free parameters; with k = 0 the coordinates are independent. Binary
data have 2n - 1 free parameters in a chain of order one, and 2^n - 1 in a full table. Nothing is optimised: the masses
are counted, and smoothed by a prior. With n the counts over the training items and c a context of m levels,

    p_m(x | c) = (n(c, x) + α p_{m-1}(x | c')) / (n(c) + α),    c' = c without its oldest level,

which is the mean of the posterior under a Dirichlet prior of strength α centred on the estimate with a memory shorter
by one (after MacKay & Peto 1995, "A hierarchical Dirichlet language model"). Below the independent estimate p_0 lies
that over all coordinates together, and below this one the uniform distribution, so that no mass is zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from simulacra.autoregressive.chain import Autoregressive
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import Categorical
from simulacra.errors import UsageError
from simulacra.registry import register
from simulacra.turns import Phase

LARGEST = 26  # the logarithm to base 2 of the masses that a table may hold: 256 MB


@register("markov", paper="MacKay & Peto 1995, A Hierarchical Dirichlet Language Model")
class Markov(Autoregressive):
    """p_i(x | c) = (n_i(c, x) + α p_i(x | c')) / (n_i(c) + α), with c' the context c without its oldest coordinate.

    Before `estimate`, all levels are equally probable.

    Args:
        spec: what x is; with a condition field, p(x | label).
        memory: k, the number of preceding coordinates that a coordinate is conditioned on.
        smoothing: α, the items that the estimate with a shorter memory is worth.

    Attributes:
        log_masses: (classes, dims, contexts, levels), coordinates in raster order; a context is a number with the
            levels before the coordinate as its digits, the oldest first, and zeros before the first coordinate.
    """

    log_masses: Tensor

    def __init__(self, spec: DataSpec, memory: int = 1, smoothing: float = 30.0) -> None:
        super().__init__(spec)
        if memory < 0:
            raise UsageError(f"a Markov chain remembers 0 coordinates or more, not {memory}")
        if spec.levels is None:
            raise UsageError("these data are continuous and a table is for levels on a grid; use rnade")
        if not 0 < smoothing < math.inf:
            raise UsageError(f"smoothing must be positive, not {smoothing}: what was never seen is not impossible")
        self.levels, self.smoothing = spec.levels, smoothing
        self.memory = min(memory, spec.dims - 1)
        self.labels = spec.classes("a table")
        self.classes = math.prod(label.count for label in self.labels.values())
        shape = (self.classes, spec.dims, self.levels**self.memory, self.levels)
        if (size := math.prod(shape)) > 1 << LARGEST:
            raise UsageError(
                f"{spec.describe()}: a table with a memory of {self.memory} has 2^{math.log2(size):.1f} masses, and "
                f"2^{LARGEST} is the limit; use a smaller --memory (independent has none) or fewer levels (--levels)"
            )
        self.register_buffer("log_masses", torch.full(shape, -math.log(self.levels)))

    def phases(self) -> Sequence[Phase]:
        return []

    def free_parameters(self) -> int:
        """L - 1 for each context that can occur: coordinate i has min(i, memory) levels before it."""
        rows = sum(self.levels ** min(i, self.memory) for i in range(self.spec.dims))
        return self.classes * rows * (self.levels - 1)

    @torch.no_grad()
    def estimate(self, batches: Iterable[tuple[Tensor, Condition]]) -> None:
        """Count all items, and smooth. Counts are integers, so neither batches nor their order matter."""
        counts = torch.zeros(self.log_masses.shape, dtype=torch.int32, device=self.device)
        for x, condition in batches:
            which, place, context, level = self._cells(x, condition)
            cells = ((which * self.spec.dims + place) * counts.shape[2] + context) * self.levels + level
            counts.view(-1).scatter_add_(0, cells.flatten(), torch.ones_like(cells, dtype=torch.int32).flatten())
        self.log_masses.copy_(self._smoothed(counts).log())

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> Categorical:
        self._positions(order)
        which, place, context, _ = self._cells(x, condition)
        rows = self.log_masses[which, place, context]  # (N, dims, levels)
        return Categorical(rows[:, self.order().argsort()].unflatten(1, self.spec.shape))

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> TableSteps:
        condition = self.conditioned(condition, n)
        return TableSteps(self, self._which(condition, n), self._positions(order).tolist())

    def _positions(self, order: Tensor | None) -> Tensor:
        """Where in raster order the coordinates of `order` stand; a chain with a memory takes no other order."""
        if order is None or self.memory:
            return torch.arange(self.spec.dims, device=self.own(order).device)
        return self.order().argsort()[order]

    def _cells(self, x: Tensor, condition: ConditionLike | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Class (N, 1), position (dims,), context (N, dims) and level (N, dims) of all coordinates in raster order."""
        condition, own = self.conditioned(condition, len(x)), self.order()
        level = x.to(self.device).flatten(1)[:, own]
        level = (level.round() if level.is_floating_point() else level).long().clamp(0, self.levels - 1)
        context = torch.zeros_like(level)
        for back in range(1, self.memory + 1):
            context[:, back:] += level[:, :-back] * self.levels ** (back - 1)
        return self._which(condition, len(x)).unsqueeze(1), torch.arange(len(own), device=own.device), context, level

    def _which(self, condition: Condition, n: int) -> Tensor:
        """All fields of the condition as one number, (n,)."""
        which = torch.zeros(n, dtype=torch.long, device=self.device)
        for name, label in self.labels.items():
            which = which * label.count + condition[name]
        return which

    def _smoothed(self, counts: Tensor) -> Tensor:
        """Counts (classes, dims, contexts, levels) -> masses, from the uniform distribution up to the whole memory."""
        tables = [counts]  # of a longer and longer memory
        for _ in range(self.memory):
            tables.insert(0, tables[0].unflatten(2, (self.levels, -1)).sum(2))
        uniform = torch.full((self.levels,), 1 / self.levels, dtype=self.log_masses.dtype, device=counts.device)
        masses = self._pulled(tables[0].sum((1, 2), keepdim=True), uniform)
        for memory, table in enumerate(tables):
            shorter = masses.repeat(1, 1, self.levels, 1) if memory else masses.expand(table.shape)
            longer = self._pulled(table[:, memory:], shorter[:, memory:])
            masses = torch.cat((shorter[:, :memory], longer), dim=1)  # the first ones have no longer context
        return masses

    def _pulled(self, counts: Tensor, towards: Tensor) -> Tensor:
        return (counts + self.smoothing * towards) / (counts.sum(-1, keepdim=True) + self.smoothing)


class TableSteps:
    """`Steps` of a table: every look is one row of it."""

    def __init__(self, model: Markov, which: Tensor, positions: Sequence[int]) -> None:
        by_position = model.log_masses.unbind(1)
        self.rows = [by_position[position] for position in positions]
        self.which, self.context, self.position = which, torch.zeros_like(which), 0
        self.levels, self.contexts = model.levels, model.log_masses.shape[2]

    def conditional(self) -> Categorical:
        return Categorical(self.rows[self.position][self.which, self.context])

    def append(self, value: Tensor) -> None:
        self.context = (self.context * self.levels + value) % self.contexts
        self.position += 1
