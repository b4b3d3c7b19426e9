"""Augmentation: training items are changed in ways that leave them what they are.

    x -> T_u(x)     u uniform on [0, 1)^k, a pure function of (seed, epoch, index of the item)

x and every field of the condition that lies on the same pixels (a map of classes, a smaller number of channels) are
changed alike. Only the training items are: validation, scores and comparisons see the data as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from simulacra.data import DataSpec
from simulacra.errors import UsageError, did_you_mean


@runtime_checkable
class Augmentation(Protocol):
    """A frozen dataclass. `numbers`: how many uniform numbers one item takes."""

    numbers: ClassVar[int]

    def __call__(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        """images: arrays (n, ..., H, W) of equal n, H and W; noise (n, numbers) -> arrays of the same shapes."""
        ...


@dataclass(frozen=True)
class Flip:
    """Left and right change places in this share of the items."""

    share: float = 0.5
    numbers: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UsageError(f"flip needs a share from 0 to 1, not {self.share}")

    def __call__(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        chosen = noise[:, 0] < self.share
        flipped = {name: array.copy() for name, array in images.items()}
        for name, array in images.items():
            flipped[name][chosen] = array[chosen][..., ::-1]
        return flipped


@dataclass(frozen=True)
class Crop:
    """A window of the old size, anywhere in the image continued by its mirror image by `padding` pixels."""

    padding: int = 4
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _refuse_unless_positive("crop", "padding", self.padding)

    def __call__(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        def mirrored(places: np.ndarray, side: int) -> np.ndarray:
            around = np.abs(places) % max(1, 2 * (side - 1))  # the edge itself is not repeated
            return np.minimum(around, 2 * (side - 1) - around)

        return _moved(images, noise, self.padding, mirrored)


@dataclass(frozen=True)
class Shift:
    """Moved by up to so many pixels in both directions; what comes into sight repeats the edge."""

    pixels: int = 2
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _refuse_unless_positive("shift", "pixels", self.pixels)

    def __call__(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        return _moved(images, noise, self.pixels, lambda places, side: places.clip(0, side - 1))


def _moved(images: dict[str, np.ndarray], noise: np.ndarray, most: int, inside: Any) -> dict[str, np.ndarray]:
    """Moved by -most to most pixels, each as likely; `inside(places, side)` says which pixel stands for one outside."""
    steps = np.floor(noise * (2 * most + 1)).astype(np.int64) - most  # (n, 2)
    moved = {}
    for name, array in images.items():
        for axis, step in ((-2, steps[:, 0]), (-1, steps[:, 1])):
            side = array.shape[axis]
            places = inside(np.arange(side) + step[:, None], side)  # (n, side)
            shape = [len(array), *[1] * (array.ndim - 1)]
            shape[axis] = side
            array = np.take_along_axis(array, places.reshape(shape), axis)
        moved[name] = array
    return moved


def _refuse_unless_positive(name: str, argument: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} needs {argument} >= 1, a whole number of pixels, not {value}")


AUGMENTATIONS: dict[str, type] = {"flip": Flip, "crop": Crop, "shift": Shift}


def augmented(
    augmentations: Sequence[Augmentation], fields: Mapping[str, np.ndarray], size: tuple[int, int], noise: np.ndarray
) -> dict[str, np.ndarray]:
    """The fields, those of this size (H, W) changed by one augmentation after the other; noise (n, all numbers)."""
    images = {name: array for name, array in fields.items() if array.ndim > 2 and array.shape[-2:] == size}
    begin = 0
    for augmentation in augmentations:
        images = augmentation(images, noise[:, begin : begin + augmentation.numbers])
        begin += augmentation.numbers
    return {**fields, **images}


def refuse_unless_images(augmentations: Sequence[Augmentation], spec: DataSpec) -> None:
    """Raise UsageError where there is something to do and the items have no pixels."""
    if augmentations and not spec.is_image:
        raise UsageError(f"only images can be augmented, and these data are {spec.describe()}; leave out augment")


def numbers_of(augmentations: Sequence[Augmentation]) -> int:
    """How many uniform numbers one item takes in all."""
    return sum(augmentation.numbers for augmentation in augmentations)


def as_record(augmentations: Sequence[Augmentation]) -> list[dict[str, Any]]:
    """What a run is compared by, JSON-ready: [{"flip": {"share": 0.5}}]."""
    names = {cls: name for name, cls in AUGMENTATIONS.items()}
    return [
        {names.get(type(one), type(one).__name__): asdict(one)}  # pyright: ignore[reportArgumentType]
        for one in augmentations
    ]


def augmentations(given: Sequence[Augmentation | str] | Augmentation | str) -> tuple[Augmentation, ...]:
    """Augmentations, or as they are written on the command line: "flip", "shift:pixels=2".

    Raises UsageError for a name or an argument that does not exist, and for a value that is no number.
    """
    listed = [given] if isinstance(given, str | Augmentation) else list(given)
    return tuple(_parsed(one) if isinstance(one, str) else one for one in listed)


def _parsed(text: str) -> Augmentation:
    name, _, rest = text.partition(":")
    if name not in AUGMENTATIONS:
        raise UsageError(f"there is no augmentation {name!r}.{did_you_mean(name, AUGMENTATIONS)}")
    cls, arguments = AUGMENTATIONS[name], {}
    for pair in filter(None, rest.split(",")):
        key, _, value = pair.partition("=")
        if key not in cls.__dataclass_fields__:
            raise UsageError(f"{name} has no argument {key!r}.{did_you_mean(key, cls.__dataclass_fields__)}")
        try:
            arguments[key] = float(value) if "." in value else int(value)
        except ValueError:
            raise UsageError(f"{name} needs a number for {key}, not {value!r}: {name}:{key}=2") from None
    return cls(**arguments)
