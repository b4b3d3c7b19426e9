"""The plane of two dimensions of a code, decoded: Kingma & Welling 2014, "Auto-Encoding Variational Bayes", fig. 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from simulacra.data import Dataset
from simulacra.errors import UsageError
from simulacra.exploration.codes import decoded, split_for
from simulacra.exploration.dimensions import dimensions_of
from simulacra.exploration.importance import importance
from simulacra.model import Model, as_model


@dataclass(frozen=True)
class Manifold:
    """items (side, side, *shape) on the data grid; `dims` are the dimension that grows to the right and the one that
    grows upwards, so that items[0, 0] is at the top left, where the first is lowest and the second highest."""

    items: np.ndarray
    dims: tuple[int, int]


def manifold(
    model: Model | str | Path,
    data: Dataset | str | Path | None = None,
    *,
    dims: Sequence[int] | None = None,
    side: int = 20,
    split: str = "test",
    seed: int = 0,
    **condition: Any,
) -> Manifold:
    """Decode the plane of two dimensions at the prior's quantiles (i + 1/2) / side.

    All other dimensions are at the prior's mean; those of a GAN, whose generator does not know the mean, at a draw.

    Args:
        model: a model with a decoder, or its run folder.
        data: by whose mean KL the two dimensions are chosen; without it, by how much a picture changes.
        dims: two dimensions, the one across and the one upwards; by default the two that matter most.
        side: items to a row and rows.
        split: of the data.
        seed: of the draw, and of those whose changes are looked at.
        condition: the class to decode, the first one if there is none: `label=3`.

    Raises:
        NotSupported: the model has no decoder or prior, or for data no encoder, or its codes have no dimensions.
        UsageError: codes that are discrete or of one dimension, other than two dimensions, side < 2.
    """
    model = as_model(model)
    given = model.conditioned(condition or model.every_class(1), 1)
    dimensions = dimensions_of(model, given, seed)
    if dimensions.values or dimensions.count < 2:
        what = "discrete" if dimensions.values else "a single number"
        raise UsageError(f"the codes of this model are {what} and have no plane; `simulacra traverse` shows them")
    if side < 2 or (dims is not None and (len(dims) != 2 or dims[0] == dims[1])):
        raise UsageError("a manifold needs side >= 2 and two different dimensions, such as --dims 3 7")
    if dims is None and dimensions.count == 2:
        dims = (0, 1)
    elif dims is None:
        over = None if data is None else split_for(model, data, split)
        dims = importance(model, dimensions, given, over).order()[:2]
    across, up = dimensions.check(dims)
    u = (torch.arange(side) + 0.5) / side
    z = dimensions.start.repeat(side * side, *[1] * (dimensions.start.dim() - 1))
    z.flatten(1)[:, across] = dimensions.quantiles(across, u).repeat(side)
    z.flatten(1)[:, up] = dimensions.quantiles(up, u.flip(0)).repeat_interleave(side)
    items = decoded(model, z, given).cpu().numpy()
    return Manifold(items.reshape(side, side, *model.spec.shape), (across, up))
