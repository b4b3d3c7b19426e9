"""What a file, folder or data set holds, and which conditions can be coded beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulacra.data.spec import DataSpec
from simulacra.fields import ClassLabel


def classes_of(spec: DataSpec) -> dict[str, ClassLabel]:
    """The condition of a model that compresses; raises UsageError for a field that is none of classes."""
    return spec.classes("a model that compresses")


@dataclass(frozen=True)
class Contents:
    """Items and what must be known to bring them back as they were.

    x:        (N, *shape) as they were found, not yet compared with the model.
    fields:   those fields of the model's condition that there are, (N,) each.
    notes:    names, brightness, axes, type: JSON-able, stored beside the items.
    left_out: names of what lies there too and is not kept.
    """

    x: np.ndarray
    fields: dict[str, np.ndarray] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    def first(self, limit: int | None) -> Contents:
        fields = {name: values[:limit] for name, values in self.fields.items()}
        return Contents(self.x[:limit], fields, self.notes, self.left_out)
