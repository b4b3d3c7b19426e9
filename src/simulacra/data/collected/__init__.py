"""Sets of pictures that others collected or drew, read where $SIMULACRA_DATA holds them in the files that each names.

No official source has them in this form, so nothing is downloaded. All of them can be resized like a folder of images,
every picture and every map of an item alike.
"""

from __future__ import annotations

import lzma
from functools import partial
from pathlib import Path

import numpy as np

from simulacra.data.fetch import find, places
from simulacra.data.images import fit
from simulacra.data.npy import NpyArray, npy_array
from simulacra.data.source import reading
from simulacra.errors import DataError

LEVELS = 256
Size = tuple[int, int] | None  # (H, W) that all is brought to; None: as it is


def held(name: str, *files: str) -> list[Path]:
    """The files of a set; raises DataError, which says what belongs where, unless all of them are there."""
    folder, *aliases = dict.fromkeys((name.replace("-", "_"), name))
    found = [find(places(folder, *aliases), file) for file in files]
    if missing := [file for file, path in zip(files, found, strict=True) if path is None]:
        raise DataError(
            f"{name} cannot be downloaded, and {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not here.\n"
            f"Put {'it' if len(missing) == 1 else 'them'} into $SIMULACRA_DATA/{folder}."
        )
    return [path for path in found if path is not None]


def read_uint8(path: Path, *shape: int) -> np.ndarray:
    """The array (N, *shape) of bytes in an .npy or .npy.xz file; raises DataError for another one."""
    with reading(path):
        packed = path.suffix == ".xz"
        array = NpyArray.inspect(str(path), partial(lzma.open, path)) if packed else npy_array(path)
        if array.shape[1:] != shape or array.dtype != np.uint8:
            wanted = ", ".join(["N", *map(str, shape)])
            raise DataError(f"{path} holds {array.dtype} {array.shape}; uint8 ({wanted}) is read")
        return array.read()


def expect_rows(where: Path, found: int, wanted: int) -> None:
    """Raise DataError unless an array has as many items as those beside it."""
    if found != wanted:
        raise DataError(f"{where} holds {found:,} items, and {wanted:,} are needed: those of the files beside it")


def fitted(x: np.ndarray, size: Size, nearest: bool = False) -> np.ndarray:
    """Pictures (N, C, H, W) uint8 -> (N, C, *size): shorter side to fit, centre crop.

    nearest: each pixel is that of the original which is nearest to it, as a map of classes needs, and no mean.
    """
    return x if size is None else np.stack([fit(item, *size, nearest) for item in x])
