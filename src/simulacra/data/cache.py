"""Decode once: a folder in the user's cache holds a data set as arrays that are memory-mapped from then on.

    <cache>/data/<key>/x.npy       (train | valid | test, *shape), contiguous
                       label.npy   (train | valid | test,) int64; every column of the other fields alike
                       caption~all.npy   (of text with a vocabulary) the same by the words of all items
                       meta.json   the spec, the counts, the card, the fingerprint

A folder is written under a temporary name, synced and renamed, so that it is whole or absent whatever is killed and
however many processes write it at once. Its key holds everything that the content depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.build import ALL_WORDS, build, sync
from simulacra.data.dataset import Altered, Card, Dataset, Split, Unreadable
from simulacra.data.source import Source
from simulacra.data.spec import DataSpec
from simulacra.data.splits import SPLITS
from simulacra.errors import DataError, SimulacraError
from simulacra.fields import Tokens
from simulacra.files import read_regular
from simulacra.parts import as_part, to_json

VERSION = 6  # of the layout and of what `build` computes; a change makes every cache anew
TEMPORARY = ".building-"
KEY = r"[0-9a-f]{32}"  # the name of a folder in the cache
MOST = 1 << 28  # bytes of meta.json, which lists every file that was left out
STALE_SECONDS = 3600  # a builder writes all the time; one that has not for an hour is dead


def cache_root() -> Path:
    """$SIMULACRA_CACHE, else $XDG_CACHE_HOME/simulacra, else ~/.cache/simulacra."""
    if own := os.environ.get("SIMULACRA_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "simulacra"


def clean() -> tuple[int, int]:
    """Remove the data sets in the cache, and nothing else there; returns how many they were, and their bytes.

    What was downloaded stays. A process that has one of them open keeps it until it ends.
    """
    root, found, size = cache_root() / "data", 0, 0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.is_dir() and not folder.is_symlink() and re.fullmatch(KEY, folder.name):
            size += sum(path.stat().st_size for path in folder.iterdir())
            found += 1
            shutil.rmtree(folder)
    return found, size


def cached(source: Source) -> Dataset:
    """The data set of a source, from its cache if that is whole, else read, split and cached first.

    Raises DataError for bad content, and when the cache folder cannot be written or its disk is full.
    """
    root = cache_root() / "data"
    folder = root / _key(source)
    if (dataset := _open(folder)) is None:
        _publish(source, root, folder)
        dataset = _open(folder)
    if dataset is None:
        raise DataError(f"the cache {folder} does not stay as it was written; set $SIMULACRA_CACHE to another disk")
    return dataset


def _key(source: Source) -> str:
    fractions = [source.fractions.valid, source.fractions.test]
    fields = {name: to_json(field) for name, field in source.fields.items()}
    what = [VERSION, source.name, source.state(), source.options, source.levels, fields, fractions]
    what += ["whole"] * source.whole + list(source.learned)
    what += [] if source.x is None else [to_json(source.x)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _open(folder: Path) -> Dataset | None:
    """The data set in a folder of the cache, or None if it is missing, unfinished or truncated."""
    try:
        meta = json.loads(read_regular(folder / "meta.json", MOST))
        if any((folder / name).stat().st_size != size for name, size in meta["bytes"].items()):
            return None
        arrays = {name.removesuffix(".npy"): np.load(folder / name, mmap_mode="r") for name in meta["bytes"]}
        return _dataset(meta, arrays)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, SimulacraError):
        return None


def _dataset(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> Dataset:
    ends = np.cumsum([0, *(meta["counts"][name] for name in SPLITS)])
    spec, x = DataSpec.from_json(meta["spec"]), arrays["x"]
    all_words = {key: as_part("field", own, key) for key, own in meta["all_words"].items()}

    def split(name: str, part: slice) -> Split:
        columns = {column: arrays[column][part] for column in spec.columns}
        return Split(x[part], columns, name, {key: arrays[key + ALL_WORDS][part] for key in all_words})

    splits = {name: split(name, slice(start, end)) for name, start, end in zip(SPLITS, ends, ends[1:], strict=False)}
    return Dataset(
        name=meta["name"],
        spec=spec,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        card=Card(**meta["card"]),
        fingerprint=meta["fingerprint"],
        unreadable=tuple(Unreadable(**entry) for entry in meta["unreadable"]),
        altered=tuple(Altered(**entry) for entry in meta["altered"]),
        duplicates=meta["duplicates"],
        kind=meta["kind"],
        columns=tuple(meta["columns"]),
        remarks=tuple(meta["remarks"]),
        all_words={key: own for key, own in all_words.items() if isinstance(own, Tokens)},
    )


def _publish(source: Source, root: Path, folder: Path) -> None:
    """Builds in a temporary folder and renames it to `folder`; leaves nothing behind when it fails."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=root))
        try:
            meta = build(source, temporary)
            with (temporary / "meta.json").open("w") as file:
                json.dump(meta, file)
                sync(file)
            _rename(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"cannot write the cache in {root}: {reason}. Set $SIMULACRA_CACHE to another folder."
        ) from error


def _rename(temporary: Path, folder: Path) -> None:
    """Makes the cache visible. Another process may have been faster (its folder is as good), or left a damaged one."""
    try:
        temporary.rename(folder)
    except OSError:
        if _open(folder) is not None:
            return
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and needs no sync
        descriptor = os.open(folder.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def _sweep(root: Path) -> None:
    """Removes temporary folders of builders that were killed."""
    for folder in root.glob(f"{TEMPORARY}*"):
        with suppress(OSError):  # its builder may just have renamed it
            newest = max(path.stat().st_mtime for path in [folder, *folder.iterdir()])
            if time.time() - newest > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
