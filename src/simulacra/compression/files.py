"""From a source to bytes, and from bytes to what it was: a data set's split, pictures, or arrays.

Of a path everything is taken, in order: nothing is drawn, split or left out. What its items were called, and how their
values were stored, is noted beside them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulacra.capabilities import Density, can
from simulacra.compression.arrays import as_stored, read_arrays
from simulacra.compression.codec import coded, decode, read, scheme_of
from simulacra.compression.container import unpack
from simulacra.compression.contents import Contents
from simulacra.compression.others import others
from simulacra.compression.pictures import is_one_picture, names_in, read_pictures, write_pictures
from simulacra.data import Dataset, DataSpec, names
from simulacra.data.idx import idx_batches, is_idx, labels_beside
from simulacra.data.images import SUFFIXES
from simulacra.errors import UsageError
from simulacra.fields import Sound, Text
from simulacra.files import write_arrays, write_atomically
from simulacra.model import Model, ModelLike, as_model
from simulacra.verbs import DataLike, data_of


@dataclass(frozen=True)
class Compressed:
    """What `compress_file` made: the file, its items, its size, and that as bits a sub-pixel, header included.

    parts:    of what bits_per_dim is the sum: the `items` themselves, which is what `score` says of them, their
              `classes`, the `header`, `notes` (names) and the `coding`; see `simulacra.compression.codec.Coded`.
    kind:     of the items' part: "exact" or "bound".
    left_out: names of what lies in the source too and is not in the file.
    others:   bits a sub-pixel of general coders on the same items, {} for more than a million sub-pixels.
    """

    out: str
    n: int
    bytes: int
    bits_per_dim: float
    parts: dict[str, float]
    kind: str
    left_out: tuple[str, ...]
    others: dict[str, float]


def compress_file(
    model: ModelLike,
    source: DataLike | None,
    out: str | os.PathLike[str],
    split: str | None = None,
    limit: int | None = None,
) -> Compressed:
    """Write a data set, pictures or an array to a `.sim` file.

    Args:
        model: an autoregressive model of data on a grid, or one with codes and a bound; or its run folder.
        source: a data set or its name, or None for that of the run; or the path of a folder of pictures, of one
            picture, or of an idx, `.npy` or `.npz` file.
        out: the file, replaced in one step.
        split: of a data set: "train", "valid", "test" (which is also what None means) or "all". A path of which a split
            is named is a data set, read by the recipe of the run; else all of it is kept as it is.
        limit: only the first so many items.

    Raises:
        NotSupported: the model is no chain of conditional masses, and has no codes that can be coded.
        UsageError: a model with a condition that is no class, items that are not of its kind, a source that is not
            there, an `out` of another ending.
        DataError: a source that cannot be read.
    """
    model, out = as_model(model), Path(out)
    if out.suffix != ".sim":
        raise UsageError(f"compressed items go to a .sim file, not to {out}")
    if limit is not None and limit < 1:
        raise UsageError(f"at least one item is needed, not limit = {limit}")
    scheme_of(model)
    found = contents(source, model, split, limit)
    complete = len(found.fields) == len(model.spec.condition)
    made = coded(model, found.x, found.fields if complete else None, found.notes)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, made.data)
    values, names = len(found.x) * model.spec.dims, ("items", "classes", "header", "notes", "coding")
    parts = {name: getattr(made, name) / values for name in names}
    bits, kind = 8 * len(made.data) / values, "exact" if can(model, Density) else "bound"
    compared = others(found.x, model.spec)
    return Compressed(str(out), len(found.x), len(made.data), bits, parts, kind, tuple(found.left_out), compared)


def decompress_file(model: ModelLike, path: str | os.PathLike[str], out: str | os.PathLike[str]) -> int:
    """Write what a `.sim` file holds; returns the number of items.

    Args:
        model: the one that it was made with, or its run folder.
        path: the `.sim` file.
        out: a folder for pictures, which must be new or empty, or a `.png` for a single one; a `.npz` for arrays (`x`
            and the fields of the condition) or pictures (as levels), or a `.npy` for items without a condition. A file
            that is there already is not replaced.

    Raises:
        UsageError: another model, no such file, or an `out` that does not suit what the file holds.
        DataError: the file is damaged, or cannot be decoded on this machine. Nothing is written then.
    """
    model, out, (data, where) = as_model(model), Path(out), read(path)
    header, _ = unpack(data, where)
    called = names_in(dict(header.notes), header.n, where)
    _check_place(out, called, header.labelled, where)
    x, fields, notes = decode(model, data, where)
    if out.suffix in (".npy", ".npz"):
        write_arrays(out, {"x": as_stored(x, notes, where), **fields})
    else:
        write_pictures(x, called, notes, model.spec, out)
    return header.n


def contents(source: DataLike | None, model: Model, split: str | None, limit: int | None) -> Contents:
    """The items that are meant; raises UsageError or DataError as `compress_file` does."""
    spec, named = model.spec, isinstance(source, str) and source in names()
    is_path = isinstance(source, str | os.PathLike) and not named and Path(source).expanduser().exists()
    if not is_path or split is not None:
        return _of_data_set(data_of(model, source), spec, split or "test", limit)
    path = Path(str(source)).expanduser()
    if isinstance(spec.x, Sound | Text) and path.suffix not in (".npy", ".npz"):
        raise UsageError(
            f"{path} is read as pieces of one length: --split all compresses what the recipe of the run makes of it"
        )
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        return _as_they_are(path, model, limit)
    if path.suffix not in (".npy", ".npz") and is_idx(path):
        return _of_idx(path, spec).first(limit)
    if path.suffix not in (".npy", ".npz"):
        raise UsageError(f"{path} is neither a picture, idx, .npy nor .npz, nor a folder of pictures")
    return read_arrays(path, spec).first(limit)


def _as_they_are(path: Path, model: Model, limit: int | None) -> Contents:
    """Pictures; where their size is not that of the model, which has a recipe for that, the refusal says so."""
    try:
        return read_pictures(path, model.spec, limit)
    except UsageError as error:
        origin = getattr(model, "origin", None)
        steps = None if origin is None else origin.recipe.resize
        if steps is None or not path.is_dir():
            raise
        mend = "--split all compresses what the recipe of the run makes of them"
        raise UsageError(f"{error}; pictures are kept as they are, without loss: {mend}") from None


def _of_data_set(data: Dataset, spec: DataSpec, split: str, limit: int | None) -> Contents:
    parts = data.splits if split == "all" else (data.split(split),)
    present = [name for name in spec.condition if all(name in part.condition for part in parts)]
    fields = {name: np.concatenate([part.condition[name][:limit] for part in parts]) for name in present}
    return Contents(np.concatenate([part.x[:limit] for part in parts]), fields).first(limit)


def _of_idx(path: Path, spec: DataSpec) -> Contents:
    batches = list(idx_batches("train", path, labels_beside(path)))
    known = [name for name in spec.condition if all(name in batch.fields for batch in batches)]
    fields = {name: np.concatenate([batch.fields[name] for batch in batches]) for name in known}
    return Contents(np.concatenate([batch.x for batch in batches]), fields)


def _check_place(out: Path, called: list[str], labelled: bool, where: str) -> None:
    """Before anything is decoded: whether the items can go there."""
    if out.is_file():
        raise UsageError(f"{out} is there already, and is not replaced: remove it, or name another file")
    if out.suffix == ".npy" and labelled:
        raise UsageError(f"{where} holds a condition beside the items: write both to a .npz file, not to {out}")
    if out.suffix in (".npy", ".npz") or is_one_picture(out, called):
        return
    if not called:
        raise UsageError(f"{where} holds arrays: write them to a .npz or .npy file, not to {out}")
    if out.suffix.lower() in SUFFIXES:
        raise UsageError(f"{where} holds {len(called):,} pictures: name a folder for them, not {out}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and is not empty: name another folder for the pictures")
