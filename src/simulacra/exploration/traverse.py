"""Traversal: one dimension of a code after the other is moved through its range, and all others stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulacra.data import Dataset
from simulacra.errors import UsageError
from simulacra.exploration.codes import code_of, decoded, item_of, own_classes, split_for
from simulacra.exploration.dimensions import dimensions_of
from simulacra.exploration.importance import Importance, importance
from simulacra.model import Model, as_model

REACH = 3.0  # standard deviations of the prior, to either side


@dataclass(frozen=True)
class Traversal:
    """A row for each dimension, those that matter most first.

    items:      (rows, settings, *shape) on the data grid.
    dims:       which dimension each row moves.
    settings:   where it is in each column: standard deviations from the prior's mean, or a discrete one's value.
    importance: of all dimensions, and what it measures.
    """

    items: np.ndarray
    dims: tuple[int, ...]
    settings: tuple[float, ...]
    importance: Importance

    @property
    def captions(self) -> list[str]:
        return [f"{d}: {self.importance.measure} {self.importance.each[d]:.3g}" for d in self.dims]


def traverse(
    model: Model | str | Path,
    data: Dataset | str | Path | None = None,
    index: int = 0,
    *,
    dims: Sequence[int] | None = None,
    steps: int = 9,
    top: int = 10,
    split: str = "test",
    seed: int = 0,
    **condition: Any,
) -> Traversal:
    """Move each dimension from -3 to 3 standard deviations of the prior around one code.

    Args:
        model: a model with a decoder, or its run folder.
        data: with it (and an encoder) the code is that of an item, and dimensions are sorted by their mean KL, or by
            their spread where the KL has no closed form; without it the code is the prior's mean (of a GAN, or where
            codes are discrete, a draw of the prior), and they are sorted by how much a picture changes.
        index: of the item in the split.
        dims: the dimensions to move; by default the `top` that matter most.
        steps: items in a row; a discrete dimension takes all its values instead.
        top: rows at most.
        split: of the data.
        seed: of the draw, and of those whose changes are looked at.
        condition: without data, the class to decode, by default the first: `label=3`. An item has its own.

    Raises:
        NotSupported: the model has no decoder or prior, or for data no encoder, or its codes have no dimensions.
        UsageError: an index or a dimension that does not exist, no dimension, steps < 2, top < 1, a condition together
            with data.
    """
    model = as_model(model)
    if steps < 2 or top < 1 or (dims is not None and not len(dims)):
        raise UsageError(f"traverse needs steps >= 2, top >= 1 and a dimension, not steps = {steps}, top = {top}")
    if data is None:
        given = model.conditioned(condition or model.every_class(1), 1)
        dimensions, items = dimensions_of(model, given, seed), None
        start = dimensions.start
    else:
        own_classes(condition)
        items = split_for(model, data, split)
        x, given = item_of(model, items, index)
        dimensions, start = dimensions_of(model, given, seed), code_of(model, x, given)
    matter = importance(model, dimensions, given, items)
    chosen = dimensions.check(matter.order()[:top] if dims is None else dims)
    settings = dimensions.settings(steps, REACH)
    z = torch.cat([dimensions.put(start, dimension, setting) for dimension in chosen for setting in settings])
    rows = decoded(model, z, given).cpu().numpy().reshape(len(chosen), len(settings), *model.spec.shape)
    return Traversal(rows, chosen, tuple(settings), matter)
