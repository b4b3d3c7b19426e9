"""Dimensions of a code moved while all others stay: one after the other (a traversal), or two at once (a manifold).

The plane of two dimensions is that of Kingma & Welling 2014, "Auto-Encoding Variational Bayes", figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError, did_you_mean
from simulacra.exploration.codes import code_of, decoded, item_of
from simulacra.exploration.dimensions import Dimensions, dimensions_of
from simulacra.exploration.importance import Importance, importance
from simulacra.exploration.inversion import need_codes
from simulacra.exploration.principal import Directions, moved, principal
from simulacra.feed import shown
from simulacra.model import Model, ModelLike, as_model
from simulacra.verbs import DataLike, looked_at, verb

DIRECTIONS = ("dimensions", "principal")
REACH = 3.0  # standard deviations of the prior, to either side


@dataclass(frozen=True)
class Traversal:
    """A grid of items in which dimensions of a code move.

    items:      (rows, columns, *shape) on the data grid.
    dims:       of a traversal which dimension each row moves, those that matter most first; of a manifold the one that
                grows to the right and the one that grows upwards, so that items[0, 0] has the first at its lowest and
                the second at its highest.
    settings:   of each column: of a traversal standard deviations from the prior's mean, or a discrete dimension's
                value; of a manifold the share of the prior that lies below.
    importance: of all dimensions, and what it measures.
    directions: of principal directions the vectors, (K, D) in the space of codes, or of styles w; else None.
    """

    items: np.ndarray
    dims: tuple[int, ...]
    settings: tuple[float, ...]
    importance: Importance
    directions: np.ndarray | None = None

    @property
    def captions(self) -> list[str]:
        return [f"{d}: {self.importance.measure} {self.importance.each[d]:.3g}" for d in self.dims]


@verb
def traverse(
    model: ModelLike,
    data: DataLike | None = None,
    index: int = 0,
    *,
    condition: ConditionLike | None = None,
    dims: Sequence[int] | None = None,
    steps: int = 9,
    top: int = 10,
    split: str | None = None,
    seed: int = 0,
    directions: str = "dimensions",
) -> Traversal:
    """Move each dimension from -3 to 3 standard deviations of the prior around one code.

    Args:
        model: a model with a decoder, or its run folder.
        data: with it the code is that of an item, and an encoder's dimensions are sorted by their mean KL, or by their
            spread where the KL has no closed form; without it the code is the prior's mean (of a GAN, or where codes
            are discrete, a draw of the prior). Without an encoder they are sorted by how much a picture changes.
        index: of the item in the split.
        condition: without data, that of the items: `{"label": 3}`, by default the first class. An item has its own.
        dims: the dimensions to move; by default the `top` that matter most.
        steps: items in a row; a discrete dimension takes all its values instead.
        top: rows at most.
        split: of the data; by default all items of an array and the test items of other data.
        seed: of the draw, and of those whose changes are looked at.
        directions: "dimensions", or "principal": the principal directions of styles, of codes of items or of the first
            layer's response, those with the largest share of the variance first; see `simulacra.exploration.principal`.

    Raises:
        NotSupported: the model has no decoder or prior, or for data no codes of items, or its codes have no dimensions.
        UsageError: an index or a dimension that does not exist, no dimension, steps < 2, top < 1, a condition together
            with data, a model that is conditioned on something else than classes with neither.
    """
    model = as_model(model)
    if steps < 2 or top < 1 or (dims is not None and not len(dims)):
        raise UsageError(f"traverse needs steps >= 2, top >= 1 and a dimension, not steps = {steps}, top = {top}")
    if directions not in DIRECTIONS:
        raise UsageError(f"there are no directions {directions!r}.{did_you_mean(directions, DIRECTIONS)}")
    if data is None:
        given = model.conditioned(condition or model.every_class(1), 1)
        dimensions, items = dimensions_of(model, given, seed), None
        start = dimensions.start
    else:
        need_codes(model)
        _, items = looked_at(model, data, split, condition)
        x, given = item_of(model, items, index)
        dimensions, start = dimensions_of(model, given, seed), code_of(model, x, given)
    if directions == "principal":
        return _along(model, principal(model, dimensions, given, items, seed), start, given, dims, steps, top)
    matter = importance(model, dimensions, given, items, seed)
    chosen = dimensions.check(matter.order()[:top] if dims is None else dims)
    settings = dimensions.settings(steps, REACH)
    z = torch.cat([dimensions.put(start, dimension, setting) for dimension in chosen for setting in settings])
    return Traversal(_rows(model, z, given, len(chosen)), chosen, tuple(settings), matter)


def _along(
    model: Model, found: Directions, start: Tensor, given: Condition, dims: Sequence[int] | None, steps: int, top: int
) -> Traversal:
    """A traversal along principal directions."""
    count = len(found.vectors)
    chosen = list(range(min(top, count)) if dims is None else dims)
    for each in chosen:
        if not 0 <= each < count:
            raise UsageError(f"there is no direction {each}: the principal ones are 0 to {count - 1}")
    settings = torch.linspace(-REACH, REACH, steps).tolist()
    items = moved(model, found, start, given, settings, chosen).cpu().numpy()
    rows = items.reshape(len(chosen), steps, *model.spec.shape)
    matter = Importance(f"share of {found.space}", found.share)
    return Traversal(rows, tuple(chosen), tuple(settings), matter, found.vectors.cpu().numpy())


@verb
def manifold(
    model: ModelLike,
    data: DataLike | None = None,
    *,
    condition: ConditionLike | None = None,
    dims: Sequence[int] | None = None,
    side: int = 20,
    split: str | None = None,
    seed: int = 0,
) -> Traversal:
    """Decode the plane of two dimensions at the prior's quantiles (i + 1/2) / side, (side, side) items.

    All other dimensions are at the prior's mean; those of a GAN, whose generator does not know the mean, at a draw.

    Args:
        model: a model with a decoder, or its run folder.
        data: by whose mean KL the two dimensions are chosen; without it, by how much a picture changes.
        condition: that of the items: `{"label": 3}`, by default the first class; of a model that is conditioned on
            something else, that of the first item of the split.
        dims: two dimensions, the one across and the one upwards; by default the two that matter most.
        side: items to a row and rows.
        split: of the data; by default all items of an array and the test items of other data.
        seed: of the draw, and of those whose changes are looked at.

    Raises:
        NotSupported: the model has no decoder or prior, or for data no encoder, or its codes have no dimensions.
        UsageError: codes that are discrete or of one dimension, other than two dimensions, side < 2, a model that is
            conditioned on something else than classes with neither a condition nor data.
    """
    model = as_model(model)
    items = None if data is None else looked_at(model, data, split)[1]
    if not condition:
        condition = model.every_class(1) if items is None else shown(model, items, 1)
    given = model.conditioned(condition, 1)
    dimensions = dimensions_of(model, given, seed)
    if dimensions.values or dimensions.count < 2:
        what = "discrete" if dimensions.values else "a single number"
        raise UsageError(f"the codes of this model are {what} and have no plane; `simulacra traverse` shows them")
    if side < 2 or (dims is not None and (len(dims) != 2 or dims[0] == dims[1])):
        raise UsageError("a manifold needs side >= 2 and two different dimensions, such as --dims 3 7")
    dimensions.check(dims or ())
    matter = importance(model, dimensions, given, items, seed)
    across, up = dims or (sorted if dimensions.count == 2 else list)(matter.order()[:2])
    u = (torch.arange(side) + 0.5) / side
    z = _plane(dimensions, across, up, u)
    return Traversal(_rows(model, z, given, side), (across, up), tuple(u.tolist()), matter)


def _plane(dimensions: Dimensions, across: int, up: int, u: Tensor) -> Tensor:
    """The codes of a plane, row by row from the top, (len(u)², ...)."""
    side = len(u)
    z = dimensions.start.repeat(side * side, *[1] * (dimensions.start.dim() - 1))
    z.flatten(1)[:, across] = dimensions.quantiles(across, u).repeat(side)
    z.flatten(1)[:, up] = dimensions.quantiles(up, u.flip(0)).repeat_interleave(side)
    return z


def _rows(model: Model, z: Tensor, given: Condition, rows: int) -> np.ndarray:
    """Codes (rows · columns, ...) -> items (rows, columns, *shape)."""
    items = decoded(model, z, given).cpu().numpy()
    return items.reshape(rows, -1, *model.spec.shape)
