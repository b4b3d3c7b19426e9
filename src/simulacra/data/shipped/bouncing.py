r"""Clips of a real digit that moves at a constant velocity and bounces off the sides of the picture.

The tile of a digit has its top left corner, in pixels (right, down), at

    p_t = fold(p_0 + v t),   fold(q) = L - |(q mod 2L) - L|,   t = 0 .. 15,

with L = 20, the room that a tile of 12 has in a picture of 32. Start and velocity are integers, so that every frame
holds the same pixels at another place: the motion is exact, and a sample's can be measured. The digits of a split are
those of the same split of `digits`.

In small, and with one digit, it is the setting of Srivastava, Mansimov, Salakhutdinov 2015, "Unsupervised learning of
video representations using LSTMs".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from simulacra.data.cache import cached
from simulacra.data.dataset import Split
from simulacra.data.images import resized
from simulacra.data.shipped import digits_source
from simulacra.data.source import Batch, Source
from simulacra.fields import ClassLabel, Real

FRAMES, SIDE, TILE = 16, 32, 12
ROOM = SIDE - TILE
FASTEST = 3  # pixels from a frame to the next, along either axis
SEED, TOGETHER = 1, 250
COUNTS = {"train": 3_000, "valid": 500, "test": 500}


def bouncing_source() -> Source:
    """4,000 clips, 16×1×32×32 on 256 levels, with the class, the start (2,) and the velocity (2,) of the digit."""
    below = digits_source()

    def batches() -> Iterator[Batch]:
        digits = cached(below)
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random = np.random.RandomState(SEED)
        for part, count in COUNTS.items():
            own, tiles = digits.split(part), tiles_of(digits.split(part))
            for _ in range(0, count, TOGETHER):
                yield _drawn(part, own, tiles, random)

    card = below.card
    return Source(
        name="bouncing",
        card=replace(card, title=f"clips of a digit that bounces, of {card.title}"),
        count=sum(COUNTS.values()),
        batches=batches,
        files=below.files,
        options=("version=1",),
        levels=256,
        fields={"label": ClassLabel(10), "start": Real((2,)), "velocity": Real((2,))},
    )


def path_of(start: np.ndarray, velocity: np.ndarray, frames: int = FRAMES) -> np.ndarray:
    """Where the tile is, (N, T, 2) pixels right and down, from its start and velocity (N, 2)."""
    straight = start[:, None] + velocity[:, None] * np.arange(frames)[:, None]
    return ROOM - np.abs(straight % (2 * ROOM) - ROOM)


def rendered(tiles: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Tiles (N, 12, 12) uint8 at integer places (N, T, 2) -> clips (N, T, 1, 32, 32)."""
    clips = np.zeros((*path.shape[:2], 1, SIDE, SIDE), np.uint8)
    for tile, places, clip in zip(tiles, path, clips, strict=True):
        for (left, top), frame in zip(places, clip, strict=True):
            frame[0, top : top + TILE, left : left + TILE] = tile
    return clips


def tiles_of(digits: Split) -> np.ndarray:
    """The digits (N, 1, 8, 8) on 17 levels, as tiles (N, 12, 12) uint8."""
    ink = np.asarray(digits.x)[:, 0] / np.float32(16)
    return np.stack([np.rint(255 * np.clip(resized(each, TILE, TILE), 0, 1)).astype(np.uint8) for each in ink])


def _drawn(part: str, digits: Split, tiles: np.ndarray, random: np.random.RandomState) -> Batch:
    """Some clips of one part: the digit, the start and the velocity are uniform; nothing stands still."""
    item = random.randint(len(tiles), size=TOGETHER)
    start = random.randint(ROOM + 1, size=(TOGETHER, 2))
    moving = [(x, y) for x in range(-FASTEST, FASTEST + 1) for y in range(-FASTEST, FASTEST + 1) if (x, y) != (0, 0)]
    velocity = np.array(moving)[random.randint(len(moving), size=TOGETHER)]
    fields = {
        "label": np.asarray(digits.field("label"))[item],
        "start": start.astype(np.float32),
        "velocity": velocity.astype(np.float32),
    }
    return Batch(part, rendered(tiles[item], path_of(start, velocity)), fields)
