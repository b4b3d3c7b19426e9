"""From the batches of a source to the files of its cache, in two passes and little memory.

The first pass writes the items and all their fields as they come, and keeps of each a few numbers (a digest, its part,
and one for each field); these decide the splits. The second pass gathers the items into train | valid | test.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from simulacra.data.checks import check_alike, check_values, understood_spec
from simulacra.data.dataset import Altered, Unreadable
from simulacra.data.source import Batch, Encode, Fit, Source
from simulacra.data.spec import DataSpec
from simulacra.data.splits import SPLIT_SEED, SPLITS, digests, draw, sort_key, undivided
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.terminal import number_of


def build(source: Source, folder: Path) -> dict[str, Any]:
    """Writes x.npy (and label.npy, ...) into `folder` and returns the JSON-able rest: spec, counts, fingerprint...

    Raises DataError for content that contradicts itself or the grid, and when the disk is full.
    """
    batches = source.batches()
    first = next(batches, None)
    if first is None:
        raise DataError(f"{source.name} holds no items")
    item = sum(array[:1].nbytes for array in (first.x, *first.fields.values()) if len(array))
    with _room(folder, needed=source.count * 2 * item):
        items = _spool(source, chain([first], batches), folder)
        spec = understood_spec(source, items.x, items.largest, items.columns)
        arrays = {"x": items.x, **{name: items.columns[name] for name in spec.columns}}
        order = _order(source, items, [items.keys[name] for name in spec.columns])
        if "x" in items.fits and source.levels is not None:
            raise DataError(f"{source.name}: x is a map of classes, and these are its levels: leave out --levels")
        spec, changes = _fitted(items.fits, spec, arrays, order)
        fingerprint = _write(folder, spec, arrays, order, changes)
        for spool in folder.glob("*.spool"):
            spool.unlink()
    return {
        "name": source.name,
        "spec": spec.to_json(),
        "seed": SPLIT_SEED,
        "counts": {name: len(indices) for name, indices in order.items()},
        "bytes": {path.name: path.stat().st_size for path in folder.glob("*.npy")},
        "card": asdict(replace(source.card, sha256=source.sha256() or fingerprint)),
        "fingerprint": fingerprint,
        "unreadable": [asdict(entry) for entry in items.unreadable],
        "altered": [asdict(entry) for entry in items.altered],
        "duplicates": len(items.digest) - len(np.unique(items.digest)),
        "kind": source.kind,
        "remarks": [*source.remarks, *items.remarks, *_crossing(items.siblings, order)],
    }


def _order(source: Source, items: _Items, keys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    parts = items.indices_by_part()
    if source.whole:
        return undivided(parts)
    return draw(parts, items.digest, keys, source.fractions, list(items.siblings.values()))


def _fitted(
    fits: Mapping[str, Fit], spec: DataSpec, arrays: Mapping[str, np.ndarray], order: Mapping[str, np.ndarray]
) -> tuple[DataSpec, dict[str, Encode]]:
    """What the training items say of columns, or all items where none are for training; and the new values of these."""
    train = order["train"] if len(order["train"]) else np.concatenate(list(order.values()))
    found = {name: fit(name, arrays[name], train) for name, fit in fits.items()}
    fields = {name: own for name, (own, _) in found.items()}
    x = fields.pop("x", spec.x)
    return DataSpec(x, {**spec.condition, **fields}), {name: encode for name, (_, encode) in found.items()}


def _crossing(siblings: Mapping[str, np.ndarray], order: Mapping[str, np.ndarray]) -> list[str]:
    """Siblings in several splits, which only official ones can have."""
    remarks = []
    for name, key in siblings.items():
        _, times = np.unique(np.concatenate([np.unique(key[rows]) for rows in order.values()]), return_counts=True)
        if several := int((times > 1).sum()):
            found = number_of(several, "group")
            remarks.append(f"{found} of siblings ({name}) in several of train, valid and test, as they come")
    return remarks


def sync(file: IO[Any]) -> None:
    """Returns when the file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


@dataclass(frozen=True)
class _Items:
    """All items in the order of the source: x and the columns of fields on disk, a few numbers of each in memory."""

    x: np.ndarray
    columns: Mapping[str, np.ndarray]
    digest: np.ndarray  # (N,) uint64
    part: np.ndarray  # (N,) uint8, an index into SPLITS
    keys: Mapping[str, np.ndarray]  # (N,) of each column
    largest: float
    unreadable: tuple[Unreadable, ...]
    altered: tuple[Altered, ...]
    siblings: Mapping[str, np.ndarray]  # (N,) uint64 by what they are of
    fits: Mapping[str, Fit]
    remarks: tuple[str, ...]

    def indices_by_part(self) -> dict[str, np.ndarray]:
        indices = {name: np.flatnonzero(self.part == i) for i, name in enumerate(SPLITS)}
        return {name: found for name, found in indices.items() if len(found)}


@dataclass
class _Tally:
    """What `_spool` gathers, batch by batch."""

    digest: list[np.ndarray] = field(default_factory=list)
    part: list[np.ndarray] = field(default_factory=list)
    keys: dict[str, list[np.ndarray]] = field(default_factory=dict)
    siblings: dict[str, list[np.ndarray]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    altered: dict[str, Altered] = field(default_factory=dict)
    count: int = 0
    largest: float = 0.0

    def add(self, batch: Batch) -> None:
        self.digest.append(digests(batch.x))
        self.part.append(np.full(len(batch.x), SPLITS.index(batch.part), np.uint8))
        for name, values in batch.fields.items():
            self.keys.setdefault(name, []).append(sort_key(np.ascontiguousarray(values)))
        for name, key in batch.siblings.items():
            self.siblings.setdefault(name, []).append(key)
        self.remarks += batch.remarks
        self.unreadable += batch.unreadable
        for each in batch.altered:
            before = self.altered.get(each.reason)
            self.altered[each.reason] = replace(before, count=before.count + each.count) if before else each
        self.count += len(batch.x)
        self.largest = max(self.largest, float(batch.x.max(initial=0)))


def _spool(source: Source, batches: Iterable[Batch], folder: Path) -> _Items:
    """The first pass: every batch checked, digested and appended to the files of x and of each column."""
    tally, first = _Tally(), None
    with ExitStack() as files:
        spools: dict[str, IO[bytes]] = {}
        for batch in batches:
            first = first or batch
            check_alike(source, first, batch)
            check_values(source, batch.x, start=tally.count)
            tally.add(batch)
            for name, values in {"x": batch.x, **batch.fields}.items():
                if name not in spools:
                    spools[name] = files.enter_context((folder / f"{name}.spool").open("wb"))
                spools[name].write(np.ascontiguousarray(values).data)
    if first is None or not tally.count:
        raise DataError(f"{source.name} holds no items")

    def mapped(name: str, like: np.ndarray) -> np.ndarray:
        return np.memmap(folder / f"{name}.spool", like.dtype, "r", shape=(tally.count, *like.shape[1:]))

    return _Items(
        x=mapped("x", first.x),
        columns={name: mapped(name, values) for name, values in first.fields.items()},
        digest=np.concatenate(tally.digest),
        part=np.concatenate(tally.part),
        keys={name: np.concatenate(parts) for name, parts in tally.keys.items()},
        largest=tally.largest,
        unreadable=tuple(tally.unreadable),
        altered=tuple(tally.altered.values()),
        siblings={name: np.concatenate(parts) for name, parts in tally.siblings.items()},
        fits=first.fits,
        remarks=tuple(tally.remarks),
    )


def _write(
    folder: Path,
    spec: DataSpec,
    arrays: Mapping[str, np.ndarray],
    order: dict[str, np.ndarray],
    changes: Mapping[str, Encode],
) -> str:
    """The second pass: x.npy and the columns in the order of the splits; returns the fingerprint.

    Columns have the types that their fields say: that of a map of classes depends on the largest one.
    """
    counts = {name: len(indices) for name, indices in order.items()}
    fingerprint = hashlib.sha256(json.dumps([spec.to_json(), counts], sort_keys=True).encode())
    indices = np.concatenate(list(order.values()))
    types = {"x": arrays["x"].dtype} | {name: column.dtype for name, column in spec.columns.items()}
    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            # Plain writes, not a writable memory map: on a full disk those fail, and a memory map kills the process.
            header = {"descr": types[name].str, "fortran_order": False, "shape": (len(indices), *array.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in _gather(array, indices, types[name], changes.get(name)):
                fingerprint.update(rows.data)
                file.write(rows.data)
            sync(file)
    return fingerprint.hexdigest()


def _gather(
    array: np.ndarray, indices: np.ndarray, dtype: np.dtype, change: Encode | None = None
) -> Iterator[np.ndarray]:
    """array[indices] of this type, changed where they are to be, a few megabytes at a time."""
    step = max(1, CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(indices), step):
        rows = array[indices[start : start + step]]
        yield np.ascontiguousarray(rows if change is None else change(rows), dtype)


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
