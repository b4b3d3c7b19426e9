"""The modes of sets that were made of known ones: what a model of them can lose.

centres    of a mixture of Gaussians: K points, with one standard deviation
channels   independent classes of the channels of a stacked image: Π K_c combinations, equally frequent
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Centres:
    """points: (K, D), equally frequent; std: of the Gaussian around each."""

    points: tuple[tuple[float, ...], ...]
    std: float

    @property
    def count(self) -> int:
        return len(self.points)

    @property
    def array(self) -> np.ndarray:
        return np.array(self.points)


@dataclass(frozen=True)
class Channels:
    """fields: of classes, one for each channel; classes: how many each has, equally frequent."""

    fields: tuple[str, ...]
    classes: int

    @property
    def count(self) -> int:
        return math.prod([self.classes] * len(self.fields))


Modes = Centres | Channels
