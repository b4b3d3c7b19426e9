"""What x is: its shape, the grid it lives on, and what it may be conditioned on.

At every public border discrete data are integers 0..levels-1. Inside a model they are real numbers in [-1, 1]
(`DataSpec.centred`), and every likelihood is a mass over the levels, so that nats and bits/dim compare across models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, TypeVar

from simulacra.errors import DataError, UsageError, did_you_mean

MOST_LEVELS = 1 << 15  # an int16 holds them
Array = TypeVar("Array")  # a torch tensor or a NumPy array: the arithmetic is the same


@dataclass(frozen=True)
class ClassLabel:
    """A condition that is one of `count` classes, an integer 0..count-1."""

    count: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1:
            raise DataError(f"a label field needs at least one class, not {self.count}")
        if self.names and len(self.names) != self.count:
            raise DataError(f"a label field with {self.count} classes has {len(self.names)} names")

    def index(self, label: Any) -> int:
        """The integer for a class given by number or name; raises UsageError for a class that does not exist."""
        if isinstance(label, str) and label in self.names:
            return self.names.index(label)
        if isinstance(label, str) and not label.lstrip("-").isdigit():
            known = self.names or map(str, range(self.count))
            raise UsageError(f"there is no class {label!r}.{did_you_mean(label, known)}")
        if not isinstance(label, str | Integral):
            raise UsageError(f"a label is an integer or a name, not {label!r}")
        if not 0 <= int(label) < self.count:
            raise UsageError(f"label {label} does not exist: the labels are 0 to {self.count - 1}")
        return int(label)


@dataclass(frozen=True)
class DataSpec:
    """shape: (C, H, W) of an image or (D,) of a vector. levels: 2 = binary, 256 = 8 bit, None = continuous.

    Data have at most 256 levels; what a model reads inside, such as the codes of another one, may have MOST_LEVELS.
    """

    shape: tuple[int, ...]
    levels: int | None
    condition: Mapping[str, ClassLabel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))
        if len(self.shape) not in (1, 3) or min(self.shape) < 1:
            raise DataError(f"shape {self.shape} is neither an image (C, H, W) nor a vector (D,)")
        if self.levels is not None and not 2 <= self.levels <= MOST_LEVELS:
            raise DataError(f"levels must be 2 to {MOST_LEVELS}, or None for continuous data, not {self.levels}")

    @property
    def dims(self) -> int:
        """Sub-pixels of one item: C·H·W."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def grid_levels(self) -> int:
        """The number of levels of discrete data; raises UsageError for continuous data."""
        if self.levels is None:
            raise UsageError("these data are continuous and have no levels; use a discrete data set such as 'digits'")
        return self.levels

    def centred(self, x: Any) -> Any:
        """Grid 0..levels-1 -> real numbers in [-1, 1]: float32, or of the precision of x where x is real already.

        Continuous data pass through.
        """
        real = x if x.is_floating_point() else x.float()
        return real if self.levels is None else real * (2.0 / (self.levels - 1)) - 1.0

    def on_grid(self, value: Any) -> Any:
        """Real numbers in [-1, 1] -> the nearest grid point (uint8); continuous data pass through."""
        if self.levels is None:
            return value
        return ((value + 1.0) * ((self.levels - 1) / 2.0)).round().clip(0, self.levels - 1).byte()

    def bits_per_dim(self, nats: Any) -> Any:
        """nats of one item -> bits per sub-pixel: nats / (C·H·W·ln 2)."""
        return nats / (self.dims * math.log(2.0))

    def expect(self, other: DataSpec, name: str) -> None:
        """Raise UsageError unless data of spec `other`, called `name`, have the x that a model of this spec is for."""
        if (self.shape, self.levels) != (other.shape, other.levels):
            mend = " (give --levels)" if self.shape == other.shape and other.levels == 256 and self.levels else ""
            raise UsageError(f"the model is for {self.describe()}, but {name} is {other.describe()}{mend}")

    def conditioned_on(self, fields: tuple[str, ...]) -> DataSpec:
        """The same x with only these condition fields: what a model is asked to condition on."""
        for name in fields:
            if name not in self.condition:
                known = f".{did_you_mean(name, self.condition)}" if self.condition else ": these data have no labels."
                raise UsageError(f"cannot condition on {name!r}{known}")
        return DataSpec(self.shape, self.levels, {name: self.condition[name] for name in fields})

    def describe(self) -> str:
        shape = "×".join(map(str, self.shape))
        grid = "continuous" if self.levels is None else f"{self.levels} levels"
        labels = "".join(f", {name}: {label.count} classes" for name, label in self.condition.items())
        return f"{shape}, {grid}{labels}"

    def to_json(self) -> dict[str, Any]:
        condition = {name: {"count": label.count, "names": list(label.names)} for name, label in self.condition.items()}
        return {"shape": list(self.shape), "levels": self.levels, "condition": condition}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DataSpec:
        condition = {
            str(name): ClassLabel(int(label["count"]), tuple(map(str, label["names"])))
            for name, label in record["condition"].items()
        }
        levels = record["levels"]
        return cls(tuple(map(int, record["shape"])), None if levels is None else int(levels), condition)
