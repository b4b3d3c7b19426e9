"""Which part of an item is unknown: a region by its name, a share by chance, or a mask in a file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from simulacra.data import DataSpec
from simulacra.data.images import grey_pixels
from simulacra.data.npy import npy_array
from simulacra.errors import DataError, UsageError, cause, did_you_mean
from simulacra.randomness import mix

REGIONS = ("top", "bottom", "left", "right", "centre")


def mask_of(text: str, spec: DataSpec, seed: int = 0) -> np.ndarray:
    """(*shape), True where unknown.

    Args:
        text: "top", "bottom", "left" or "right": that half; "centre": the middle half of both sides; "random:SHARE":
            this share of the pixels; else a file: a .png of the size of the images, white where unknown, or a .npy
            of 0 and 1 or of truths, (H, W) or (*shape).
        spec: of the items; a vector counts as one row of pixels.
        seed: of the random pixels.

    Raises:
        UsageError: another name, a share that is none, a file that is not there.
        DataError: a file that is no mask, or one of another size.
    """
    height, width = spec.shape[1:] if spec.is_image else (1, *spec.shape)
    if text in REGIONS:
        found = _region(text, height, width)
    elif text.startswith("random:"):
        found = _at_random(text.removeprefix("random:"), height, width, seed)
    else:
        found = _from_file(text, spec)
    return np.broadcast_to(found, (spec.shape[0], height, width) if spec.is_image else (1, width)).reshape(spec.shape)


def _region(name: str, height: int, width: int) -> np.ndarray:
    rows, columns = np.indices((height, width))
    return {
        "top": rows < height // 2,
        "bottom": rows >= height // 2,
        "left": columns < width // 2,
        "right": columns >= width // 2,
        "centre": (abs(2 * rows - height + 1) < height / 2) & (abs(2 * columns - width + 1) < width / 2),
    }[name]


def _at_random(text: str, height: int, width: int, seed: int) -> np.ndarray:
    share = -1.0
    with contextlib.suppress(ValueError):
        share = float(text)
    if not 0 < share <= 1:
        raise UsageError(f"random:SHARE needs a share above 0 and up to 1, such as random:0.5, not {text!r}")
    count = max(1, round(share * height * width))
    chosen = np.random.default_rng(mix(seed, "mask")).permutation(height * width)[:count]
    return np.isin(np.arange(height * width), chosen).reshape(height, width)


def _from_file(text: str, spec: DataSpec) -> np.ndarray:
    path = Path(text)
    if path.suffix not in (".png", ".npy"):
        raise UsageError(f"there is no mask {text!r}.{did_you_mean(text, [*REGIONS, 'random:0.5', 'FILE.png'])}")
    if not path.exists():
        raise UsageError(f"there is no mask file {path}")
    try:
        mask = grey_pixels(path) if path.suffix == ".png" else npy_array(path).read()
    except DataError as error:
        raise DataError(f"{path} cannot be read as a mask: {cause(error)}") from error
    if mask.shape not in (spec.shape, spec.shape[1:]):
        raise DataError(f"{path} has the shape {mask.shape}; a mask of these items has {spec.shape[1:] or spec.shape}")
    if path.suffix == ".png":
        return mask >= 128
    if not np.isin(mask, (0, 1)).all():
        raise DataError(f"{path} is no mask: it holds other values than 0 (known) and 1 (unknown)")
    return mask.astype(bool)
