"""What general coders make of the same items: PNG and lossless WebP of each picture, and xz of all values at once."""

from __future__ import annotations

import io
import lzma

import numpy as np
from PIL import Image

from simulacra.data.spec import DataSpec

AT_MOST = 1 << 20  # sub-pixels, for a second or two
BYTE = 256  # levels of a byte
SMALLEST_DICTIONARY = 1 << 12  # bytes, of LZMA2
MODES = {1: "L", 3: "RGB"}  # by the number of channels


def others(x: np.ndarray, spec: DataSpec) -> dict[str, float]:
    """bits/dim of items x (n, *shape) by each coder that applies; {} for more than a million sub-pixels, or 256 levels.

    Values are coded as they stand, bits packed where there are two levels; names and labels are not counted.
    """
    if not 0 < x.size <= AT_MOST or spec.grid_levels > BYTE:
        return {}
    x = x.astype(np.uint8)
    binary = spec.levels == 2
    raw = np.packbits(x).tobytes() if binary else np.ascontiguousarray(x).tobytes()
    found = {"xz": float(len(lzma.compress(raw, filters=[_lzma(len(raw))])))}
    if spec.is_image and spec.shape[0] in MODES:
        pictures = [_picture(item, binary) for item in x]
        found["PNG"] = sum(_size(picture, format="PNG", optimize=True) for picture in pictures)
        rgb = (picture.convert("RGB") for picture in pictures)  # WebP has no grey
        found["WebP"] = sum(_size(picture, format="WEBP", lossless=True, exact=True) for picture in rgb)
    return {name: 8 * size / x.size for name, size in sorted(found.items())}


def _lzma(size: int) -> dict[str, int]:
    """The best that xz has, with no more memory than so many bytes ask for: by itself it takes 700 MB."""
    dictionary = max(SMALLEST_DICTIONARY, size)
    return {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}


def _picture(item: np.ndarray, binary: bool) -> Image.Image:
    if binary and len(item) == 1:
        return Image.fromarray(item[0] > 0)
    return Image.fromarray(item[0] if len(item) == 1 else item.transpose(1, 2, 0))


def _size(picture: Image.Image, **options: object) -> float:
    buffer = io.BytesIO()
    picture.save(buffer, **options)  # pyright: ignore[reportArgumentType]
    return float(buffer.tell())
