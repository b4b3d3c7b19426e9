"""A map of classes of one's own: the numbers that the pixels of an image file hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulacra.data.images import UnreadableImage, fit, opened, upright
from simulacra.errors import DataError, UsageError, cause


def read_map(
    path: Path, height: int, width: int, fitted: bool = False, mend: str = "", whose: str = "the model is for"
) -> np.ndarray:
    """A map of classes (H, W) uint8: the numbers that the pixels of an image file hold, of a palette or in grey.

    fitted: bring it to the size by nearest pixels: shorter side to fit, centre crop.

    Raises UsageError for a file that is not there, is in colour or, unless it may be fitted, of another size (`whose`
    begins the message, and `mend` says what to do about it); DataError for one that cannot be read.
    """
    numbers = _indices(path)
    if numbers.shape == (height, width):
        return numbers
    if fitted:
        return fit(numbers[None], height, width, nearest=True)[0]
    found = f"{numbers.shape[1]}×{numbers.shape[0]} grey"
    raise UsageError(f"{whose} {width}×{height} grey pictures, and {path} is {found}{f'; {mend}' * bool(mend)}")


def _indices(path: Path) -> np.ndarray:
    """The numbers (H, W) uint8 of the pixels of a file, upright."""
    if not path.is_file():
        raise UsageError(f"there is no picture {path}")
    try:
        with opened(path) as image:
            mode, numbers = image.mode, np.asarray(upright(image, path)).astype(np.uint8)
    except UnreadableImage as error:
        raise DataError(f"{path} cannot be read: {cause(error)}") from error
    if mode not in ("1", "L", "P"):
        raise UsageError(f"a map of classes is a grey or palette picture, and {path} is {mode}")
    return numbers
