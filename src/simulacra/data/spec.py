"""What a model is for: the field that x is, and those that x is conditioned on.

At every public border discrete data are integers 0..levels-1. Inside a model they are real numbers in [-1, 1]
(`DataSpec.centred`), and every likelihood is a mass over the levels, so that nats and bits/dim compare across models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulacra.derived import Derived
from simulacra.errors import UsageError, did_you_mean
from simulacra.fields import ClassLabel, Column, Field, LabelMap, Levels, Paths, Real, Sound, columns_of, describe_all
from simulacra.parts import as_part, named, to_json


@dataclass(frozen=True)
class DataSpec:
    """x: the field that is modelled, such as Levels((1, 28, 28), 256). condition: the fields it is conditioned on.

    of_data: whether it is that of a data set, whose condition is all other fields that there are: a model that is
    constructed for it is unconditional, and `conditioned_on` says on which of them it is to be conditioned.
    """

    x: Field
    condition: Mapping[str, Field] = field(default_factory=dict)
    of_data: bool = field(default=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fields = self.condition if isinstance(self.condition, Mapping) else {"condition": self.condition}
        for name, own in (("x", self.x), *fields.items()):
            if not isinstance(own, Field):
                raise UsageError(
                    f"{name!r} of a DataSpec is a field, such as Levels((1, 28, 28), 256), not {own!r:.40}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image, (D,) of a vector; raises UsageError where x is no one array of numbers."""
        return self._numbers().shape

    @property
    def levels(self) -> int | None:
        """Of the grid: 2 = binary, 256 = 8 bit, None = continuous."""
        numbers = self._numbers()
        return numbers.levels if isinstance(numbers, Levels) else None

    def _numbers(self) -> Levels | Real:
        if not isinstance(self.x, Levels | Real):
            raise UsageError(f"x is {self.x.describe()}, and the models are of levels on a grid or of real numbers")
        return self.x

    @property
    def dims(self) -> int:
        """Numbers in one item, the sub-pixels C·H·W of an image."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3 and not isinstance(self.x, Paths)

    @property
    def is_video(self) -> bool:
        """Whether x is a clip (T, C, H, W) of frames on a grid."""
        return isinstance(self.x, Levels) and len(self.x.shape) == 4

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
        return centred(self._numbers(), x)

    def on_grid(self, value: Any) -> Any:
        """Real numbers in [-1, 1] -> the nearest grid point (uint8); continuous data pass through."""
        if self.levels is None:
            return value
        return ((value + 1.0) * ((self.levels - 1) / 2.0)).round().clip(0, self.levels - 1).byte()

    def bits_per_dim(self, nats: Any) -> Any:
        """nats of one item -> bits per sub-pixel: nats / (C·H·W·ln 2)."""
        return nats / (self.dims * math.log(2.0))

    @property
    def columns(self) -> dict[str, Column]:
        """The tensors of the condition, by name."""
        return columns_of(self.condition)

    def classes(self, who: str) -> dict[str, ClassLabel]:
        """The condition of a model that takes classes alone; raises UsageError for a field of another kind.

        `who` is the model or the verb, for the message.
        """
        for name, own in self.condition.items():
            if not isinstance(own, ClassLabel):
                raise UsageError(f"{who} is conditioned on classes alone, and {name!r} is {own.describe()}")
        return {name: own for name, own in self.condition.items() if isinstance(own, ClassLabel)}

    def flag_for_classes(self) -> str:
        """`--condition digit`, for advice: what conditions a model on the classes of such data."""
        names = [name for name, own in self.condition.items() if isinstance(own, ClassLabel)]
        return f"--condition {' or '.join(names) or 'FIELD, on data that have a field of classes'}"

    def expect(self, other: DataSpec, name: str, resizable: bool = False) -> None:
        """Raise UsageError unless data of spec `other`, called `name`, have the x that a model of this spec is for.

        resizable: whether they are a folder of pictures, or a set that can be brought to another size.
        """
        if self.x != other.x:
            grids = isinstance(self.x, Levels) and isinstance(other.x, Levels) and self.x.shape == other.x.shape
            mend = " (give --levels)" if grids and other.levels == 256 else ""
            if isinstance(self.x, Sound) and isinstance(other.x, Sound) and self.x.rate != other.x.rate:
                mend = f" (--rate {self.x.rate} brings it to that rate)"
            if resizable and self.is_image and other.shape[:1] == self.shape[:1] and not grids:
                mend = f" ({self.resizing()})"
            raise UsageError(f"the model is for {self.x.describe()}, but {name} is {other.x.describe()}{mend}")

    def resizing(self) -> str:
        """How a folder of pictures is brought to the size of these images, for advice."""
        _, height, width = self.shape
        call = f"--resize {height}" if height == width else f"sim.data.load(FOLDER, resize=({height}, {width}))"
        return f"{call} brings them to it"

    def conditioned_on(self, names: Sequence[str] | str) -> DataSpec:
        """The same x with only these fields as its condition.

        A name that is none of the fields may be a derivation, such as `down:factor=2`: a field made of x itself.
        """
        fields: dict[str, Field] = {}
        for name, own in map(self._field, (names,) if isinstance(names, str) else names):
            if fields.setdefault(name, own) != own:
                raise UsageError(f"the condition has two fields {name!r}: {fields[name].describe()}, {own.describe()}")
        return DataSpec(self.x, fields)

    def _field(self, name: str) -> tuple[str, Field]:
        if name in self.condition:
            return name, self.condition[name]
        derived = Derived.from_words(name, self.x)
        if derived is not None:
            return name.partition(":")[0], derived
        if not self.condition and ":" not in name:
            raise UsageError(f"cannot condition on {name!r}: these data have no labels.")
        if "=" in name.partition(":")[0] or "," in name.partition(":")[0]:
            raise UsageError(
                f"cannot condition on {name!r}: name fields, each by itself, without values: label, or down:factor=2"
            )
        known = did_you_mean(name.partition(":")[0], [*self.condition, *named("derivation")])
        raise UsageError(f"cannot condition on {name!r}.{known}")

    def describe(self) -> str:
        return f"{self.x.describe()}{describe_all(self.condition)}"

    def to_json(self) -> dict[str, Any]:
        return {"x": to_json(self.x), "condition": {name: to_json(own) for name, own in self.condition.items()}}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DataSpec:
        """Raises UsageError or DataError for what describes no fields."""
        condition = {str(name): as_part("field", own, name) for name, own in record["condition"].items()}
        return cls(as_part("field", record["x"], "x"), condition)


def centred(of: Field, x: Any) -> Any:
    """Values on the grid of a field -> real numbers in [-1, 1]; real numbers pass through."""
    real = x if x.is_floating_point() else x.float()
    count = of.levels if isinstance(of, Levels) else of.classes if isinstance(of, LabelMap) else None
    return real if count is None else real * (2.0 / (count - 1)) - 1.0
