"""Avatars: 6,000 drawn faces at 64×64 whose attributes are exact and were drawn independently of each other.

The set for arithmetic with attributes ("smiling with glasses - glasses"), for their translation, and for what a code
disentangles. They are drawings and no photographs, which a result made with them should say.

Read are images_64.npy.xz (N, 64, 64, 3) uint8, and attributes.npz: `split` (N,), 0 train, 1 valid, 2 test; `binary`
(N, K) of zeros and ones with `binary_names` (K,), each a field "no" or "yes"; and for each of `expression`, `hair` and
`skin` the classes (N,) and their names in `<field>_names`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simulacra.data.collected import LEVELS, Size, expect_rows, fitted, held, read_uint8
from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.data.splits import SPLITS
from simulacra.errors import DataError
from simulacra.fields import ClassLabel

CARD = Card(
    title="Avatars: drawn faces with exact attributes, 64×64",
    source="https://www.figma.com/community/file/829741575478342595, drawn by DiceBear's style micah",
    licence="CC BY 4.0; Avatar Illustration System by Micah Lanier, remixed by DiceBear",
)
SIDE, OPTIONS = 64, ("expression", "hair", "skin")


def avatars_source(size: Size = None) -> Source:
    """Raises DataError where a file is missing or damaged."""
    images, attributes = held("avatars", "images_64.npy.xz", "attributes.npz")
    with reading(attributes):
        split = as_labels(npz_array(attributes, "split").read(), _items(attributes), attributes)
        columns, fields = _attributes(attributes)
    if split.max(initial=0) >= len(SPLITS):
        raise DataError(f"{attributes}: the split {split.max()} is none; they are 0 to {len(SPLITS) - 1}")

    def batches() -> Iterator[Batch]:
        x = read_uint8(images, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
        expect_rows(images, len(x), len(split))
        for i, part in enumerate(SPLITS):
            rows = split == i
            if rows.any():
                own = {name: values[rows] for name, values in columns.items()}
                yield Batch(part, fitted(x[rows], size), own)

    return Source("avatars", CARD, len(split), batches, (images, attributes), (f"resize={size}",), LEVELS, dict(fields))


def _items(attributes: Path) -> int:
    return npz_array(attributes, "binary").shape[0]


def _attributes(path: Path) -> tuple[dict[str, np.ndarray], dict[str, ClassLabel]]:
    """The classes of every item by field, and what each field is."""
    binary = npz_array(path, "binary").read()
    names = [str(name) for name in npz_array(path, "binary_names").read()]
    if binary.ndim != 2 or binary.shape[1] != len(names):
        raise DataError(f"{path}: `binary` has shape {binary.shape}, and there are {len(names)} names of it")
    columns = {name: as_labels(binary[:, i], len(binary), path) for i, name in enumerate(names)}
    fields = {name: ClassLabel(2, ("no", "yes")) for name in names}
    for name in OPTIONS:
        words = tuple(str(word) for word in npz_array(path, f"{name}_names").read())
        columns[name] = as_labels(npz_array(path, name).read(), len(binary), f"{path}, {name}")
        fields[name] = ClassLabel(len(words), words)
    return columns, fields
