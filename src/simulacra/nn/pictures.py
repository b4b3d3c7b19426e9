"""Pictures of a condition as what a convolution reads, and what a network makes brought to agree with them.

    Levels, Real       its channels, in [-1, 1]
    a label map        a channel for each class, 1 where it is that class
    a picture with     its channels, 0 where it is unknown, and one that is 1 where it is known
    holes (`mask`, `parts`)

All are brought to one size: larger pictures by means of their pixels, smaller ones and label maps by the nearest pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.data.spec import centred
from simulacra.derived import Derived
from simulacra.fields import Field, LabelMap, Leaf
from simulacra.nn.embed import is_map, plain


class Pictures(nn.Module):
    """The pictures and maps among the fields of a condition -> (N, count, H, W).

    size: (H, W), that all of them are brought to.
    count: of the channels; 0 where no field is a picture.
    """

    def __init__(self, fields: Mapping[str, Field], size: tuple[int, int]) -> None:
        super().__init__()
        self.fields, self.size = {name: field for name, field in fields.items() if is_map(field)}, size
        self.count = sum(map(channels_of, self.fields.values()))

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        read = [_at(_read(field, condition[name]), field, self.size) for name, field in self.fields.items()]
        return torch.cat(read, dim=1)


def channels_of(field: Field) -> int:
    """Of a picture or map as a convolution reads it."""
    own = plain(field)
    return own.classes if isinstance(own, LabelMap) else cast(Leaf, own).shape[0] + has_holes(field)


def has_holes(field: Field) -> bool:
    return isinstance(field, Derived) and field.by.known(torch.zeros(1, 1, 1, 1)) is not None


def _read(field: Field, value: Tensor) -> Tensor:
    own = plain(field)
    if isinstance(own, LabelMap):
        return F.one_hot(value.long(), own.classes).movedim(-1, 1).float()
    if isinstance(field, Derived) and (known := field.by.known(value)) is not None:
        return torch.cat([of_known(field, value).where(known, 0.0), known.float()], dim=1)
    return centred(own, value)


def of_known(field: Derived, value: Tensor) -> Tensor:
    """The pixels of a picture with holes in [-1, 1]: 0 is a hole, and levels begin at 1."""
    levels = cast(int, getattr(field.own, "levels")) - 1  # noqa: B009 (a `Field` has none in general)
    return (value.float() - 1) * (2.0 / (levels - 1)) - 1.0


def _at(value: Tensor, field: Field, size: tuple[int, int]) -> Tensor:
    if value.shape[2:] == size:
        return value
    larger = value.shape[2] >= size[0] and value.shape[3] >= size[1]
    if larger and not isinstance(plain(field), LabelMap):
        return F.adaptive_avg_pool2d(value, size)
    return F.interpolate(value, size, mode="nearest-exact")


class Imposed(nn.Module):
    """Items (N, C, H, W) in [-1, 1] -> the nearest that the derived fields of the condition can have been made of."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        super().__init__()
        self.fields = {name: field for name, field in fields.items() if isinstance(field, Derived)}

    def forward(self, x: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        for name, field in self.fields.items():
            value = condition[name]
            known = field.by.known(value)
            real = centred(field.own, value) if known is None else of_known(field, value)
            x = field.by.impose(x, real.to(x.dtype), known)
        return x
