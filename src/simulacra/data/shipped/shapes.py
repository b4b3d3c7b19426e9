r"""Shapes with five known factors of variation, for measures of disentanglement.

Every combination of shape, scale, orientation, row and column, once: an inked outline on 64×64 fine pixels, whose level
at a pixel is the count of those that are inked among the 4×4 beneath it. The idea is that of dSprites (Matthey et al.
2017), in small, and without its ambiguity: there a square looks the same four times a turn; no outline here is
symmetric under a rotation, so that the picture determines the orientation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source
from simulacra.data.splits import Fractions
from simulacra.fields import ClassLabel

SIDE, FINE = 16, 4
SCALES = (2.41, 3.17, 3.93)  # radii in pixels; odd numbers, so that no fine pixel lies on an outline
ORIENTATIONS = 8  # eighths of a turn
PLACES = 8  # of the centre, one pixel apart, along either axis
NAMES = ("triangle", "half disc", "L")
ORDINALS = {"scale": len(SCALES), "orientation": ORIENTATIONS, "row": PLACES, "column": PLACES}
CARD = Card(
    title="shapes of three kinds, three scales, eight orientations, at 8×8 places",
    source="generated: every combination of the factors once",
    licence="Apache-2.0",
    reference="after Matthey, Higgins, Hassabis, Lerchner, dSprites: disentanglement testing sprites dataset, 2017",
)


def shapes_source() -> Source:
    """4,608 shapes, 1×16×16 on 17 levels, with the fields shape, scale, orientation, row and column."""

    def batches() -> Iterator[Batch]:
        yield Batch("train", *shapes())

    count = len(NAMES) * int(np.prod(list(ORDINALS.values())))
    return Source(
        name="shapes",
        card=CARD,
        count=count,
        batches=batches,
        options=("version=1",),
        levels=FINE**2 + 1,
        fields={"shape": ClassLabel(len(NAMES), NAMES)} | {name: ClassLabel(n) for name, n in ORDINALS.items()},
        fractions=Fractions(valid=0.1, test=0.2),
    )


def shapes() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All items (4608, 1, 16, 16) uint8, the last factor varying fastest, and their factors, (4608,) int64 each."""
    counts = (len(NAMES), *ORDINALS.values())
    factors = np.indices(counts).reshape(len(counts), -1)
    x = np.stack([_pixels(*item) for item in factors.T])
    return x[:, None], dict(zip(("shape", *ORDINALS), factors.astype(np.int64), strict=True))


def _pixels(shape: int, scale: int, orientation: int, row: int, column: int) -> np.ndarray:
    """One picture, (16, 16) uint8."""
    fine = (np.arange(SIDE * FINE) + 0.5) / FINE
    first = (SIDE - PLACES + 1) / 2  # the centres lie in the middle of the picture
    down, right = np.meshgrid(fine - first - row, fine - first - column, indexing="ij")
    cos, sin = _eighth(orientation), _eighth(orientation - 2)
    u, v = (cos * right + sin * down) / SCALES[scale], (cos * down - sin * right) / SCALES[scale]
    inked = _INSIDE[shape](u, v)
    return inked.reshape(SIDE, FINE, SIDE, FINE).sum(axis=(1, 3)).astype(np.uint8)


def _eighth(turns: int) -> float:
    """The cosine of so many eighths of a turn, rounded nowhere but in √½."""
    return (1.0, 0.5**0.5, 0.0, -(0.5**0.5))[turns % 4] * (1 if turns % 8 < 4 else -1)


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Narrow, with its tip at v = -1."""
    return (v < 0.8) & (v + 1 > 2.7 * np.abs(u))


def _half_disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u**2 + v**2 < 1) & (v < 0.13)


def _l(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A long stem and a short foot."""
    inside = (np.abs(u) < 0.57) & (np.abs(v) < 0.83)
    return inside & ((u < -0.07) | (v > 0.29))


_INSIDE = (_triangle, _half_disc, _l)
