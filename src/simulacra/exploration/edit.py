"""Editing: an item's code is moved along its dimensions and along attribute vectors, and decoded again; or what it is
conditioned on is changed, in the decoder or, of a model that maps items, in the domain that it is mapped to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Decoder, Translator, need
from simulacra.condition import Condition, ConditionLike
from simulacra.errors import UsageError
from simulacra.exploration.codes import changed, code_of, made_of
from simulacra.exploration.dimensions import dimensions_of
from simulacra.exploration.inversion import need_codes, refuse_whole
from simulacra.exploration.translate import answers
from simulacra.exploration.translation_inputs import Domain, Inputs, domain_of
from simulacra.feed import slices
from simulacra.model import Model, ModelLike, as_model
from simulacra.verbs import ItemsLike, items_for, verb


@dataclass(frozen=True)
class Edit:
    """Items before, what their codes preserve of them, and what comes of the moved codes; each (N, *shape).

    What differs between the first two was lost by the code; only what differs between the last two is the edit.
    """

    before: np.ndarray
    reconstructed: np.ndarray
    after: np.ndarray

    @property
    def explained(self) -> np.ndarray:
        """The share of an item's own variation that its reconstruction has, (N,): 1 - |x - x̂|² / |x - mean(x)|².

        1 for a perfect one, 0 for one that is no nearer than a flat picture; less for another picture altogether, -inf
        of an item that is flat itself.
        """
        x, made = (values.reshape(len(values), -1).astype(np.float64) for values in (self.before, self.reconstructed))
        own = ((x - x.mean(1, keepdims=True)) ** 2).sum(1)
        with np.errstate(over="ignore"):
            return 1 - ((x - made) ** 2).sum(1) / np.maximum(own, np.finfo(np.float64).tiny)


@verb
def edit(
    model: ModelLike,
    x: ItemsLike,
    dims: Mapping[int, float] | None = None,
    toward: Sequence[tuple[np.ndarray | Tensor, float]] = (),
    *,
    condition: ConditionLike | None = None,
    split: str = "test",
    limit: int | None = None,
    space: str = "z",
    to: Domain | None = None,
) -> Edit:
    """Encode items, move their codes, decode them; by a model that maps items (`Translator`), map them.

    With `to` the result has other attributes, and all others are kept. The reconstruction has the item's own ones: of a
    model that maps items it is mapped to them, and shows what any mapping changes.

    Args:
        model: a model with a decoder that has an encoder or inverts, or its run folder.
        x: (N, *shape) on the data grid; or data, whose items are taken; None: those of the run.
        dims: by how many standard deviations of the prior each dimension moves; of discrete codes, to which value.
        toward: attribute vectors and how many times each of them is added; to styles also a vector (D,), to those of
            all layers, such as a principal direction.
        condition: of each field one value for all items or one for each. Items of data have their own.
        split: of the data.
        limit: at most so many items of it, drawn by seed 0.
        space: in which codes are searched for and moved: "z", or of a generator with styles "w" or "w+", where an item
            is met more closely, and which have no dimensions to move; see `invert`.
        to: the classes, or other values of the condition, of the result: one, or several by field.

    Raises:
        NotSupported: the model has no codes of items or no decoder, or for `dims` they have no prior or no dimensions,
            or it has no styles.
        UsageError: nothing to change, a class or a field that does not exist, dimensions of styles, a dimension or
            value that does not exist, a vector of another shape, items of another shape or off the grid, a search for
            the codes of data without a limit.
    """
    model, dims = as_model(model), dims or {}
    wanted = domain_of(model, to, {})
    if isinstance(model, Translator) and wanted and not dims and not toward:
        return _mapped(model, *items_for(model, x, condition, split, limit), wanted)
    need_codes(model, space)
    need(model, Decoder)
    if not dims and not toward and not wanted:
        raise UsageError("nothing to edit: say which dimension to move, or which attribute to go toward")
    if wanted and space != "z":
        raise UsageError(f"the condition is changed for codes z: in {space} move styles toward a vector")
    if dims and space != "z":
        raise UsageError(f"dimensions are those of z: in {space} move styles toward a vector, or leave out the space")
    refuse_whole(model, x, limit)
    x, given = items_for(model, x, condition, split, limit)
    z = code_of(model, x, given, space)
    moved = z
    for vector, strength in toward:
        moved = moved + strength * _of_shape(vector, strength, z)
    if dims:
        each = list(slices(len(z), 1 if given else len(z)))  # a condition may have its own prior
        moved = torch.cat([_moved(model, moved[i], given.rows(i), dims) for i in each])
    end = changed(model, given, wanted, len(z)) if wanted else given
    before, reconstructed, after = (
        t.cpu().numpy() for t in (x, made_of(model, z, given, space), made_of(model, moved, end, space))
    )
    return Edit(before, reconstructed, after)


def _mapped(model: Model, x: Tensor, given: Condition, wanted: ConditionLike) -> Edit:
    """Items mapped to their own attributes, and to others under the same noise."""
    before, ends = x.cpu().numpy(), (given, changed(model, given, wanted, len(x)))
    own, after = (answers(model, Inputs(before, model.spec.x, end, x))[:, 0] for end in ends)
    return Edit(before, own, after)


def _moved(model: Model, z: Tensor, given: Condition, dims: Mapping[int, float]) -> Tensor:
    """Codes of one condition with some of their dimensions moved."""
    dimensions = dimensions_of(model, given)
    for dimension, amount in dims.items():
        z = dimensions.move(z, dimension, amount)
    return z


def _of_shape(vector: np.ndarray | Tensor, strength: float, z: Tensor) -> Tensor:
    direction = torch.as_tensor(vector).to(z)
    if z.dim() == 3 and direction.shape == z.shape[2:]:
        direction = direction.expand(z.shape[1:])
    if direction.shape != z.shape[1:] or not direction.isfinite().all() or not math.isfinite(strength):
        raise UsageError(
            f"an attribute of this model is {tuple(z.shape[1:])} finite numbers with a finite strength, "
            f"not {tuple(direction.shape)} with {strength}"
        )
    return direction
