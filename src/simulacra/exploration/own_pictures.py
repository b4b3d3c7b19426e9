"""Picture files of one's own as values of a field: brightness on its levels, or the classes of a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulacra.data import DataSpec
from simulacra.data.images import read_pixels
from simulacra.data.maps import map_of
from simulacra.errors import UsageError
from simulacra.fields import Field, LabelMap, Levels, Real


def picture_value(
    name: str, field: Field, path: Path, resize: bool = False, sized: bool = False, mend: str = ""
) -> np.ndarray:
    """(H, W) classes of a map, whose file holds them in grey or as the numbers of a palette; (C, H, W) of a picture,
    whose brightness is brought to the field's levels, or to [-1, 1] where it is of real numbers.

    resize: bring it to the size and colours of the field: shorter side to fit, centre crop; a map by nearest pixels.
    sized: the same of its size alone, as the data of a run were.
    mend: what else helps, for the message where it is of another size or colours.

    Raises UsageError for a field that is no picture and for a file that is not there or of another size or colours,
    DataError for one that cannot be read.
    """
    if isinstance(field, LabelMap):
        return _map_value(name, field, path, resize or sized, mend)
    if not isinstance(field, Levels | Real) or len(field.shape) != 3:
        raise UsageError(f"{name!r} is {field.describe()}, and no picture; give its numbers, or a .npy file")
    spec = DataSpec(field)
    bright = read_pixels(path, spec, resize, _mend(mend, spec.shape, "BOX"), f"{name!r} takes", fit=sized) / 255
    if isinstance(field, Levels):
        return np.rint(bright * (field.levels - 1)).astype(field.dtype)
    return (2 * bright - 1).astype(np.float32)


def _map_value(name: str, field: LabelMap, path: Path, fitted: bool, mend: str) -> np.ndarray:
    height, width = field.shape
    how = f"Image.open(FILE).resize(({width}, {height}), Image.Resampling.NEAREST).save(OTHER)"
    mend = f"{mend}, or save it in that form, by Pillow: {how}"
    return map_of(path, field, fitted, mend, f"{name!r} takes")


def _mend(first: str, shape: tuple[int, ...], how: str) -> str:
    """How a picture is brought to the size and colours of a field, for advice."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    return (
        f"{first}, or save it in that form, by Pillow: "
        f'Image.open(FILE).convert("{mode}").resize(({width}, {height}), Image.Resampling.{how}).save(OTHER)'
    )
