r"""How far drawn clips are from real ones: the Fréchet distance of their frames, and of how they move.

    frames    of the frames of n clips, at most 16 of each, evenly spaced, in fixed random convolutions
    clips     of n clips, in fixed random convolutions over space and time of the differences between their frames

The frames say whether pictures are right, whatever their order, and the clips whether they change as real ones do. As
the floor stand training clips in the place of samples. Beside them stand two controls, made of the held-out clips
themselves, that are each right in one thing and wrong in the other:

    repeat-frame       the middle frame again and again: nothing moves
    shuffled frames    all frames in random order: each frame is real

They share their content with what they are compared with, so that all of their distance is in the motion, and none of
it, as of samples and of the floor, by chance. Clips are the unit of every interval, since frames of one are alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulacra.capabilities import Sampler
from simulacra.evaluation import intervals
from simulacra.evaluation.clip_features import SEEN, FrameFeatures
from simulacra.evaluation.embedding import Features, Projection
from simulacra.evaluation.fidelity import frechet_distance
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.motion_convolutions import MotionConvolutions
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metric
from simulacra.randomness import mix, some_of

POOL = 500  # training clips that components are fitted to and floors are drawn from, where there are no more samples
DRAWN, PAIRS = 5, 20  # draws behind a floor, and halves behind an interval
FEWEST = 4  # clips, of whose halves there is a covariance


def moves(subject: Subject) -> bool:
    return subject.data.spec.is_video and subject.data.spec.shape[0] > 1


@metric(needs=(Sampler,), name="clips", least=FEWEST, when=moves)
def distances_of_clips(subject: Subject) -> dict[str, Measure]:
    """Fréchet distances of frames and of clips, beside a repeated frame and shuffled frames."""
    spec, beside = subject.data.spec, controls(subject.held_out, mix(subject.seed, "controls of clips"))
    frames, clips = FrameFeatures(spec), MotionConvolutions(spec)
    seen = min(SEEN, spec.shape[0])
    return {
        "frechet_distance_frames": _distance(subject, frames, f"{seen} frames a clip in {frames.name}", beside),
        "frechet_distance_clips": _distance(subject, clips, f"clips in {clips.name}", beside),
    }


def controls(clips: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Clips (N, T, ...) whose frames do not move, and those whose frames are in random order."""
    rng, steps = np.random.default_rng(seed), clips.shape[1]
    still = np.repeat(clips[:, steps // 2, None], steps, axis=1)
    return {"repeat-frame": still, "shuffled frames": np.stack([clip[rng.permutation(steps)] for clip in clips])}


def _distance(subject: Subject, features: Features, what: str, beside: Mapping[str, np.ndarray]) -> Measure:
    """That of samples and of what stands beside them from the held-out clips."""
    n, rng = subject.n, np.random.default_rng(mix(subject.seed, "clips"))
    numbers = some_of(len(subject.data.train), max(POOL, n), subject.seed, "clips")
    of_pool = features(np.asarray(subject.data.train.x[numbers]))
    own = Projection.fit(features, of_pool, n)

    def by_clip(of: np.ndarray, count: int) -> np.ndarray:
        """(count, frames, d)"""
        return of.reshape(count, -1, of.shape[1])

    real, fake, pool = by_clip(own(subject.held_out), n), by_clip(own(subject.samples), n), own.of(of_pool)
    pool = by_clip(pool, len(numbers))

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return frechet_distance(one.reshape(-1, one.shape[2]), other.reshape(-1, other.shape[2]))

    value = apart(fake, real)
    spread = intervals.spread(lambda rows: np.array([apart(fake[each], real[each]) for each in rows]), n, rng, PAIRS)
    known = subject.split == "train"  # these clips are measured themselves
    floors = [apart(pool[rng.permutation(len(pool))[:n]], real) for _ in range(0 if known else DRAWN)]
    baseline = {name: apart(by_clip(own(clips), n), real) for name, clips in beside.items()}
    floor = "no floor, since no clips are left to compare these with" if known else "floor: as many training clips"
    protocol = (
        f"Fréchet distance of {what}; {own.directions.shape[1]} principal components; {n} samples against "
        f"{subject.which}; {floor}; beside it these clips with their middle frame alone, and with their frames in "
        "random order; interval: of the mean over fresh samples and clips, as many as these"
    )
    low, high = intervals.of_distance(value, spread)
    return Measure(
        *(value, low, high, float(np.mean(floors)) if floors else None, n, "estimate", protocol), baseline=baseline
    )
