"""The sets that come with the package: real digits, two mixtures of Gaussians in the plane, and `shapes`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from simulacra.data.arrays import npz_source
from simulacra.data.dataset import Card
from simulacra.data.modes import Centres
from simulacra.data.source import Batch, Source
from simulacra.data.splits import Fractions
from simulacra.fields import ClassLabel

DIGITS = Card(
    title="UCI optical recognition of handwritten digits (its test set)",
    source="https://archive.ics.uci.edu/dataset/80, as distributed with scikit-learn",
    licence="CC BY 4.0",
    reference="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, "
    "1998, doi:10.24432/C50P49",
)
RING = Centres(tuple((2 * math.cos(k * math.pi / 4), 2 * math.sin(k * math.pi / 4)) for k in range(8)), 0.02)
GRID = Centres(tuple((x, y) for x in (-4.0, -2.0, 0.0, 2.0, 4.0) for y in (-4.0, -2.0, 0.0, 2.0, 4.0)), 0.05)
SEED = 1
COUNTS = {"train": 10_000, "valid": 2_000, "test": 2_000}


def digits_source() -> Source:
    """1,797 handwritten digits, 1×8×8 on 17 levels (the ink in each 4×4 block of a bitmap), 10 classes."""
    source = npz_source(Path(__file__).parent / "digits.npz", DIGITS)
    return replace(source, levels=17, fields={"label": ClassLabel(10)}, fractions=Fractions(valid=0.1, test=0.2))


def ring_source() -> Source:
    """8 Gaussians on a circle of radius 2, standard deviation 0.02; the label is the mode.

    The setting of Metz et al. 2017, "Unrolled generative adversarial networks".
    """
    return _mixture("ring", RING, "Metz et al., Unrolled generative adversarial networks, ICLR 2017")


def grid_source() -> Source:
    """25 Gaussians at {-4, -2, 0, 2, 4}², standard deviation 0.05; the label is the mode.

    The setting of Lin et al. 2018, "PacGAN: the power of two samples in generative adversarial networks".
    """
    return _mixture("grid", GRID, "Lin et al., PacGAN, NeurIPS 2018")


def _mixture(name: str, modes: Centres, reference: str) -> Source:
    centres, std = modes.array, modes.std

    def batches() -> Iterator[Batch]:
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random = np.random.RandomState(SEED)
        for part, count in COUNTS.items():
            label = random.randint(len(centres), size=count, dtype=np.int64)
            x = centres[label] + std * random.standard_normal((count, 2))
            yield Batch(part, x.astype(np.float32), {"label": label})

    return Source(
        name=name,
        card=Card(
            f"{len(centres)} Gaussians, standard deviation {std}",
            "generated from a fixed seed",
            "Apache-2.0",
            reference,
        ),
        count=sum(COUNTS.values()),
        batches=batches,
        options=(f"modes={len(centres)}", f"std={std}"),
        fields={"label": ClassLabel(len(centres))},
    )
