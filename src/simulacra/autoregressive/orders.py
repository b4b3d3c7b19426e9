r"""Several orders of the chain rule, as one density: p(x) = 1/K Σ_k p_k(x), where p_k factorises x in the order o_k.

It is the probabilities of whole items that are averaged. The mean of the logits over orders, or of the conditionals
coordinate by coordinate, adds up to something else than one and is no density.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from simulacra.autoregressive.samplers import Progress
from simulacra.autoregressive.vector import Discrete
from simulacra.condition import ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError

SEED = 2015  # of the random orders, which follow from the constructor's arguments and are not saved


def random_orders(count: int, dims: int) -> Tensor:
    """(count, dims), the same ones every time."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    orders = [torch.randperm(dims, generator=generator, device="cpu") for _ in range(count)]
    return torch.stack(orders) if orders else torch.empty(0, dims, dtype=torch.long, device="cpu")


class MixtureOfOrders(Discrete):
    """Base of the models that factorise an item in any order. Without `order`, conditionals, steps and `log_each`
    use the first one; `log_prob` and `sample` are those of the mixture.

    Attributes:
        orders: (K, dims)
    """

    orders: Tensor

    def __init__(self, spec: DataSpec, orders: int, raster_first: bool) -> None:
        super().__init__(spec)
        if orders < 1:
            raise UsageError(f"at least one order is needed, not {orders}")
        chosen = random_orders(orders - raster_first, spec.dims)
        chosen = torch.cat((self._raster[None], chosen)) if raster_first else chosen
        self.register_buffer("orders", chosen, persistent=False)

    def order(self, unknown: Tensor | None = None) -> Tensor:
        """The first order; where coordinates are unknown, the one that conditions them on most of the known ones."""
        if unknown is None or len(self.orders) == 1:
            return self.orders[0]
        wanted = unknown.flatten()[self.orders].long()  # (K, dims), in the order of each chain
        seen = ((1 - wanted).cumsum(1) * wanted).sum(1)
        return self.orders[int(seen.argmax())]

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log 1/K Σ_k p_k(x | condition), exact, (N,) nats; x (N, *shape) on the data grid."""
        each = [self.conditionals(x, condition, order).log_prob(x) for order in self.orders]
        return torch.logsumexp(torch.stack(each), dim=0) - math.log(len(each)) if len(each) > 1 else each[0]

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
        """(n, *shape) draws: of each item first its order, then the item; arguments as in `Autoregressive.sample`."""
        if len(self.orders) == 1:
            return super().sample(n, condition, temperature, generator, sampler, progress)
        condition = self.conditioned(condition, n)
        unknown = torch.ones(self.spec.shape, dtype=torch.bool, device=self.device)
        x = torch.zeros((n, *self.spec.shape), dtype=torch.uint8, device=self.device)
        which = torch.randint(len(self.orders), (n,), generator=generator, device=self.device)
        for k, order in enumerate(self.orders):
            own = (which == k).nonzero()[:, 0]
            some = condition.rows(own)
            of_these = None if progress is None else _report_as_whole(x, own, int((which < k).sum()), progress)
            x[own] = self._fill(x[own], unknown, order, some, temperature, generator, sampler, of_these)
        return x


def _report_as_whole(x: Tensor, own: Tensor, finished: int, progress: Progress) -> Progress:
    """A progress callback for the items `own` that reports all of x, of which some are finished and some not begun."""

    def report(part: Tensor, done: int, total: int) -> None:
        x[own] = part
        progress(x, (finished * total + len(own) * done) // len(x), total)

    return report
