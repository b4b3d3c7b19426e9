r"""`sines`: sinusoids that are independent in each of five dimensions,

    x_i(t) = sin(2π η_i t + θ_i),   η_i ~ U[0, 1],   θ_i ~ U[-π, π],   t = 0, 1, ..., T - 1

Yoon, Jarrett & van der Schaar 2019, "Time-series Generative Adversarial Networks", section 5.1. Items are drawn one by
one, so that none overlaps another. At whole times t a frequency η is the same as 1 - η with the sign of θ turned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Source

CARD = Card(
    title="Sinusoids of random frequency and phase, five dimensions",
    source="generated from a fixed seed",
    licence="Apache-2.0",
    reference="Yoon, Jarrett & van der Schaar, Time-series Generative Adversarial Networks, NeurIPS 2019",
)
DIMENSIONS = 5
COLUMNS = tuple(f"x{number}" for number in range(DIMENSIONS))
COUNTS = {"train": 8_000, "valid": 1_000, "test": 1_000}
SEED = 1


def sines_source(window: int) -> Source:
    """10,000 items (window, 5), continuous."""

    def batches() -> Iterator[Batch]:
        random = np.random.RandomState(SEED)  # its stream is promised to stay
        for part, count in COUNTS.items():
            frequency = random.uniform(0, 1, (count, 1, DIMENSIONS))
            phase = random.uniform(-math.pi, math.pi, (count, 1, DIMENSIONS))
            time = np.arange(window)[:, None]
            yield Batch(part, np.sin(2 * math.pi * frequency * time + phase).astype(np.float32))

    return Source("sines", CARD, sum(COUNTS.values()), batches, options=(f"window={window}",), columns=COLUMNS)
