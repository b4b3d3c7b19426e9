"""Conditions with holes: what is known of x, one level up, and 0 where nothing is, as `mask` and `parts` derive them.

A model that draws all of x given such a condition completes x: the condition is made of what is known, x is drawn given
it, and the known values are put back. It sees all that is known, wherever it lies.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from simulacra.capabilities import Sampler, need
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.derived import Derived, Mask
from simulacra.errors import warn
from simulacra.fields import Sound, Text
from simulacra.model import Model
from simulacra.nn.pictures import has_holes
from simulacra.parts import spelled

REGIONS = {"half": "bottom", "centre": "centre"}  # what is unknown, by the name that `mask_of` knows
PROBED = 4  # items whose holes are compared, to know whether all have the same


def holed(spec: DataSpec) -> dict[str, Derived]:
    """The fields of the condition that have holes, and what is known of x in its place: not those of loose parts."""
    fields = spec.condition.items()
    return {name: own for name, own in fields if isinstance(own, Derived) and has_holes(own) and _in_place(own)}


def _in_place(field: Derived) -> bool:
    """Whether what is known is put where it lies."""
    there = torch.ones(1, 1, 1, 1)
    return bool((field.by.impose(-there, there, there.bool()) == there).all())


def usual_mask(spec: DataSpec) -> str:
    """What a model of such a condition was fitted to fill in, as `mask_of` reads it; else the bottom half, or of sound
    and text the second half."""
    for field in holed(spec).values():
        if isinstance(field.by, Mask):
            return REGIONS.get(field.by.kind, f"random:{field.by.share:g}")
    return "right" if isinstance(spec.x, Sound | Text) else "bottom"


def with_holes(spec: DataSpec, given: Condition, x: Tensor, unknown: Tensor) -> Condition:
    """The condition with what is known of items x (N, C, H, W); a pixel is unknown that is so in any of its channels.

    Whatever the condition said of x there is replaced: it may have shown what is wanted.
    """
    values = torch.where(unknown.any(1, keepdim=True), 0, x.to(torch.int16) + 1)
    return given | {name: values.to(given[name].dtype) for name in holed(spec)}


def blank_holes(spec: DataSpec) -> dict[str, np.ndarray]:
    """A value of each such field for items in memory, whose holes are known later."""
    columns = {name: field.columns(name)[name] for name, field in holed(spec).items()}
    return {name: np.zeros(column.shape, column.dtype) for name, column in columns.items()}


def warn_of_other_holes(model: Model, unknown: Tensor) -> None:
    """Warn where a model was fitted with the same holes in every item, and is to fill in others."""
    spec = model.spec
    for field in holed(spec).values():
        derived = field.by.derive(np.zeros((PROBED, *spec.shape), np.uint8), np.arange(PROBED), spec.x)
        empty = torch.from_numpy(derived == 0).to(unknown.device)
        if bool((empty == empty[:1]).all()) and not bool((unknown == empty[:1]).all()):
            warn(
                f"this {model.name} was fitted with {spelled(field.by)} alone, and other pixels are unknown here: its "
                "draws may be poor; one that is fitted with --condition mask:kind=random has seen all kinds"
            )


def drawn_around(
    model: Model, x: Tensor, unknown: Tensor, given: Condition, temperature: float, noise: Generator, **options: object
) -> Tensor:
    """x (N, *shape) with its unknown coordinates those of a draw given what is known."""
    drawn = need(model, Sampler).sample(len(x), given, temperature=temperature, generator=noise, **options)
    return torch.where(unknown, drawn, x.to(drawn.dtype))
