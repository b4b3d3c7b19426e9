r"""Inversion: which code has a generator for an item, and is it one of its items at all?

A search ends somewhere for any item, a photograph of something else too. So the error that is left is compared with
that of items which the generator certainly makes: OWN samples of its own, drawn by a constant seed, of all classes in
turn, are searched for in the same way, and an item is *rejected* where its error exceeds all of theirs. A further
sample of the generator is rejected with a probability of 1 / (OWN + 1) = 5 %: any of OWN + 1 errors may be the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Encoder, Inverter, Sampler, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data import Dataset
from simulacra.errors import UsageError, warn
from simulacra.feed import at_once, slices
from simulacra.fields import ClassLabel
from simulacra.inverse import STARTS, STEPS, Found, styled
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.progress import counted, stage
from simulacra.randomness import generator
from simulacra.terminal import number_of
from simulacra.verbs import ItemsLike, is_picture, items_for, verb
from simulacra.weights import digest

OWN = 19  # samples of the generator's own, which an item is compared with
FEW = 16  # items of some data, for all of which a search takes no long time
How = tuple[int, int, str]
"""Steps, starts and the space of a search."""


@dataclass(frozen=True)
class Inversion:
    """Codes that were found by search.

    z:     (N, *code), or styles (N, layers, D) of a search in w or w+.
    error: (N,) root mean square of what is left, in shares of the brightest level; of real data in their units.
    reach: the largest error among OWN samples of the generator itself, beyond which an item is rejected.
    grid:  whether the items lie on a grid.
    space: "z", "w" or "w+".
    """

    z: Tensor
    error: Tensor
    reach: float
    grid: bool
    space: str = "z"

    @property
    def rejected(self) -> Tensor:
        """Which items are none of the generator's, truths (N,)."""
        return self.error > self.reach

    @property
    def psnr(self) -> Tensor:
        """Peak signal-to-noise ratio on a grid, (N,) dB: -20 log10 of the error; inf where nothing is left."""
        return -20 * self.error.log10()

    def describe(self) -> str:
        """What a user should know of these codes, in one sentence."""
        middle, worst = float(self.error.median()), float(self.error.max())
        unit = " of the brightest level" if self.grid else ""
        errors = f"{middle:.3g}{unit}" if len(self.error) == 1 else f"{middle:.3g}{unit} (median; largest {worst:.3g})"
        rejected = f"{int(self.rejected.sum())} of {number_of(len(self.error), 'item')}"
        own = f"the generator's own samples are found up to {self.reach:.3g}"
        what = "codes" if self.space == "z" else f"styles ({self.space})"
        return f"{what} found by search, with a root mean square error of {errors}; {own}: {rejected} rejected"


@verb
def invert(
    model: ModelLike,
    x: ItemsLike,
    condition: ConditionLike | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
    steps: int = STEPS,
    starts: int = STARTS,
    seed: int = 0,
    space: str = "z",
) -> Inversion:
    """Find the code of each item by search; the same seed finds the same codes, whatever the other items.

    Args:
        model: a model that inverts, or its run folder.
        x: (N, *shape) on the data grid; or data, of which `limit` items are taken.
        condition: of each field one value for all items or one for each. Items of data have their own.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.
        steps: of each search.
        starts: searches for one item, of which the best is kept.
        seed: of the starts.
        space: "z"; or of a generator with styles "w", one style for all layers, or "w+", one for each: items are found
            with less error there, and the own samples that the reach is measured on too. See `simulacra.inverse`.

    Raises:
        NotSupported: the model does not invert, or has no styles.
        UsageError: items of another shape or off the grid, steps or starts out of range, a space that does not exist.
    """
    model = as_model(model)
    need(model, Inverter)
    x, given = items_for(model, x, condition, split, limit)
    return inverted(model, x, given, seed, steps, starts, space)


def inverted(
    model: Model,
    x: Tensor,
    given: Condition,
    seed: int = 0,
    steps: int = STEPS,
    starts: int = STARTS,
    space: str = "z",
) -> Inversion:
    """`invert` for items and their condition."""
    how = steps, starts, space
    found = _found(model, x, given, seed, how)
    return Inversion(found.z, found.error, _reach(model, given, how), model.spec.levels is not None, space)


def _found(model: Model, x: Tensor, given: Condition, seed: int, how: How) -> Found:
    inverter, found, (steps, starts, space) = need(model, Inverter), [], how
    with evaluating(model), stage("search"):
        for part in counted(slices(len(x), max(1, at_once(model) // max(1, starts))), len(x)):
            noise = generator(model.device, seed, "invert")  # of each part anew: all items have the same pool of starts
            found.append(inverter.invert(x[part], given.rows(part), steps, starts, noise, space))
    return Found(torch.cat([each.z for each in found]), torch.cat([each.error for each in found]))


def say(model: Model, found: Sequence[Inversion]) -> None:
    """Warn of codes that were found by search, once for all those of a verb."""
    if found:
        z, error = (torch.cat([getattr(each, name) for each in found]) for name in ("z", "error"))
        warn(f"{model.name}: {Inversion(z, error, found[0].reach, found[0].grid, found[0].space).describe()}")


def need_codes(model: Model, space: str = "z") -> None:
    """Raises NotSupported for a model that has codes of items neither by an encoder nor by search, or no styles."""
    if space != "z":
        need(model, Inverter)
        styled(model)
    elif not isinstance(model, Inverter):
        need(model, Encoder)


def refuse_whole(model: Model, items: ItemsLike | None, limit: int | None) -> None:
    """Raises UsageError where codes are found by search, and nobody says of how many items of some data that may be
    many."""
    few = isinstance(items, Tensor | np.ndarray | list | tuple) or is_picture(items)
    few = few or (isinstance(items, Dataset) and sum(map(len, items.splits)) <= FEW)
    if limit is None and not few and not isinstance(model, Encoder):
        raise UsageError(
            f"codes of {model.name} are found by search, which takes long for all items of these data: say of how "
            "many with limit=16 (--limit 16), or give the items as an array"
        )


def _reach(model: Model, given: Condition, how: How) -> float:
    """The largest error of OWN samples; with classes it is computed once for the same weights and budget."""
    if any(not isinstance(field, ClassLabel) for field in model.spec.condition.values()):
        some = torch.arange(OWN, device=model.device) % len(next(iter(given.values())))
        return _largest_error(model, given.rows(some), how)
    key = (digest(model.state_dict()), how)
    if key not in _REACHES:
        _REACHES[key] = _largest_error(model, model.every_class(OWN), how)
    return _REACHES[key]


_REACHES: dict[tuple[str, How], float] = {}


def _largest_error(model: Model, given: Condition, how: How) -> float:
    with evaluating(model):
        x = need(model, Sampler).sample(OWN, given, generator=generator(model.device, "own samples"))
    return float(_found(model, x, given, 0, how).error.max())
