"""From the batches of a source to the files of its cache, in two passes and little memory.

The first pass writes the items and all their fields as they come, and keeps of each a few numbers (a digest, its part,
and one for each field); these decide the splits. The second pass gathers the items into train | valid | test, with
words and names of classes numbered by those of the training part.
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
from simulacra.data.splits import SPLIT_SEED, SPLITS, TooFew, digests, draw, groups, sort_key, undivided
from simulacra.data.streams import CHUNK_BYTES
from simulacra.data.vocabulary import Refit, only_elsewhere, refitted
from simulacra.errors import DataError
from simulacra.fields import Column
from simulacra.parts import to_json
from simulacra.terminal import number_of

ALL_WORDS = "~all"  # what a column of text by the words of all items is called behind its name, which no field can be


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
        kept = {name: items.columns[name] for name in spec.columns}
        order = _order(source, items, [items.keys[name] for name in kept])
        if "x" in items.fits and source.levels is not None:
            raise DataError(f"{source.name}: x is a map of classes, and these are its levels: leave out --levels")
        if source.learned and not source.whole:
            order = _with_every_class(source, spec, items, order)
        arrays = {"x": items.x, **kept}
        refit = _fitted(items.fits, refitted(spec, source.learned, kept, order), arrays, order)
        fingerprint = _write(folder, refit, arrays, order)
        for spool in folder.glob("*.spool"):
            spool.unlink()
    return {
        "name": source.name,
        "spec": refit.spec.to_json(),
        "all_words": {key: to_json(own) for key, own in refit.all_words.items()},
        "seed": SPLIT_SEED,
        "counts": {name: len(indices) for name, indices in order.items()},
        "bytes": {path.name: path.stat().st_size for path in folder.glob("*.npy")},
        "card": asdict(replace(source.card, sha256=source.sha256() or fingerprint)),
        "fingerprint": fingerprint,
        "unreadable": [asdict(entry) for entry in items.unreadable],
        "altered": [asdict(entry) for entry in items.altered + refit.altered],
        "duplicates": len(items.digest) - len(np.unique(items.digest)),
        "kind": source.kind,
        "columns": source.columns,
        "remarks": [*source.remarks, *items.remarks, *_crossing(items.siblings, order)],
    }


def _order(source: Source, items: _Items, keys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    parts = items.indices_by_part()
    if source.whole:
        return undivided(parts)
    return draw(parts, items.digest, keys, source.fractions, list(items.siblings.values()))


def _fitted(
    fits: Mapping[str, Fit], refit: Refit, arrays: Mapping[str, np.ndarray], order: Mapping[str, np.ndarray]
) -> Refit:
    """The same with what the training items, or all items where none are for training, say of further columns."""
    train = order["train"] if len(order["train"]) else np.concatenate(list(order.values()))
    found = {name: fit(name, arrays[name], train) for name, fit in fits.items()}
    fields = {name: own for name, (own, _) in found.items()}
    spec = DataSpec(fields.pop("x", refit.spec.x), {**refit.spec.condition, **fields})
    return replace(refit, spec=spec, changes={**refit.changes, **{name: encode for name, (_, encode) in found.items()}})


def _crossing(siblings: Mapping[str, np.ndarray], order: Mapping[str, np.ndarray]) -> list[str]:
    """Siblings in several splits, which only official ones can have."""
    remarks = []
    for name, key in siblings.items():
        _, times = np.unique(np.concatenate([np.unique(key[rows]) for rows in order.values()]), return_counts=True)
        if several := int((times > 1).sum()):
            found = number_of(several, "group")
            remarks.append(f"{found} of siblings ({name}) in several of train, valid and test, as they come")
    return remarks


def _with_every_class(source: Source, spec: DataSpec, items: _Items, order: dict[str, np.ndarray]) -> dict[str, Any]:
    """The same, but that an item which was drawn for validation or test, and has a class that no training item has, is
    a training item, with all that equal it. Raises TooFew where that leaves none of them."""
    learned = {name: own for name, own in spec.condition.items() if name in source.learned}
    found = [only_elsewhere(name, own, items.columns, order) for name, own in learned.items()]
    drawn = items.part == SPLITS.index("train")
    alone = np.concatenate([np.zeros(0, np.int64), *found])
    group = groups(items.digest, list(items.siblings.values()))
    moved = drawn & np.isin(group, group[alone[drawn[alone]]])
    kept = {name: order[name][~moved[order[name]]] for name in SPLITS[1:]}
    if not moved.any():
        return order
    if empty := [name for name, rows in kept.items() if not len(rows)]:
        raise TooFew(
            f"{source.name}: each of its {empty[0]} items has a class that no other item has; more items are needed"
        )
    others = [order[name][moved[order[name]]] for name in SPLITS[1:]]
    return {"train": np.concatenate([order["train"], *others]), **kept}


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


def _write(folder: Path, refit: Refit, arrays: Mapping[str, np.ndarray], order: dict[str, np.ndarray]) -> str:
    """The second pass: x.npy and the columns in the order of the splits; returns the fingerprint.

    Columns have the types that their fields say: that of a map of classes depends on the largest one.
    """
    counts = {name: len(indices) for name, indices in order.items()}
    fingerprint = hashlib.sha256(json.dumps([refit.spec.to_json(), counts], sort_keys=True).encode())
    indices = np.concatenate(list(order.values()))
    x = arrays["x"]
    columns = {"x": Column(x.shape[1:], x.dtype)} | refit.spec.columns
    written = {key: (arrays[key], column, refit.changes.get(key)) for key, column in columns.items()}
    for key in refit.all_words:
        written[key + ALL_WORDS] = (arrays[key], Column(arrays[key].shape[1:], arrays[key].dtype), None)
    for name, (array, column, change) in written.items():
        with (folder / f"{name}.npy").open("wb") as file:
            # Plain writes, not a writable memory map: on a full disk those fail, and a memory map kills the process.
            header = {"descr": column.dtype.str, "fortran_order": False, "shape": (len(indices), *column.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for rows in _gather(array, indices, column.dtype, change):
                fingerprint.update(rows.data)
                file.write(rows.data)
            sync(file)
    return fingerprint.hexdigest()


def _gather(array: np.ndarray, indices: np.ndarray, dtype: np.dtype, change: Encode | None) -> Iterator[np.ndarray]:
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
