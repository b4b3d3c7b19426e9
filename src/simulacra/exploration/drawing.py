"""Items drawn part by part, and what is told of them while they come."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import Chain, Sampler
from simulacra.errors import NotSupported
from simulacra.model import Model, evaluating

Progress = Callable[[np.ndarray, int, int], None]
"""Called with all items (n, *shape), final or not, the number of coordinates that are final, and of all."""


def blank(model: Model, *counts: int) -> np.ndarray:
    """Room for items on the model's grid, (*counts, *shape)."""
    return np.zeros((*counts, *model.spec.shape), np.float32 if model.spec.levels is None else np.uint8)


def draw_into(
    items: np.ndarray,
    batch: int,
    draw: Callable[..., Tensor],
    model: Model,
    sampler: str | None,
    progress: Progress | None,
) -> None:
    """Fill items (n, *shape) with draw(part, **options) for one slice of them after the other.

    The options are what only a chain knows, or a model that draws its codes from one: by which sampler; and what a
    chain itself can tell: how far it is. Raises NotSupported for a sampler where the model has no choice of them.
    """
    if sampler is not None and not _has_samplers(model):
        name = registry.name_of(type(model))
        raise NotSupported(f"{name} draws all of an item at once and has no choice of samplers: leave {sampler!r} out")
    n, dims = len(items), model.spec.dims
    for start in range(0, n, batch):
        part = slice(start, min(start + batch, n))
        options: dict[str, Any] = {} if sampler is None else {"sampler": sampler}
        if progress is not None and isinstance(model, Chain):
            options["progress"] = _of_all(items, part, dims, progress)
        with evaluating(model):
            items[part] = draw(part, **options).cpu().numpy()
        if progress is not None:
            progress(items, part.stop * dims, n * dims)


def _has_samplers(model: Model) -> bool:
    return isinstance(model, Sampler) and "sampler" in inspect.signature(model.sample).parameters


def _of_all(items: np.ndarray, part: slice, dims: int, progress: Progress) -> Callable[[Tensor, int, int], None]:
    """The progress of one part, told as the progress of all. That a part is complete is told once, after it."""
    n = part.stop - part.start

    def tell(drawn: Tensor, done: int, total: int) -> None:
        if done < total and len(drawn) == n:  # fewer where masks of different items ask for different orders
            items[part] = drawn.cpu().numpy()
            progress(items, part.start * dims + n * done, len(items) * dims)

    return tell
