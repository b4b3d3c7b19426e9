"""Quick, Draw!: 20,000 sketches in white on black, 28×28, in eight classes of different sizes.

Read are images_28.npy.xz (N, 28, 28) uint8, and labels.npz with `labels` (N,) and `class_names`. Splits are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulacra.data.collected import LEVELS, Size, expect_rows, fitted, held, read_uint8
from simulacra.data.dataset import Card
from simulacra.data.labels import as_labels
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.fields import ClassLabel

CARD = Card(
    title="Quick, Draw! sketches in eight classes, 28×28",
    source="https://github.com/googlecreativelab/quickdraw-dataset",
    licence="CC BY 4.0",
    reference="J. Jongejan et al., The Quick, Draw! dataset, 2016; D. Ha, D. Eck, A neural representation of sketch "
    "drawings, 2018",
)
SIDE = 28


def quickdraw_source(size: Size = None) -> Source:
    """Raises DataError where a file is missing or damaged."""
    images, labels = held("quickdraw", "images_28.npy.xz", "labels.npz")
    with reading(labels):
        names = tuple(str(name) for name in npz_array(labels, "class_names").read())
        stored = npz_array(labels, "labels").read()
        label = as_labels(stored, len(stored), labels)

    def batches() -> Iterator[Batch]:
        x = read_uint8(images, SIDE, SIDE)[:, None]
        expect_rows(images, len(x), len(label))
        yield Batch("train", fitted(x, size), {"label": label})

    fields = {"label": ClassLabel(len(names), names)}
    return Source("quickdraw", CARD, len(label), batches, (images, labels), (f"resize={size}",), LEVELS, fields)
