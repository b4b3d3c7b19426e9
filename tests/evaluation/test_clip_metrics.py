"""Metrics of clips: each control is told from real clips by the figure that should, and the law holds where it does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import dataset

import simulacra as sim
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Split
from simulacra.evaluation.bounces import Seen, bounces, lawful, motion_of_digits
from simulacra.evaluation.clips import FrameFeatures, controls, distances_of_clips, moves
from simulacra.evaluation.learned import learned
from simulacra.evaluation.motion_convolutions import MotionConvolutions
from simulacra.evaluation.subject import Subject
from simulacra.fields import Levels
from simulacra.model import Model

CLIPS = 40


class Given(Model):
    """Draws the clips that it holds."""

    def __init__(self, spec: DataSpec, clips: np.ndarray) -> None:
        super().__init__(spec)
        self.register_buffer("clips", torch.from_numpy(clips))

    def phases(self):
        return ()

    def sample(self, n, condition=None, *, generator=None):
        return self.clips[:n]


@pytest.fixture(scope="module")
def bouncing() -> Dataset:
    data = sim.data.load("bouncing")
    parts = {name: data.split(name).rows(np.arange(n)) for name, n in (("train", 60), ("valid", 8), ("test", CLIPS))}
    return replace(data, **parts, order=None)


def subject(data: Dataset, clips: np.ndarray) -> Subject:
    return Subject(Given(DataSpec(data.spec.x), clips), data)


@pytest.fixture(scope="module")
def real(bouncing) -> np.ndarray:
    return np.asarray(bouncing.train.x[:CLIPS])


@pytest.fixture(scope="module")
def of_real(bouncing, real):
    return distances_of_clips(subject(bouncing, real))


def test_real_clips_move_as_others_do_and_neither_control_does(of_real):
    clips = of_real["frechet_distance_clips"]
    assert max(clips.value, clips.floor) < 0.3 * min(clips.baseline.values())
    assert clips.low <= clips.value <= clips.high


def test_frames_in_another_order_are_the_same_frames(of_real):
    frames = of_real["frechet_distance_frames"]
    assert abs(frames.baseline["shuffled frames"]) < 1e-6
    assert frames.baseline["repeat-frame"] < frames.high


@pytest.mark.parametrize("control", ["repeat-frame", "shuffled frames"])
def test_samples_that_are_right_in_one_thing_are_found_wrong_in_the_other(control, bouncing, real, of_real):
    found = distances_of_clips(subject(bouncing, controls(real, 0)[control]))
    assert found["frechet_distance_clips"].value > of_real["frechet_distance_clips"].high
    assert found["frechet_distance_frames"].value < of_real["frechet_distance_frames"].high


def test_wrong_frames_are_found_where_motion_is_right(bouncing, real, of_real):
    found = distances_of_clips(subject(bouncing, (255 - real).astype(np.uint8)))
    assert found["frechet_distance_frames"].value > 5 * of_real["frechet_distance_frames"].high


def test_features_of_motion_see_nothing_that_stands_still():
    spec = DataSpec(Levels((5, 3, 9, 8), 256))
    features, rng = MotionConvolutions(spec), np.random.default_rng(0)
    x = rng.integers(0, 128, (4, *spec.shape), np.uint8)
    background = rng.integers(0, 128, (4, 1, *spec.shape[1:]), np.uint8)
    np.testing.assert_allclose(features(x + background), features(x), atol=1e-5)
    assert not features(np.repeat(background, 5, axis=1)).any()
    assert (abs(features(x[:, ::-1]) - features(x)).max(1) > 1e-3).all()


@pytest.mark.parametrize("frames", [3, 16, 41])
def test_at_most_sixteen_frames_are_seen_and_they_are_spread_evenly_over_the_clip(frames):
    features = FrameFeatures(DataSpec(Levels((frames, 1, 8, 8), 256)))
    edges = [0, *(features.places + 1)[:-1], frames]
    assert len(features.places) == min(frames, 16)
    assert set(np.diff(features.places)) <= {frames // 16, -(-frames // 16), 1}
    assert np.diff(edges).max() <= 1.5 * max(1, frames / 16) + 1
    assert len(features(np.zeros((2, frames, 1, 8, 8), np.uint8))) == 2 * len(features.places)


def test_the_law_holds_of_real_clips_and_of_no_control(bouncing):
    test = np.asarray(bouncing.test.x)
    found = motion_of_digits(subject(bouncing, test))
    law, digits = found["motion_law"], found["one_digit"]
    assert law.value == law.ceiling == digits.value == digits.ceiling == 1
    assert law.baseline == {"repeat-frame": 0, "shuffled frames": 0}


def test_clips_break_the_law_in_many_ways(bouncing, real):
    """A digit that comes back on the other side, one that gains speed, two at once, and one that fades."""
    first = real[:, 0]
    around = np.stack([np.roll(first, 2 * t, axis=-1) for t in range(16)], 1)
    gaining = np.stack([np.roll(first, t * t // 4 % 20, axis=-1) for t in range(16)], 1)
    two = np.maximum(real, real[::-1])
    faded = (real * np.linspace(1, 0.2, 16)[:, None, None, None]).astype(np.uint8)
    for clips in (around, gaining, two, faded):
        assert motion_of_digits(subject(bouncing, clips))["motion_law"].value < 0.25
    assert motion_of_digits(subject(bouncing, two))["one_digit"].value < 0.5


def test_one_frame_of_sixteen_may_be_wrong_and_two_may_not(bouncing, real):
    blank = real.copy()
    blank[:, 5] = 0
    assert motion_of_digits(subject(bouncing, blank))["motion_law"].value == 1
    blank[:, 9] = 0
    assert motion_of_digits(subject(bouncing, blank))["motion_law"].value == 0


def test_the_velocity_that_is_found_is_that_of_the_set(bouncing):
    seen = Seen.of(np.asarray(bouncing.test.x), 256)
    fits, velocity = lawful(seen.centre, np.ones(seen.ink.shape, bool))
    start, true = (np.asarray(bouncing.test.field(name)) for name in ("start", "velocity"))
    assert fits.all()
    np.testing.assert_array_equal(abs(velocity), abs(true))
    away = ((start >= 3) & (start <= 17)).all(1)  # from a side either sign leads the same way
    np.testing.assert_array_equal(velocity[away], true[away])


def test_only_bouncing_has_its_law_and_only_clips_that_can_move_are_looked_at(bouncing, real):
    assert bounces(subject(bouncing, real))
    assert not bounces(subject(replace(bouncing, source=""), real))
    still = dataset(DataSpec(Levels((1, 1, 8, 8), 17)))
    assert not moves(Subject(Given(still.spec, np.asarray(still.test.x)), still))


def lines(n: int, seed: int) -> Split:
    """A line that goes left or right, by class, from any place: a frame alone says nothing."""
    rng, label = np.random.default_rng(seed), np.arange(n) % 2
    place = (rng.integers(8, size=(n, 1)) + (2 * label[:, None] - 1) * np.arange(8)) % 8
    x = np.where(np.arange(8) == place[..., None], 255, 0)[:, :, None, None].repeat(8, axis=3)
    return Split(x.astype(np.uint8), {"label": label.astype(np.int64)}, "train")


def test_the_classifier_of_clips_sees_what_changes():
    spec = DataSpec(Levels((8, 1, 8, 8), 256), {"label": ClassLabel(2)})
    splits = {name: lines(n, seed) for seed, (name, n) in enumerate({"train": 240, "valid": 60, "test": 60}.items())}
    data = Dataset("lines", spec, **splits, card=Card("lines", "a test", "none"), fingerprint="lines")
    judge = learned(data)
    assert judge is not None
    assert (judge.classes(data.test.x, "label") == data.test.field("label")).mean() > 0.9
