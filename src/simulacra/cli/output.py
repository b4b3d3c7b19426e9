"""Items on disk: one picture, an array, or a folder of pictures, by the ending of the path."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from simulacra.cli.heard import refuse_heard, write_heard
from simulacra.data import DataSpec
from simulacra.data.arrays import description
from simulacra.errors import UsageError
from simulacra.fields import Classes, Sound, Text
from simulacra.files import write_arrays, write_atomically, write_folder
from simulacra.pictures import (
    class_colours,
    clips_gif,
    conditioned_picture,
    has_picture,
    picture,
    pixels,
    png,
    rows_picture,
    save_image,
)


def write_items(
    path: Path,
    items: np.ndarray,
    spec: DataSpec,
    fields: Mapping[str, np.ndarray],
    truth: np.ndarray | None = None,
) -> Path:
    """Write items (N, *shape) to a .png, behind the pictures and words that they are conditioned on and before the
    truth, clips to a .gif, a .npz (`x` and the fields) or a folder; sound and text as `write_heard` does; returns where
    they went.

    Raises UsageError as `refuse_place` does.
    """
    if path.suffix == ".npz":
        _write_described(path, items, spec, fields)
    elif isinstance(spec.x, Sound | Text):
        write_heard(path, items, spec.x)
    elif path.suffix == ".gif":
        refuse_place(path, spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, clips_gif(items, spec))
    elif path.suffix == ".png" and has_picture(spec):
        save_image(conditioned_picture(items, fields, spec, truth) if fields else picture(items, spec), path)
    elif path.suffix == ".png":
        path = path.with_suffix(".npz")
        _write_described(path, items, spec, fields)
    else:
        refuse_place(path, spec)
        write_folder(path, _files(items, spec))
    return path


def refuse_place(path: Path, spec: DataSpec) -> None:
    """Raise UsageError, before anything is drawn, for a path that `write_items` would not write to.

    A folder of items takes the place of another one; one that holds anything else stays as it is.
    """
    if path.suffix == ".npz":
        return
    if isinstance(spec.x, Sound | Text):
        refuse_heard(path, spec.x)
        return
    if path.suffix == ".png" or (path.suffix == ".gif" and spec.is_video):
        return
    if path.suffix or not (spec.is_image or spec.is_video):
        more = ", a .gif or a folder" if spec.is_video else " or a folder" if spec.is_image else ""
        raise UsageError(f"cannot write {path}: use a .png, a .npz{more}")
    if path.exists() and not (path.is_dir() and all(_is_item(each) for each in path.iterdir())):
        raise UsageError(f"{path} is there already and holds other things than items: name another folder")


def _files(items: np.ndarray, spec: DataSpec) -> Iterator[tuple[str, bytes]]:
    """Each item as a file of its own: a clip as a GIF, an image as a PNG."""
    if spec.is_video:
        return ((f"{i:06d}.gif", clips_gif(clip[None], spec)) for i, clip in enumerate(items))
    return ((f"{i:06d}.png", png(single)) for i, single in enumerate(_singles(items, spec)))


def _singles(items: np.ndarray, spec: DataSpec) -> Iterator[Image.Image]:
    """Items (N, C, H, W) as pictures of their own size; those of maps hold the classes, with a palette."""
    if isinstance(spec.x, Classes):
        for item in items:
            single = Image.fromarray(item[0].astype(np.uint8))
            single.putpalette(class_colours(spec.grid_levels).tobytes())
            yield single
        return
    for pixel in pixels(items, spec):
        yield Image.fromarray(pixel if spec.shape[0] == 3 else pixel[..., 0])


RECORD = ".translation.json"  # of a folder of answers: the names of its files


def answer_names(names: Sequence[str], n: int, each: int) -> list[str]:
    """The names of the files of n · each answers: those of the inputs, as .png; `name-2.png` of several answers.

    Of two inputs that differ in their ending alone it stays within the name; inputs without a name have numbers.
    """
    stems = [Path(name).stem for name in names] or [f"{i:06d}" for i in range(n)]
    stems = [name if stems.count(stem) > 1 else stem for name, stem in zip(names or stems, stems, strict=True)]
    return [f"{stem}-{k + 1}.png" if each > 1 else f"{stem}.png" for stem in stems for k in range(each)]


def write_answers(path: Path, answers: np.ndarray, spec: DataSpec, names: Sequence[str]) -> None:
    """Answers (N, K, *shape) as a folder of single pictures under these N · K names; raises UsageError as
    `refuse_answers` does."""
    refuse_answers(path, spec)
    record = json.dumps({"files": list(names)}).encode()
    singles = _singles(answers.reshape(-1, *spec.shape), spec)
    files = ((name, png(single)) for name, single in zip(names, singles, strict=True))
    write_folder(path, itertools.chain(files, [(RECORD, record)]))


def refuse_answers(path: Path, spec: DataSpec) -> None:
    """Raise UsageError, before anything is drawn, for a folder that `write_answers` would not write to.

    Answers take the place of answers alone: pictures under the same names may be the inputs, or the truth.
    """
    if path.suffix or not spec.is_image or spec.levels is None:
        pictured = spec.is_image and spec.levels is not None
        raise UsageError(f"cannot write {path}: use a {'.png, a .npz or a folder' if pictured else '.npz file'}")
    if not path.exists():
        return
    written = {RECORD, *_written(path)}
    if not path.is_dir() or any(entry.name not in written for entry in path.iterdir()):
        raise UsageError(f"{path} is there already and holds other things than answers: name another folder")


def _written(folder: Path) -> list[str]:
    """The names that an earlier `write_answers` gave its files in a folder."""
    try:
        return [str(name) for name in json.loads((folder / RECORD).read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _is_item(path: Path) -> bool:
    return re.fullmatch(r"\d{6,}\.(png|gif)", path.name) is not None and path.is_file()


def _write_described(path: Path, items: np.ndarray, spec: DataSpec, fields: Mapping[str, np.ndarray]) -> None:
    """`x` and the fields, and what they are, so that the file is read back as a data set as it is.

    A field that is called x itself, the usual items where another field is modelled, becomes `condition_x`.
    """
    others = {_beside_x(name): values for name, values in fields.items()}
    described = DataSpec(spec.x, {_beside_x(name): own for name, own in spec.condition.items()})
    whole = others.keys() == described.columns.keys()
    write_arrays(path, {"x": items, **others}, description(described) if whole else b"")


def _beside_x(name: str) -> str:
    return "condition_x" if name == "x" else name


def place(out: Path | None, run: Path, name: str, endings: Sequence[str]) -> Path:
    """Where to write: `out`, or a file in the run folder with the first of the endings.

    Raises UsageError for another ending, before anything is computed.
    """
    path = out or run / f"{name}{endings[0]}"
    if path.suffix not in endings:
        raise UsageError(f"cannot write {path}: use a {' or a '.join(endings)} file")
    return path


def picture_or_array(pictured: bool) -> tuple[str, ...]:
    return (".png", ".npz") if pictured else (".npz",)


def write_rows(
    path: Path, rows: np.ndarray, spec: DataSpec, captions: Sequence[str], headings: Sequence[str], **fields: np.ndarray
) -> None:
    """Rows of items (R, S, *shape): a picture with captions and headings, or the array `x` and the fields."""
    if path.suffix == ".npz":
        write_arrays(path, {"x": rows, **fields})
    else:
        save_image(rows_picture(rows, spec, captions, headings), path)
