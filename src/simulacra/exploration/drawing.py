"""Items drawn block by block: the noise of a block follows from its number, and options are checked by their schema.

Block b holds items b·BLOCK ... (b + 1)·BLOCK - 1 and takes its noise from a generator of (seed, verb, b). So the first
k·BLOCK of n items are the same items for every n >= k·BLOCK, and blocks can be drawn in any order and place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from simulacra.errors import NotSupported, UsageError, did_you_mean
from simulacra.feed import slices
from simulacra.model import Model, evaluating
from simulacra.networks.options import elsewhere, options_of, shape_under
from simulacra.parts import convert
from simulacra.progress import counted
from simulacra.randomness import generator
from simulacra.schema import Argument, arguments

BLOCK = 256  # items that are drawn together
USUAL = ("n", "x", "unknown", "condition", "temperature", "generator", "progress")  # what every model takes

Progress = Callable[[np.ndarray, int, int], None]
"""Called with all items (n, *shape), final or not, the number of coordinates that are final, and of all."""


def blank(model: Model, *counts: int, options: Mapping[str, Any] | None = None) -> np.ndarray:
    """Room for items on the model's grid, (*counts, *shape); the options of a draw may change their length."""
    shape = shape_under(getattr(model, "generator", None), model.spec.shape, options or {})
    return np.zeros((*counts, *shape), np.float32 if model.spec.levels is None else np.uint8)


def known_options(model: Model, draw: Callable[..., Any]) -> dict[str, Argument]:
    """The options of a way to draw from a model beyond those that every model takes, by name: those in the signature of
    `draw` and, where that is the model's `sample`, those of its generator."""
    known = arguments(draw, without=USUAL)
    if draw is getattr(type(model), "sample", None):
        known |= options_of(getattr(model, "generator", None))
    return known


def own_options(
    model: Model, draw: Callable[..., Tensor], sampler: str | None, options: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The options of a draw beyond those that every model takes, each as its type wants it; see `known_options`.

    Raises NotSupported for a sampler where the model has no choice of them, UsageError for any other option that it
    does not have, with the nearest name, and for a value of another type.
    """
    given = dict(options or {}) | ({} if sampler is None else {"sampler": sampler})
    known = known_options(model, draw) if given else {}
    if sampler is not None and "sampler" not in known:
        raise NotSupported(
            f"{model.name} draws all of an item at once and has no choice of samplers: leave {sampler!r} out"
        )
    for name in given:
        if name not in known:
            listed = elsewhere(name) or (did_you_mean(name, known) if known else " It has none.")
            raise UsageError(f"{model.name} has no sampling option {name!r}.{listed}")
    return {name: convert(known[name].type, value, f"{name} of {model.name}") for name, value in given.items()}


def draw_into(
    items: np.ndarray,
    draw: Callable[..., Tensor],
    model: Model,
    key: tuple[int, str],
    progress: Progress | None,
    reports: bool,
) -> None:
    """Fill items (n, *shape) with draw(part, noise) for one block of them after the other.

    `key` are the seed and the verb; `reports`: `draw` takes `progress` as well, and reports how far a block is.
    """
    n, dims = len(items), model.spec.dims
    for block, part in enumerate(counted(slices(n, BLOCK), n)):
        noise = generator(model.device, *key, block)
        own = {"progress": _of_all(items, part, dims, progress)} if reports and progress is not None else {}
        with evaluating(model):
            items[part] = draw(part, noise, **own).cpu().numpy()
        if progress is not None:
            progress(items, part.stop * dims, n * dims)


def reports_progress(draw: Callable[..., Tensor]) -> bool:
    """Whether a model's way to draw reports how far it is."""
    return "progress" in arguments(draw)


def _of_all(items: np.ndarray, part: slice, dims: int, progress: Progress) -> Callable[[Tensor, int, int], None]:
    """The progress of one block as the progress of all. That a block is complete is reported once, after it."""
    n = part.stop - part.start

    def report(drawn: Tensor, done: int, total: int) -> None:
        if done < total and len(drawn) == n:  # fewer where the masks of different items need different orders
            items[part] = drawn.cpu().numpy()
            progress(items, part.start * dims + n * done, len(items) * dims)

    return report
