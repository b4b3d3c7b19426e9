"""Orders of the chain rule: (dims,) places in the flattened item, the first coordinate first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from simulacra.autoregressive.samplers import Progress
from simulacra.errors import UsageError

SEED = 2015  # of the random orders, which follow from the constructor's arguments and are not saved


def raster(shape: Sequence[int]) -> Tensor:
    """(dims,), of an image row by row, column by column, red before green before blue."""
    places = torch.arange(math.prod(shape), device="cpu")  # real numbers also under the meta device
    return places if len(shape) != 3 else places.view(*shape).permute(1, 2, 0).flatten()


def random_orders(count: int, dims: int) -> Tensor:
    """(count, dims), the same ones every time; raises UsageError for a count of none."""
    if count < 1:
        raise UsageError(f"at least one order is needed, not {count}")
    generator = torch.Generator("cpu").manual_seed(SEED)
    return torch.stack([torch.randperm(dims, generator=generator, device="cpu") for _ in range(count)])


def raster_first(count: int, shape: Sequence[int]) -> Tensor:
    """(count, dims): the raster order, then random ones."""
    return torch.cat((raster(shape)[None], random_orders(count, math.prod(shape))[:-1]))


def best_order(orders: Tensor, unknown: Tensor) -> Tensor:
    """That of the orders (K, dims) in which most known coordinates precede the unknown ones; unknown (*shape)."""
    if len(orders) == 1:
        return orders[0]
    wanted = unknown.flatten()[orders].long()  # (K, dims), in the order of each chain
    seen = ((1 - wanted).cumsum(1) * wanted).sum(1)
    return orders[int(seen.argmax())]


def report_as_whole(x: Tensor, own: Tensor, finished: int, progress: Progress) -> Progress:
    """A progress callback for the items `own` that reports all of x, of which some are finished and some not begun."""

    def report(part: Tensor, done: int, total: int) -> None:
        x[own] = part
        progress(x, (finished * total + len(own) * done) // len(x), total)

    return report
