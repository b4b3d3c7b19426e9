r"""Features of what moves in a clip: convolutions over space and time, with fixed random weights, of its differences.

    h_0 = x_{t+1} - x_t,  x on [-1, 1],  h_l = relu(W_l * h_{l-1}), halved,  φ = the means of each h_l over 2×2×2 boxes

W_l are 3×3×3, standard normal over the root of the inputs of a unit, from a constant seed; a side of one or two is not
halved. What stands still is not in the differences, so that the leading components of φ are those of motion, and not of
backgrounds; what stands still the frames show (`simulacra.evaluation.convolutions`). φ depends on the order of frames
through the differences, the convolutions along time and the two halves of a clip.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from torch import nn

from simulacra.data import DataSpec
from simulacra.feed import slices

SEED, LAYERS, WIDTH = 1, 4, 16
AT_ONCE = 128  # frames


class MotionConvolutions:
    """φ of clips of one shape, of at least two frames, on the CPU."""

    def __init__(self, spec: DataSpec) -> None:
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random, self.spec, self.weights = np.random.RandomState(SEED), spec, []
        for inputs in (spec.shape[1], *[WIDTH] * (LAYERS - 1)):
            drawn = random.standard_normal((WIDTH, inputs, 3, 3, 3)) * (2 / (27 * inputs)) ** 0.5
            self.weights.append(torch.from_numpy(drawn.astype(np.float32)))

    @property
    def name(self) -> str:
        """With a hash of the weights and of the shape of the clips."""
        content = b"".join(weight.numpy().tobytes() for weight in self.weights)
        content += json.dumps(self.spec.x.describe()).encode()
        return f"motion-convolutions@{hashlib.sha256(content).hexdigest()[:8]}"

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, T, C, H, W) -> (N, features) float64"""
        return np.concatenate([self._of(x[part]) for part in slices(len(x), max(1, AT_ONCE // self.spec.shape[0]))])

    def _of(self, x: np.ndarray) -> np.ndarray:
        h, found = self.spec.centred(torch.from_numpy(np.array(x))).diff(dim=1).transpose(1, 2), []
        for weight in self.weights:
            h = nn.functional.conv3d(h, weight, padding=1).relu()
            found.append(nn.functional.adaptive_avg_pool3d(h, 2).flatten(1))
            halved = [2 if side > 2 else 1 for side in h.shape[2:]]
            h = nn.functional.avg_pool3d(h, halved, ceil_mode=True)
        return torch.cat(found, 1).double().numpy()
