"""From the batches of a source to the files of its cache, in two passes and little memory.

The first pass writes the items as they come and keeps 24 bytes of each (digest, label, part); these tell the splits.
The second pass gathers the items into train | valid | test.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from simulacra.data.checks import check_alike, check_values, understood_spec
from simulacra.data.dataset import Unreadable
from simulacra.data.source import Batch, Source
from simulacra.data.spec import DataSpec
from simulacra.data.splits import SPLIT_SEED, SPLITS, digests, draw
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError


def build(source: Source, folder: Path) -> dict[str, Any]:
    """Writes x.npy (and label.npy, ...) into `folder` and returns the JSON-able rest: spec, counts, fingerprint...

    Raises DataError for content that contradicts itself or the grid, and when the disk is full.
    """
    batches = source.batches()
    first = next(batches, None)
    if first is None:
        raise DataError(f"{source.name} holds no items")
    with _room(folder, needed=source.count * 2 * (first.x[:1].itemsize * math.prod(first.x.shape[1:]) + 8)):
        items = _spool(source, chain([first], batches), folder / "spool")
        spec = understood_spec(source, items.x, items.largest, items.fields)
        order = draw(items.indices_by_part(), items.digest, list(items.fields.values()), source.fractions)
        fingerprint = _write(folder, spec, items, order)
    return {
        "name": source.name,
        "spec": spec.to_json(),
        "seed": SPLIT_SEED,
        "counts": {name: len(indices) for name, indices in order.items()},
        "bytes": {path.name: path.stat().st_size for path in folder.glob("*.npy")},
        "card": asdict(replace(source.card, sha256=source.sha256() or fingerprint)),
        "fingerprint": fingerprint,
        "unreadable": [asdict(entry) for entry in items.unreadable],
        "duplicates": len(items.digest) - len(np.unique(items.digest)),
    }


def sync(file: IO[Any]) -> None:
    """Returns when the file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@dataclass(frozen=True)
class _Items:
    """All items in the order of the source: x (N, *shape) on disk, the rest in memory."""

    x: np.ndarray
    digest: np.ndarray  # (N,) uint64
    part: np.ndarray  # (N,) uint8, an index into SPLITS
    fields: Mapping[str, np.ndarray]  # (N,) int64 each
    largest: float
    unreadable: tuple[Unreadable, ...]

    def indices_by_part(self) -> dict[str, np.ndarray]:
        indices = {name: np.flatnonzero(self.part == i) for i, name in enumerate(SPLITS)}
        return {name: found for name, found in indices.items() if len(found)}


@dataclass
class _Tally:
    """What `_spool` gathers, batch by batch."""

    digest: list[np.ndarray] = field(default_factory=list)
    part: list[np.ndarray] = field(default_factory=list)
    fields: list[Mapping[str, np.ndarray]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    count: int = 0
    largest: float = 0.0

    def add(self, batch: Batch) -> None:
        self.digest.append(digests(batch.x))
        self.part.append(np.full(len(batch.x), SPLITS.index(batch.part), np.uint8))
        self.fields.append(batch.fields)
        self.unreadable += batch.unreadable
        self.count += len(batch.x)
        self.largest = max(self.largest, float(batch.x.max(initial=0)))


def _spool(source: Source, batches: Iterable[Batch], path: Path) -> _Items:
    """The first pass: every batch checked, digested and appended to the file `path`."""
    tally = _Tally()
    first: Batch | None = None
    with path.open("wb") as file:
        for batch in batches:
            first = first or batch
            check_alike(source, first, batch)
            check_values(source, batch.x, start=tally.count)
            tally.add(batch)
            file.write(np.ascontiguousarray(batch.x).data)
    if first is None or not tally.count:
        raise DataError(f"{source.name} holds no items")
    return _Items(
        x=np.memmap(path, first.x.dtype, "r", shape=(tally.count, *first.x.shape[1:])),
        digest=np.concatenate(tally.digest),
        part=np.concatenate(tally.part),
        fields={name: np.concatenate([fields[name] for fields in tally.fields]) for name in first.fields},
        largest=tally.largest,
        unreadable=tuple(tally.unreadable),
    )


def _write(folder: Path, spec: DataSpec, items: _Items, order: dict[str, np.ndarray]) -> str:
    """The second pass: x.npy and the fields in the order of the splits; returns the fingerprint."""
    counts = {name: len(indices) for name, indices in order.items()}
    fingerprint = hashlib.sha256(json.dumps([spec.to_json(), counts], sort_keys=True).encode())
    indices = np.concatenate(list(order.values()))
    for name, array in {"x": items.x, **items.fields}.items():
        with (folder / f"{name}.npy").open("wb") as file:
            # Plain writes, not a writable memory map: on a full disk those fail, and a memory map kills the process.
            header = {"descr": array.dtype.str, "fortran_order": False, "shape": (len(indices), *array.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in _gather(array, indices):
                fingerprint.update(rows.data)
                file.write(rows.data)
            sync(file)
    (folder / "spool").unlink()
    return fingerprint.hexdigest()


def _gather(array: np.ndarray, indices: np.ndarray) -> Iterator[np.ndarray]:
    """array[indices], a few megabytes at a time."""
    step = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(indices), step):
        yield np.ascontiguousarray(array[indices[start : start + step]])


@contextmanager
def _room(folder: Path, needed: int) -> Iterator[None]:
    """Refuses early when the disk has less than `needed` bytes; says the same if it fills up on the way."""
    root = folder.parent
    message = f"no space in {root}: building the cache needs {needed:,} bytes. Set $SIMULACRA_CACHE to a larger disk."
    if shutil.disk_usage(root).free < needed:
        raise DataError(message)
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(message) from error
        raise
