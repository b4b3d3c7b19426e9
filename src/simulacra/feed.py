"""From a split on disk, or items in memory, to tensors for a model: of a split only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from simulacra.data import DataSpec, Split
from simulacra.errors import UsageError

Items = tuple[Tensor, dict[str, Tensor]]


def feed(split: Split, indices: np.ndarray | slice, spec: DataSpec, device: torch.device) -> Items:
    """x (n, *shape) and the condition that `spec` asks for, on the device.

    Raises UsageError for data of another shape, or without a field of the condition.
    """
    if split.x.shape[1:] != spec.shape:
        raise UsageError(f"the model is for items of shape {spec.shape}, these have shape {split.x.shape[1:]}")
    if (split.x.dtype == np.uint8) != (spec.levels is not None):
        raise UsageError(f"the model is for {spec.describe()}, these data are {split.x.dtype}")
    x = torch.from_numpy(np.array(split.x[indices]))
    if spec.levels is not None and len(x) and int(x.max()) >= spec.levels:
        raise UsageError(f"the model is for {spec.levels} levels, but these data reach {int(x.max())}")
    condition = {name: torch.from_numpy(np.array(split.field(name)[indices])) for name in spec.condition}
    return x.to(device), {name: values.to(device) for name, values in condition.items()}


def in_order(
    split: Split, spec: DataSpec, device: torch.device, batch: int, limit: int | None = None
) -> Iterator[Items]:
    """The items of a split, or its first `limit`, in batches and in order; the last batch may be smaller.

    Raises UsageError, when the first batch is asked for, for a batch or limit below one item.
    """
    for least in (batch, limit):
        if least is not None and least < 1:
            raise UsageError(f"at least one item is needed, not {least}")
    n = len(split) if limit is None else min(limit, len(split))
    for start in range(0, n, batch):
        yield feed(split, slice(start, min(start + batch, n)), spec, device)


def as_items(x: Tensor | np.ndarray, spec: DataSpec, device: torch.device) -> Tensor:
    """Items (N, *shape) that somebody gives, on the device; raises UsageError for another shape or off the grid."""
    x = as_tensor(x)
    if not len(x) or x.shape[1:] != spec.shape:
        raise UsageError(f"the model is for items of shape {spec.shape}, (N, *shape), not {tuple(x.shape)}")
    if spec.levels is None:
        return x.to(device, torch.float32)
    if x.is_floating_point() or int(x.min()) < 0 or int(x.max()) >= spec.levels:
        raise UsageError(f"the model is for integers 0 to {spec.levels - 1}; these items are off this grid")
    return x.to(device, torch.uint8)


def as_tensor(values: Tensor | np.ndarray) -> Tensor:
    """A tensor; arrays are copied, because those of a data set are read-only, which torch warns of."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
