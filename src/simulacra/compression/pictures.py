"""Picture files as items and back, under their names, with equal pixels.

Every picture becomes a PNG: `a.png` keeps its name, `b.jpg` comes back as `b.jpg.png`. What a PNG of the model's kind
cannot hold (transparency, several frames, CMYK, 16 bits a channel, another size, colour for a grey model) is refused,
not lost. Pixels come back upright, where EXIF says how; all that a file holds beside them is not kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simulacra.compression.contents import Contents
from simulacra.data.folder import claims_image, things_below
from simulacra.data.images import SUFFIXES, read_extras, read_pixels
from simulacra.data.spec import DataSpec
from simulacra.errors import DataError, UsageError
from simulacra.files import write_atomically, write_folder
from simulacra.pictures import png

BRIGHTEST = 255


def read_pictures(path: Path, spec: DataSpec, limit: int | None = None) -> Contents:
    """A picture, or those of a folder and of all folders in it, sorted by name; hidden files are left out.

    Raises UsageError for a picture that is not of the model's kind, DataError for one that cannot be read.
    """
    if not spec.is_image or spec.shape[0] not in (1, 3):
        raise UsageError(f"the model is for {spec.describe()}, which are no pictures: give a .npy or .npz file")
    files, others = ([path], []) if path.is_file() else _listing(path)
    root = path if path.is_dir() else path.parent
    names = [file.relative_to(root).as_posix() for file in files[:limit]]
    names = [name if name.lower().endswith(".png") else f"{name}.png" for name in names]
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise UsageError(f"two pictures of {path} would come back as {twice}: rename one")
    read = [_read(file, spec) for file in files[:limit]]
    x, notes = _levels(np.stack([pixels for pixels, _ in read]), spec, path)
    bilevel = {"mode": "1"} if all(mode == "1" for _, mode in read) else {}
    return Contents(x, {}, {"names": names, **notes, **bilevel}, others)


def _listing(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures below a folder and the names of all else; raises UsageError where there are no pictures."""
    visible = set(things_below(folder))
    things = things_below(folder, hidden=True)
    pictures = [path for path in things if path in visible and claims_image(path) and path.is_file()]
    if not pictures:
        raise UsageError(f"{folder} holds no {', '.join(SUFFIXES)} pictures")
    kept = set(pictures)
    return pictures, [path.relative_to(folder).as_posix() for path in things if path not in kept]


def _read(file: Path, spec: DataSpec) -> tuple[np.ndarray, str]:
    """The pixels (C, H, W) of one file, and Pillow's name for their kind."""
    pixels, extras = read_pixels(file, spec), read_extras(file)
    if extras.frames > 1:
        raise UsageError(f"{file} has several frames, and only the first could be kept")
    if extras.transparent:
        raise UsageError(f"{file} is partly transparent, which the model knows nothing of; make it opaque")
    if extras.mode == "CMYK":
        raise UsageError(f"{file} is CMYK, and would come back as RGB; convert it first")
    return pixels, extras.mode


def _levels(pixels: np.ndarray, spec: DataSpec, root: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """8-bit pixels as levels: as they are, or spread over 0..255 as `simulacra sample` writes them."""
    if pixels.max() < spec.grid_levels:
        return pixels, {}
    x = np.rint(pixels * ((spec.grid_levels - 1) / BRIGHTEST)).astype(np.uint8)
    if not np.array_equal(_spread(x, spec), pixels):
        raise UsageError(
            f"{root} holds pixels that are none of the model's {spec.grid_levels} levels, and nothing is rounded here: "
            "bring them to these levels first, or fit a model of 256 levels"
        )
    return x, {"spread": True}


def _spread(x: np.ndarray, spec: DataSpec) -> np.ndarray:
    return np.rint(x.astype(np.float32) * (BRIGHTEST / (spec.grid_levels - 1))).astype(np.uint8)


def names_in(notes: dict[str, Any], n: int, where: str) -> list[str]:
    """The names of n pictures; [] for items that were none.

    Raises DataError for names that lead out of a folder, for all we know written by someone else.
    """
    names = notes.get("names", [])
    if not isinstance(names, list) or len(names) not in (0, n):
        raise DataError(f"{where} is malformed: it holds {n:,} items and not one name for each")
    for name in names:
        path = Path(name) if isinstance(name, str) else Path()
        if not path.parts or path.anchor or ".." in path.parts or "\0" in name or not _is_encodable(name):
            raise DataError(f"{where} is malformed: {name!r:.80} is no name of a picture")
    files = {Path(name) for name in names}  # `a.png` and `./a.png` are one
    if len(files) < len(names) or any(parent in files for path in files for parent in path.parents):
        raise DataError(f"{where} is malformed: two of its pictures have one name")
    return names


def _is_encodable(name: str) -> bool:
    try:
        return bool(os.fsencode(name))
    except UnicodeEncodeError:
        return False


def write_pictures(x: np.ndarray, names: Sequence[str], notes: dict[str, Any], spec: DataSpec, out: Path) -> None:
    """Pictures under their names in a new folder, all or none; or one picture, if `out` ends like one."""
    pixels = (_spread(x, spec) if notes.get("spread") else x).transpose(0, 2, 3, 1)
    images = (Image.fromarray(p if p.shape[2] == 3 else p[..., 0]) for p in pixels)
    encoded = (png(image.convert("1") if notes.get("mode") == "1" else image) for image in images)
    out.parent.mkdir(parents=True, exist_ok=True)
    if is_one_picture(out, names):
        write_atomically(out, next(encoded))
        return
    write_folder(out, zip(names, encoded, strict=True))


def is_one_picture(out: Path, names: Sequence[str]) -> bool:
    return len(names) == 1 and out.suffix.lower() == ".png"
