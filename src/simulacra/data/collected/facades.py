"""Facades: 606 rectified photographs of house fronts and their maps of twelve classes, 128×128, as pix2pix splits them.

x is the photograph and `map` its map, whose classes have the names and colours of the original (`--target map` is the
way back). Published figures are of 256×256, so a result made with this set says which size it is of.

Read are photos_128.delta.npy.xz (N, 3, 128, 128) uint8, whose red and blue are stored less green, and all three as
differences along both axes, modulo 256; labels_128.npy.xz (N, 128, 128) uint8; and index.npz with `split` (N,) of
"train", "val" and "test", and `class_names`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulacra.data.collected import LEVELS, Size, expect_rows, fitted, held, read_uint8
from simulacra.data.dataset import Card
from simulacra.data.folder import PART_OF_FOLDER
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.data.splits import SPLITS
from simulacra.errors import DataError
from simulacra.fields import LabelMap

CARD = Card(
    title="CMP facades with their maps of classes, 128×128",
    source="https://cmp.felk.cvut.cz/~tylecr1/facade/, in the split of pix2pix",
    licence="none stated; published for research by the Center for Machine Perception, Prague, who ask to be cited",
    reference="R. Tyleček, R. Šára, Spatial pattern templates for recognition of objects with regular structure, 2013; "
    "P. Isola et al., Image-to-image translation with conditional adversarial networks, 2017",
)
SIDE = 128


def facades_source(size: Size = None) -> Source:
    """Raises DataError where a file is missing or damaged."""
    photos, maps, index = held("facades", "photos_128.delta.npy.xz", "labels_128.npy.xz", "index.npz")
    with reading(index):
        parts = [PART_OF_FOLDER.get(str(part), str(part)) for part in npz_array(index, "split").read()]
        classes = tuple(map(str, npz_array(index, "class_names").read()))
    if unknown := set(parts) - set(SPLITS):
        raise DataError(f"{index}: the split {min(unknown)!r} is none of train, val and test")

    def batches() -> Iterator[Batch]:
        x, own = undone(read_uint8(photos, 3, SIDE, SIDE)), read_uint8(maps, SIDE, SIDE)
        expect_rows(photos, len(x), len(parts))
        expect_rows(maps, len(own), len(parts))
        for part in SPLITS:
            rows = np.array(parts) == part
            if rows.any():
                map_of = fitted(own[rows][:, None], size, nearest=True)[:, 0]
                yield Batch(part, fitted(x[rows], size), {"map": map_of})

    fields = {"map": LabelMap(len(classes), size or (SIDE, SIDE), classes)}
    return Source("facades", CARD, len(parts), batches, (photos, maps, index), (f"resize={size}",), LEVELS, fields)


def undone(differences: np.ndarray) -> np.ndarray:
    """Photographs (N, 3, H, W) from their differences along both axes, with red and blue less green."""
    x = differences.cumsum(2, dtype=np.uint8).cumsum(3, dtype=np.uint8)
    x[:, [0, 2]] += x[:, [1]]
    return x
