r"""Whether samples of `bouncing` move by its law: a constant velocity, and reflection at the sides.

    ink        the values of a frame from a fourth of the range up; all others are none
    one digit  at least 95 % of a frame's ink lies in one square of 12×12, and it is as much as a digit has: from 4/5 of
               the least to 5/4 of the most of training clips
    c_t        the mean place of the ink in that square
    by the law there are integers p_0 in 0 .. 20, v in -3 .. 3 for each axis, not both 0, and places o of the ink in its
               tile, at most 2.5 pixels from the middle, with |c_t - o - fold(p_0 + v t)| <= 1 on both axes in at least
               90 % of the frames, each of which shows one digit; o is the median of c_t - fold(p_0 + v t)

Real clips fulfil the law, whatever the digit, since all frames have the same pixels at another place. A sample may
have any digit, or any blot of its size: what it shows a classifier says. How many of the 48 velocities samples have is
noted: they could all be the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.data.shipped.bouncing import FASTEST, ROOM, SIDE, TILE, path_of
from simulacra.evaluation import intervals
from simulacra.evaluation.clips import controls
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.feed import slices
from simulacra.randomness import mix, some_of

FAINT = 0.25  # of the range of values, below which there is no ink
TOGETHER = 0.95  # of the ink of a frame
LEAST, MOST = 0.8, 1.25  # of the least and the most ink of training digits
NEAR, OFF = 1.0, 2.5  # pixels
LAWFUL = 0.9  # of the frames
LOOKED_AT = 1000  # training clips
AT_ONCE = 100


def bounces(subject: Subject) -> bool:
    return subject.data.source == "bouncing" and subject.data.spec.shape[1:] == (1, SIDE, SIDE)


@dataclass(frozen=True)
class Seen:
    """Of N clips of T frames. ink: (N, T) of each frame; share: (N, T) of it in one square; centre: (N, T, 2) pixels
    right and down, of the ink in the square, nan where there is none."""

    ink: np.ndarray
    share: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, clips: np.ndarray, levels: int) -> Seen:
        """Clips (N, T, 1, 32, 32) on the grid."""
        found = [_seen(clips[part, :, 0] / (levels - 1)) for part in slices(len(clips), AT_ONCE)]
        return cls(*(np.concatenate(each) for each in zip(*found, strict=True)))

    def one_digit(self, least: float, most: float) -> np.ndarray:
        """(N, T) whether a frame shows one digit, and nothing else."""
        return (self.share >= TOGETHER) & (self.ink >= LEAST * least) & (self.ink <= MOST * most)


def _seen(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.where(x >= FAINT, x, 0.0)
    summed = np.pad(x.cumsum(2).cumsum(3), ((0, 0), (0, 0), (1, 0), (1, 0)))
    held = summed[..., TILE:, TILE:] - summed[..., :-TILE, TILE:] - summed[..., TILE:, :-TILE]
    held = (held + summed[..., :-TILE, :-TILE]).reshape(*x.shape[:2], -1)
    best, ink = held.argmax(2), x.sum((2, 3))
    top, left = (place[..., None] for place in np.divmod(best, SIDE - TILE + 1))
    sides = np.arange(SIDE)
    rows, columns = ((first <= sides) & (sides < first + TILE) for first in (top, left))
    inside = x * rows[..., :, None] * columns[..., None, :]
    total = inside.sum((2, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.stack([inside.sum(2) @ sides, inside.sum(3) @ sides], 2) / total[..., None]
        return ink, np.where(ink > 0, total / ink, 0.0), centre


def lawful(centre: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether the digit of each clip moves by the law, (N,), and by which velocity it does best, (N, 2).

    centre (N, T, 2) pixels right and down, good (N, T) which frames show one digit.
    """
    steps = centre.shape[1]
    ways = np.array(list(itertools.product(range(ROOM + 1), range(-FASTEST, FASTEST + 1))))
    path = path_of(ways[:, :1], ways[:, 1:], steps)[..., 0]
    moving = (ways[:, None, 1] != 0) | (ways[None, :, 1] != 0)
    fits, velocities = np.zeros(len(centre), bool), np.zeros((len(centre), 2), int)
    for number in np.flatnonzero(good.mean(1) >= LAWFUL):
        there = good[number]
        right, down = (_near(centre[number, there, axis] - path[:, there]) for axis in (0, 1))
        frames = np.where(moving, right @ down.T, -1.0)
        one, other = np.unravel_index(frames.argmax(), frames.shape)
        fits[number] = frames[one, other] >= LAWFUL * steps
        velocities[number] = ways[one, 1], ways[other, 1]
    return fits, velocities


def _near(off: np.ndarray) -> np.ndarray:
    """In which frames each way fits: c_t - fold(...) of one axis, (ways, T) -> 0 or 1, (ways, T)."""
    place = np.median(off, axis=1, keepdims=True)
    within = np.abs(place - (TILE - 1) / 2) <= OFF
    return ((np.abs(off - place) <= NEAR) & within).astype(np.float64)


@dataclass(frozen=True)
class Judged:
    """one_digit: (N,) the share of frames that show one; lawful: (N,); velocities: different ones of lawful clips."""

    one_digit: np.ndarray
    lawful: np.ndarray
    velocities: int


@metric(needs=(Sampler,), name="bounces", when=bounces)
def motion_of_digits(subject: Subject) -> dict[str, Measure]:
    """The share of samples that move by the law, and of frames that show one digit."""
    levels, train = subject.data.spec.grid_levels, subject.data.train
    known = some_of(len(train), LOOKED_AT, subject.seed, "ink of digits")
    ink = Seen.of(np.asarray(train.x[known])[:, :1], levels).ink

    def judged(clips: np.ndarray) -> Judged:
        seen = Seen.of(clips, levels)
        good = seen.one_digit(float(ink.min()), float(ink.max()))
        fits, velocity = lawful(seen.centre, good)
        return Judged(good.mean(1), fits, len(np.unique(velocity[fits], axis=0)))

    own, real = judged(subject.samples), judged(subject.held_out)
    beside = controls(subject.held_out, mix(subject.seed, "controls of clips"))
    simple = {name: judged(clips) for name, clips in beside.items()}
    return {"motion_law": _law(subject, own, real, simple), "one_digit": _one_digit(subject, own, real)}


def _law(subject: Subject, own: Judged, real: Judged, simple: dict[str, Judged]) -> Measure:
    share, n = float(own.lawful.mean()), subject.n
    protocol = (
        f"share of samples with integers p_0 and v, not 0, for which the middle of the ink is within {NEAR:g} pixel of "
        f"fold(p_0 + v t) and a constant place in the tile in {100 * LAWFUL:g} % of frames, each with one digit; {n} "
        f"samples; ceiling: {subject.which}; beside it these with their middle frame alone, and with their frames in "
        "random order"
    )
    note = f"{own.velocities} velocities among them, {real.velocities} among {subject.which}"
    baseline = {name: float(each.lawful.mean()) for name, each in simple.items()}
    low, high = intervals.of_share(share, n)
    ceiling = float(real.lawful.mean())
    return Measure(share, low, high, None, n, "estimate", protocol, note=note, baseline=baseline, ceiling=ceiling)


def _one_digit(subject: Subject, own: Judged, real: Judged) -> Measure:
    """The mean over clips; its interval holds that of as many shares of 0 or 1."""
    share, n = float(own.one_digit.mean()), subject.n
    protocol = (
        f"share of frames of samples with {100 * TOGETHER:g} % of their ink, values from {FAINT:g} of the range up, in "
        f"one square of {TILE}×{TILE}, and as much ink as a digit of a training clip; {n} samples; ceiling: "
        f"{subject.which}"
    )
    low, high = intervals.of_share(share, n)
    return Measure(share, low, high, None, n, "estimate", protocol, ceiling=float(real.one_digit.mean()))
