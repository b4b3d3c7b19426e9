"""Augmentation: training items are changed in ways that leave them what they are.

    x -> T_u(x)     u uniform on [0, 1)^k, a pure function of (seed, epoch, index of the item)

x and every field of the condition that lies on the same pixels (a map of classes, a smaller number of channels) are
changed alike. Only the training items are: validation, scores and comparisons see the data as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.parts import kind, part, within


@kind("augmentation")
class Augmentation(Protocol):
    """A change of images. `numbers`: how many uniform numbers one item takes."""

    numbers: ClassVar[int]

    def change(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        """images: arrays (n, ..., H, W) of equal n, H and W; noise (n, numbers) -> arrays of the same shapes."""
        ...


@part("augmentation", "flip")
class Flip:
    """Left and right change places.

    Attributes:
        share: of the items.
    """

    share: float = 0.5
    numbers: ClassVar[int] = 1

    def __post_init__(self) -> None:
        within(0, 1, share=self.share)

    def change(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        chosen = noise[:, 0] < self.share
        flipped = {name: array.copy() for name, array in images.items()}
        for name, array in images.items():
            flipped[name][chosen] = array[chosen][..., ::-1]
        return flipped


@part("augmentation", "crop")
class Crop:
    """A window of the old size, anywhere in the image continued by its mirror image.

    Attributes:
        padding: pixels on each side.
    """

    padding: int = 4
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        within(1, padding=self.padding)

    def change(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
        def mirrored(places: np.ndarray, side: int) -> np.ndarray:
            around = np.abs(places) % max(1, 2 * (side - 1))  # the edge itself is not repeated
            return np.minimum(around, 2 * (side - 1) - around)

        return _moved(images, noise, self.padding, mirrored)


@part("augmentation", "shift")
class Shift:
    """Moved in both directions; what comes into sight repeats the edge.

    Attributes:
        pixels: at most.
    """

    pixels: int = 2
    numbers: ClassVar[int] = 2

    def __post_init__(self) -> None:
        within(1, pixels=self.pixels)

    def change(self, images: dict[str, np.ndarray], noise: np.ndarray) -> dict[str, np.ndarray]:
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


def augmented(
    augmentations: Sequence[Augmentation], fields: Mapping[str, np.ndarray], size: tuple[int, int], noise: np.ndarray
) -> dict[str, np.ndarray]:
    """The fields, those of this size (H, W) changed by one augmentation after the other; noise (n, all numbers)."""
    images = {name: array for name, array in fields.items() if array.ndim > 2 and array.shape[-2:] == size}
    begin = 0
    for augmentation in augmentations:
        images = augmentation.change(images, noise[:, begin : begin + augmentation.numbers])
        begin += augmentation.numbers
    return {**fields, **images}


def refuse_unless_images(augmentations: Sequence[Augmentation], spec: DataSpec) -> None:
    """Raise UsageError where there is something to do and the items have no pixels."""
    if augmentations and not spec.is_image:
        raise UsageError(f"only images can be augmented, and these data are {spec.describe()}; leave out augment")


def numbers_of(augmentations: Sequence[Augmentation]) -> int:
    """How many uniform numbers one item takes in all."""
    return sum(augmentation.numbers for augmentation in augmentations)
