"""How soon the codes of a `vae` meet its prior: N(0, I), against a Gaussian whose mean and covariance are learned.

    python benchmarks/priors.py

Fits of the same number of steps, far fewer than the defaults take, in which they differ most. For each:

    bits_per_dim       the ELBO of the test split
    aggregate_gap      KL of the codes of all test items from the prior by moments, nats, and its floor
    frechet_position   of samples, between real items, 0, and independent pixels, 1
    brightness         mean of samples over that of the test items
"""

from __future__ import annotations

import tempfile
import time
from typing import Any

import numpy as np
from record import conclude, parser

import simulacra as sim

STEPS = {"shapes": 1500, "mnist": 1500}
SEEDS = {"shapes": (0, 1, 2), "mnist": (0,)}
PRIORS = ("gaussian", "learned-gaussian")
DRAWN = 2000


def main() -> None:
    args = parser(__doc__).parse_args()
    figures: dict[str, Any] = {}
    for name, steps in STEPS.items():
        data = sim.data.load(name)
        for prior in PRIORS:
            seeds = SEEDS[name][: 1 if args.smoke else None]
            rows = [measure(data, prior, 20 if args.smoke else steps, seed) for seed in seeds]
            figures[f"{name}, {prior}"] = {key: [row[key] for row in rows] for key in rows[0]}
            print(name, prior, figures[f"{name}, {prior}"], flush=True)
    conclude(
        "priors", figures, smoke=args.smoke, seeds=SEEDS["shapes"], notes=f"steps: {STEPS}; one value for each seed"
    )


def measure(data: sim.data.Dataset, prior: str, steps: int, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        model = sim.fit("vae", data, f"{folder}/run", prior=prior, steps=steps, seed=seed)
        seconds = time.perf_counter() - began
        found = sim.evaluate(model, data)
        drawn = sim.sample(model, DRAWN, seed=seed)
    gap = found["aggregate_gap"]
    return {
        "bits_per_dim": found["bits_per_dim"].value,
        "aggregate_gap": gap.value,
        "aggregate_gap_floor": gap.floor or 0.0,
        "frechet_position": found["frechet_position"].value,
        "brightness": float(np.mean(drawn) / np.mean(data.test.x[:])),
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
