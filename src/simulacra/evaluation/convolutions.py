r"""Features that are not learnt: convolutions with fixed random weights.

    h_0 = x on [-1, 1],   h_l = relu(W_l * h_{l-1}), of half the side,   φ = the means of each h_l over a 2×2 grid

W_l are standard normal, over the root of the inputs of a unit, from a constant seed. Random features see what pixels do
together without a data set to learn from: they see blur best of the three, and rank models much as trained ones do.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import torch
from torch import nn

from simulacra.data import DataSpec
from simulacra.feed import slices

SEED, LAYERS, WIDTH, AT_ONCE = 1, 4, 48, 128


class RandomConvolutions:
    """φ of images of one shape, on the CPU."""

    def __init__(self, spec: DataSpec) -> None:
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random, self.spec, self.weights = np.random.RandomState(SEED), spec, []
        for inputs in (spec.shape[0], *[WIDTH] * (LAYERS - 1)):
            drawn = random.standard_normal((WIDTH, inputs, 3, 3)) * (2 / (9 * inputs)) ** 0.5
            self.weights.append(torch.from_numpy(drawn.astype(np.float32)))

    @property
    def name(self) -> str:
        """With a hash of the weights and of the shape of the images."""
        content = b"".join(weight.numpy().tobytes() for weight in self.weights)
        content += json.dumps(self.spec.x.describe()).encode()
        return f"random-convolutions@{hashlib.sha256(content).hexdigest()[:8]}"

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> (N, features) float64"""
        return np.concatenate([self._of(x[part]) for part in slices(len(x), AT_ONCE)])

    def _of(self, x: np.ndarray) -> np.ndarray:
        h, found = self.spec.centred(torch.from_numpy(np.array(x))), []
        for weight in self.weights:
            h = nn.functional.conv2d(h, weight, padding=1).relu()
            found.append(nn.functional.adaptive_avg_pool2d(h, 2).flatten(1))
            if min(h.shape[2:]) > 2:
                h = nn.functional.avg_pool2d(h, 2, ceil_mode=True)
        return torch.cat(found, 1).double().numpy()
