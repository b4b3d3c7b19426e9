r"""Features of clips: of their frames one by one, and of frames and motion side by side.

frames   φ(x_t) of at most 16 frames of a clip, evenly spaced, in fixed random convolutions
clips    [mean of φ(x_t) over these frames, ψ(x_{t+1} - x_t)], each number over its root mean square among training
         clips and either kind over the root of its count, so that frames and motion weigh alike
"""

from __future__ import annotations

import numpy as np

from simulacra.data import DataSpec
from simulacra.evaluation.convolutions import RandomConvolutions
from simulacra.evaluation.motion_convolutions import MotionConvolutions
from simulacra.fields import Levels

SEEN = 16  # frames of a clip


class FrameFeatures:
    """(N, T, C, H, W) -> (N·k, features) float64."""

    def __init__(self, spec: DataSpec) -> None:
        self.of_frame = RandomConvolutions(DataSpec(Levels(spec.shape[1:], spec.grid_levels)))
        steps = spec.shape[0]
        self.seen = min(SEEN, steps)
        self.places = (2 * np.arange(self.seen) + 1) * steps // (2 * self.seen)
        self.name = self.of_frame.name

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.of_frame(x[:, self.places].reshape(-1, *x.shape[2:]))


class ClipFeatures:
    """(N, T, C, H, W) -> (N, features) float64, in units of training clips."""

    def __init__(self, spec: DataSpec, train: np.ndarray) -> None:
        self.frames, self.motion = FrameFeatures(spec), MotionConvolutions(spec)
        self.units = [_unit(part) for part in self._parts(train)]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.concatenate([part / unit for part, unit in zip(self._parts(x), self.units, strict=True)], axis=1)

    def _parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.frames(x).reshape(len(x), self.frames.seen, -1).mean(1), self.motion(x)


def _unit(features: np.ndarray) -> np.ndarray:
    """(d,) of training clips (N, d): deviations times √d; without end of a number that is always the same."""
    found = features.std(0) * features.shape[1] ** 0.5
    return np.where(found > 0, found, np.inf)
