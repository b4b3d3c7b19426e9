"""CIFAR-10: 50,000 training and 10,000 test images of 3×32×32, ten classes.

The official *binary* version is read, packed or extracted: records of a label byte and 3,072 pixel bytes. The python
version is never read, because it is pickles. Where neither is found, a subset is accepted and named so: the whole test
set and 10,000 training images, `{train10k,test}_images.npy.xz` (N, 32, 32, 3) with `{train10k,test}_labels.npy`.
"""

from __future__ import annotations

import lzma
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.fetch import Remote, download, find, places
from simulacra.data.labels import as_labels
from simulacra.data.npy import NpyArray, npy_array
from simulacra.data.source import Batch, Source, reading, rows_of
from simulacra.data.splits import Fractions
from simulacra.data.streams import rows
from simulacra.errors import DataError
from simulacra.fields import ClassLabel
from simulacra.files import open_regular

ARCHIVE = Remote(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    digest="md5:c32a1d4ab5d03f1284b67883e8d87530",  # as published; we hold no copy from which to compute a sha256
    note=" (The python version, cifar-10-python.tar.gz, is pickles and is not read.)",
)
CARD = Card(
    title="CIFAR-10",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated; published freely for research, with the request to cite",
    reference="A. Krizhevsky, Learning multiple layers of features from tiny images, technical report, 2009",
)
SUBSET_CARD = replace(CARD, title="CIFAR-10, 10k subset: 10,000 of the 50,000 training images, the whole test set")
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
PART_OF_FILE = {"test_batch.bin": "test"} | {f"data_batch_{i}.bin": "train" for i in range(1, 6)}
RECORDS = 10_000  # in each of these files
SUBSET_FILES = {"train": "train10k", "test": "test"}


def cifar10_source() -> Source:
    folders = places("cifar10", "cifar-10", "CIFAR10", ".")
    if extracted := find(folders, "data_batch_1.bin", "cifar-10-batches-bin/data_batch_1.bin"):
        return _extracted(extracted.parent)
    if archive := find(folders, ARCHIVE.name):
        return _packed(archive)
    if subset := find(folders, "train10k_images.npy.xz"):
        return _subset(subset.parent)
    return _packed(download(ARCHIVE, folders[-1]))


def _extracted(folder: Path) -> Source:
    files = {folder / name: part for name, part in PART_OF_FILE.items()}

    def batches() -> Iterator[Batch]:
        for path, part in files.items():
            with reading(path), open_regular(path) as file:
                yield from _records(part, file, path)

    return _source("cifar10", CARD, batches, tuple(files), count=RECORDS * len(files))


def _packed(archive: Path) -> Source:
    def batches() -> Iterator[Batch]:
        read: set[str] = set()
        with reading(archive), open_regular(archive) as file, tarfile.open(fileobj=file, mode="r|gz") as members:
            for member in members:
                name = member.name.rpartition("/")[2]
                packed = members.extractfile(member) if name in PART_OF_FILE else None
                if packed is not None:
                    read.add(name)
                    yield from _records(PART_OF_FILE[name], packed, f"{archive}:{member.name}")
        if missing := PART_OF_FILE.keys() - read:
            raise DataError(f"{archive} lacks {', '.join(sorted(missing))}. Download it again.")

    return _source("cifar10", CARD, batches, (archive,), count=RECORDS * len(PART_OF_FILE))


def _subset(folder: Path) -> Source:
    images = {part: folder / f"{stem}_images.npy.xz" for part, stem in SUBSET_FILES.items()}
    labels = {part: folder / f"{stem}_labels.npy" for part, stem in SUBSET_FILES.items()}

    def batches() -> Iterator[Batch]:
        for part in SUBSET_FILES:
            yield from _subset_batches(part, images[part], labels[part])

    files = (*images.values(), *labels.values())
    return _source("cifar10-10k-subset", SUBSET_CARD, batches, files, count=2 * RECORDS)


def _source(
    name: str, card: Card, batches: Callable[[], Iterator[Batch]], files: tuple[Path, ...], count: int
) -> Source:
    """Validation is a tenth of the training images."""
    fields, valid = {"label": ClassLabel(len(CLASSES), CLASSES)}, Fractions(valid=0.1)
    return Source(name, card, count, batches, files, levels=256, fields=fields, fractions=valid)


def _records(part: str, file: IO[bytes], where: object) -> Iterator[Batch]:
    for records in rows(file, RECORDS, (1 + 3 * 32 * 32,), np.dtype(np.uint8), where):
        label = as_labels(records[:, 0], len(records), where)
        yield Batch(part, records[:, 1:].reshape(-1, *SHAPE), {"label": label})


def _subset_batches(part: str, images: Path, labels: Path) -> Iterator[Batch]:
    with reading(images):
        array = NpyArray.inspect(str(images), partial(lzma.open, images))
        if array.shape[1:] != (32, 32, 3) or array.dtype != np.uint8:
            raise DataError(f"{images} holds {array.dtype} {array.shape}; uint8 (N, 32, 32, 3) is read")
    with reading(labels):
        label = as_labels(npy_array(labels).read(), array.shape[0], labels)
    fields, start = {"label": label}, 0
    with reading(images):
        for chunk in array.chunks():
            yield Batch(part, chunk.transpose(0, 3, 1, 2), rows_of(fields, start, len(chunk)))
            start += len(chunk)
