"""Completion: what is unknown of an item, drawn given what is known of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor

from simulacra.capabilities import Chain, Completer, Sampler, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.drawing import Progress, blank, draw_into, own_options, reports_progress
from simulacra.exploration.holes import blank_holes, drawn_around, holed, warn_of_other_holes, with_holes
from simulacra.feed import as_items, as_tensor, at_once, slices
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.progress import counted
from simulacra.verbs import ItemsLike, items_for, verb


@runtime_checkable
class Weighing(Protocol):
    """A model that assigns probabilities to its completions."""

    def log_prob_completion(self, x: Tensor, unknown: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(the unknown coordinates | the known ones that it looks at), (N,) nats."""
        ...


@dataclass(frozen=True)
class Completion:
    """Items with their unknown part drawn several times.

    completed: (N, samples, *shape) on the data grid; known coordinates are those of the items.
    nats:      (N, samples), -log p(unknown | known) of each, by the model that drew them; None where it assigns none.
    late:      (N,), known coordinates that lie between unknown ones in the model's order, and so were seen only when
               later ones were drawn.
    unseen:    (N,), known coordinates that lie after all unknown ones and were not seen at all; both are 0 where all
               that is known is seen first.
    orders:    K, over how many orders the density of the model is averaged. Draws and nats are those of p(unknown |
               known) in one order, with most known values first, and not of the mixture 1/K Σ_k p_k.
    """

    completed: np.ndarray
    nats: np.ndarray | None
    late: np.ndarray
    unseen: np.ndarray
    orders: int = 1


@verb
def complete(
    model: ModelLike,
    x: ItemsLike,
    unknown: Tensor | np.ndarray,
    samples: int = 1,
    *,
    condition: ConditionLike | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    sampler: str | None = None,
    options: Mapping[str, Any] | None = None,
    split: str = "test",
    limit: int | None = None,
    progress: Progress | None = None,
) -> Completion:
    """Draw the unknown part of items from p(unknown | known).

    A chain in a fixed order conditions on what precedes: what is known after an unknown coordinate is kept, but not
    seen by it, and the record counts such coordinates. A model that averages over several orders completes in one of
    them: the conditional of the mixture would weigh every order by its probability of what is known.

    A model that draws x given a condition with holes (`--condition mask`) is given what is known, all of it, and the
    known values are kept as they are.

    Args:
        model: a model that can complete, or is conditioned on what a mask leaves, or its run folder.
        x: (N, *shape) on the data grid; the values at unknown places do not matter. Or data, whose items are taken;
            None: those of the run.
        unknown: (*shape) or (N, *shape), True where a value is wanted.
        samples: how many completions of each item.
        condition: of each field one value for all items or one for each. Items of data have their own. What a mask
            leaves follows from x and what is unknown.
        temperature: below 1 the draws are more typical and less varied.
        seed: of the noise: the same seed gives the same completions.
        sampler: of a chain: "cached", "naive" or "fixed-point"; the same items, in another time.
        options: other options of the model's own `complete`, by name.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.
        progress: called with all items so far (N · samples, *shape), the coordinates that are final, and all of them.

    Raises:
        NotSupported: the model cannot complete, or has no choice of samplers.
        UsageError: items or a mask of another shape or off the grid, nothing unknown, samples < 1, an option that does
            not exist.
    """
    model = as_model(model)
    fill, signature = _filling(model)
    if samples < 1 or not 0 < temperature < math.inf:
        raise UsageError(
            f"complete needs samples >= 1 and temperature > 0, not samples = {samples} and temperature = {temperature}"
        )
    if isinstance(x, Tensor | np.ndarray) and (blanks := blank_holes(model.spec)):
        condition = {**(condition or {}), **blanks}
    x, own = items_for(model, x, condition, split, limit)
    unknown = _mask(model, unknown, len(x))
    own = _seen(model, own, x, unknown)
    warn_of_other_holes(model, unknown)
    again = torch.arange(len(x), device=model.device).repeat_interleave(samples)
    given, drawn = own.repeat_each(samples), blank(model, len(again))
    options = own_options(model, signature, sampler, options)

    def draw(part: slice, noise: Generator, **more: Any) -> Tensor:
        rows, some = again[part], given.rows(part)
        return fill(x[rows], unknown[rows], some, temperature, noise, **options, **more)

    draw_into(drawn, draw, model, (seed, "complete"), progress, progress is not None and reports_progress(signature))
    nats = _nats(model, torch.from_numpy(drawn).to(model.device), unknown[again], given)
    completed = drawn.reshape(len(x), samples, *model.spec.shape)
    several = getattr(model, "orders", None)  # (K, dims): a buffer, which no protocol sees from Python 3.12 on
    orders = 1 if several is None else len(several)
    weighed = None if nats is None else nats.reshape(len(x), samples)
    return Completion(completed, weighed, *_out_of_sight(model, unknown), orders)


def _filling(model: Model) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """What fills the unknown part, (x, unknown, condition, temperature, noise, **options) -> x, and the method whose
    signature has its options: the model's own `complete`, or draws given a condition with holes."""
    if isinstance(model, Completer) or not (holed(model.spec) and isinstance(model, Sampler)):
        return need(model, Completer).complete, type(model).complete  # pyright: ignore[reportAttributeAccessIssue]
    return functools.partial(drawn_around, model), type(model).sample  # pyright: ignore[reportAttributeAccessIssue]


def _seen(model: Model, given: Condition, x: Tensor, unknown: Tensor) -> Condition:
    """The condition of items of which this much is unknown."""
    return with_holes(model.spec, given, x, unknown) if holed(model.spec) else given


def completion_nats(
    model: Model,
    x: Tensor | np.ndarray,
    unknown: Tensor | np.ndarray,
    condition: ConditionLike | None = None,
) -> np.ndarray | None:
    """-log p(the unknown coordinates of x | what the model sees of the known ones), (N,) nats: of the truth, say.

    None for a completer that assigns no probability; errors as in `complete`.
    """
    _filling(model)
    x = as_items(x, model.spec, model.device)
    unknown, blanks = _mask(model, unknown, len(x)), blank_holes(model.spec)
    given = model.conditioned({**(condition or {}), **blanks} if blanks else condition, len(x))
    return _nats(model, x, unknown, _seen(model, given, x, unknown))


def _nats(model: Model, x: Tensor, unknown: Tensor, given: Condition) -> np.ndarray | None:
    if not isinstance(model, Weighing):
        return None
    nats = []
    with evaluating(model):
        for part in counted(slices(len(x), at_once(model)), len(x)):
            nats.append(-model.log_prob_completion(x[part], unknown[part], given.rows(part)))
    return torch.cat(nats).cpu().double().numpy()


def _out_of_sight(model: Model, unknown: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(N,) twice: known coordinates that come after some unknown ones but not all of them, and after all of them."""
    if not isinstance(model, Chain) or holed(model.spec):  # a condition with holes shows all that is known
        return np.zeros(len(unknown), np.int64), np.zeros(len(unknown), np.int64)
    masks, which = unknown.unique(dim=0, return_inverse=True)
    counts = []
    for mask in masks:
        ordered = mask.flatten()[model.order(mask)]
        before = ordered.cumsum(0)  # unknown ones up to here
        after_all = before == before[-1]
        counts.append(torch.stack([(before > 0) & ~ordered & ~after_all, ~ordered & after_all & (before > 0)]).sum(1))
    late, unseen = torch.stack(counts)[which].unbind(1)
    return late.cpu().numpy(), unseen.cpu().numpy()


def _mask(model: Model, unknown: Tensor | np.ndarray, n: int) -> Tensor:
    """(N, *shape) truths."""
    shape, unknown = model.spec.shape, as_tensor(unknown)
    if unknown.shape not in (shape, (n, *shape)):
        raise UsageError(f"a mask of unknown values has the shape of the items, {shape}, not {tuple(unknown.shape)}")
    if not unknown.any():
        raise UsageError("nothing is unknown: the mask marks no place to fill")
    return unknown.bool().to(model.device).expand(n, *shape)
