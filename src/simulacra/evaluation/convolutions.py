r"""Features that are not learnt: convolutions with fixed random weights.

    h_0 = x on [-1, 1],   h_l = relu(W_l * h_{l-1}), of half the side,   φ = the means of each h_l over a 2×2 grid

W_l are standard normal, over the root of the inputs of a unit, from a constant seed. Random features see what pixels do
together without a data set to learn from: they see blur best of the three, and rank models much as trained ones do.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from simulacra.data import DataSpec
from simulacra.feed import slices

SEED, LAYERS = 1, 4
AT_ONCE = 128  # pictures


class FixedConvolutions(ABC):
    """φ of items of one shape, on the CPU, by convolutions whose weights are drawn from a constant seed.

    Attributes:
        kind: the beginning of the name of the features.
        width: channels of a layer.
        kernel: its size.
    """

    kind: ClassVar[str]
    width: ClassVar[int]
    kernel: ClassVar[tuple[int, ...]]

    def __init__(self, spec: DataSpec) -> None:
        # The legacy generator, because NumPy promises its stream for ever; that of `default_rng` may change.
        random, self.spec, self.weights = np.random.RandomState(SEED), spec, []
        for inputs in (spec.shape[-3], *[self.width] * (LAYERS - 1)):
            drawn = random.standard_normal((self.width, inputs, *self.kernel))
            drawn *= (2 / (math.prod(self.kernel) * inputs)) ** 0.5
            self.weights.append(torch.from_numpy(drawn.astype(np.float32)))

    @property
    def name(self) -> str:
        """With a hash of the weights and of the shape of the items."""
        content = b"".join(weight.numpy().tobytes() for weight in self.weights)
        content += json.dumps(self.spec.x.describe()).encode()
        return f"{self.kind}@{hashlib.sha256(content).hexdigest()[:8]}"

    @torch.no_grad()
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(N, *shape) -> (N, features) float64"""
        some = max(1, AT_ONCE // math.prod(self.spec.shape[:-3]))
        parts = (self.spec.centred(torch.from_numpy(np.array(x[part]))) for part in slices(len(x), some))
        return np.concatenate([torch.cat(self.means(part), 1).double().numpy() for part in parts])

    @abstractmethod
    def means(self, x: Tensor) -> list[Tensor]:
        """Items on [-1, 1] -> of each layer the means over a grid, (N, numbers)."""


class RandomConvolutions(FixedConvolutions):
    """φ of images (N, C, H, W)."""

    kind, width, kernel = "random-convolutions", 48, (3, 3)

    def means(self, x: Tensor) -> list[Tensor]:
        h, found = x, []
        for weight in self.weights:
            h = nn.functional.conv2d(h, weight, padding=1).relu()
            found.append(nn.functional.adaptive_avg_pool2d(h, 2).flatten(1))
            if min(h.shape[2:]) > 2:
                h = nn.functional.avg_pool2d(h, 2, ceil_mode=True)
        return found
