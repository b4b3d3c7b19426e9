"""Horses and zebras: 1,000 training and 260 test photographs at 128×128, for translation without pairs.

A subset of the set of CycleGAN at half its size, which a result made with it should say. `domain` is what a photograph
shows; a model of two domains is a model of labelled data. The test part is the official one, whole.

Read is horse2zebra_128.npz with `jpeg` (B,) uint8, all files one after the other, `offsets` (N + 1,), `domain` (N,), 0
horse, 1 zebra, and `is_test` (N,) bool.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simulacra.data.collected import LEVELS, Size, fitted, held
from simulacra.data.dataset import Card
from simulacra.data.images import UnreadableImage, decode_bytes
from simulacra.data.labels import as_labels
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.errors import DataError
from simulacra.fields import ClassLabel

CARD = Card(
    title="Horses and zebras, a subset at 128×128",
    source="https://github.com/junyanz/CycleGAN, photographs of ImageNet",
    licence="rights with the photographers; published for non-commercial research and education",
    reference="J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, Unpaired image-to-image translation using cycle-consistent "
    "adversarial networks, 2017",
)
SIDE, DOMAINS = 128, ("horse", "zebra")


def horse2zebra_source(size: Size = None) -> Source:
    """Raises DataError where the file is missing or damaged."""
    (file,) = held("horse2zebra", "horse2zebra_128.npz")
    with reading(file):
        offsets, is_test = npz_array(file, "offsets").read(), npz_array(file, "is_test").read().astype(bool)
        domain = as_labels(npz_array(file, "domain").read(), len(is_test), file)
    if domain.max(initial=0) >= len(DOMAINS) or len(offsets) != len(domain) + 1 or (np.diff(offsets) <= 0).any():
        raise DataError(f"{file}: `offsets` and `domain` are not those of {len(is_test)} photographs of two domains")

    def batches() -> Iterator[Batch]:
        x = _photographs(file, offsets)
        for part, rows in (("train", ~is_test), ("test", is_test)):
            if rows.any():
                yield Batch(part, fitted(x[rows], size), {"domain": domain[rows]})

    fields = {"domain": ClassLabel(len(DOMAINS), DOMAINS)}
    return Source("horse2zebra", CARD, len(domain), batches, (file,), (f"resize={size}",), LEVELS, fields)


def _photographs(file: Path, offsets: np.ndarray) -> np.ndarray:
    """All of them, (N, 3, 128, 128) uint8."""
    with reading(file):
        content = npz_array(file, "jpeg").read().tobytes()
    found = np.empty((len(offsets) - 1, 3, SIDE, SIDE), np.uint8)
    for i, (begin, end) in enumerate(itertools.pairwise(offsets)):
        try:
            found[i] = decode_bytes(content[begin:end], SIDE, SIDE)
        except UnreadableImage as error:
            raise DataError(f"{file}: photograph {i} cannot be read: {error}") from error
    return found
