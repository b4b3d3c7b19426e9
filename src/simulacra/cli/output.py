"""Items on disk: one picture, an array, or a folder of pictures, as the name of the file says."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.pictures import has_picture, pixels, png, save_picture
from simulacra.weights import write_atomically


def write_items(
    path: Path, items: np.ndarray, spec: DataSpec, fields: Mapping[str, np.ndarray], columns: int | None = None
) -> Path:
    """Write items (N, *shape) to a .png, a .npz (`x` and the fields) or a folder; returns where they went.

    Raises UsageError for another ending, or for a picture of data that have none.
    """
    if path.suffix == ".npz":
        write_arrays(path, {"x": items, **fields})
    elif path.suffix == ".png" and has_picture(spec):
        save_picture(items, spec, path, columns)
    elif path.suffix == ".png":
        path = path.with_suffix(".npz")
        write_arrays(path, {"x": items, **fields})
    elif path.suffix == "" and spec.is_image:
        path.mkdir(parents=True, exist_ok=True)
        for i, pixel in enumerate(pixels(items, spec)):
            single = Image.fromarray(pixel if spec.shape[0] == 3 else pixel[..., 0])
            write_atomically(path / f"{i:06d}.png", png(single))
    else:
        raise UsageError(f"cannot write {path}: use a .png, a .npz{' or a folder' if spec.is_image else ''}")
    return path


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A compressed .npz, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())
