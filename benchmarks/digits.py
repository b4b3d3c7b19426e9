"""The three models with their default settings on `digits`.

For each model and seed: fit, then score and evaluate the test split (it picks nothing, so it is touched once a model).

    bits_per_dim      negative log-likelihood, exact or a bound (`kind`), with its standard error over the test items
    frechet_distance  of samples to test items, its floor (training items in their place) and the ratio of both
    near_copies       share of samples nearer to a training item than the nearest 1 % of test items are
    fit_seconds       wall time of `fit`, validation and saving included
    sample_seconds    wall time of 64 samples, after a first one

The baseline, an independent categorical distribution per pixel, is computed here. Two to three minutes a seed on two
cores:

    python benchmarks/digits.py
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from defaults import before
from record import COMMIT, conclude, parser

import simulacra as sim

MODELS = ("gated-pixelcnn", "vae", "dcgan")
SEEDS = (0, 1, 2)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("models", nargs="*", help="by default all; of some their rows are replaced")
    args = arguments.parse_args()
    smoke = args.smoke
    data = sim.data.load("digits")
    seeds, options = (SEEDS[:2], {"steps": 30}) if smoke else (SEEDS, {})
    figures: dict[str, Any] = before("digits", MODELS) if args.models else {}
    figures["independent-pixels"] = {"bits_per_dim": independent_pixels(data)}
    for name in args.models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            runs = [measure(name, data, seed, Path(folder) / str(seed), options) for seed in seeds]
        figures[name] = {key: summary([run[key] for run in runs]) for key in runs[0]} | {"commit": COMMIT}
    conclude(
        "digits",
        figures,
        smoke=smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=seeds,
        notes="spread: standard deviation over the seeds; standard_error: over the test items of one seed",
    )


def independent_pixels(data: sim.data.Dataset) -> float:
    """bits/dim of p(x) = Π_i p_i(x_i) on the test split, counted on the training split with one added everywhere."""
    levels = data.spec.grid_levels
    train, test = data.train.x.reshape(len(data.train), -1), data.test.x.reshape(len(data.test), -1)
    counts = 1 + (train[:, :, None] == np.arange(levels)).sum(axis=0)  # (pixels, levels)
    log_masses = np.log(counts / counts.sum(axis=1, keepdims=True))
    nats = -log_masses[np.arange(test.shape[1]), test].sum(axis=1).mean()
    return float(data.spec.bits_per_dim(nats))


def measure(name: str, data: sim.data.Dataset, seed: int, out: Path, options: dict[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    model = sim.fit(name, data, out, seed=seed, **options)
    fitted = time.perf_counter() - began
    sim.sample(model, 1)
    began = time.perf_counter()
    sim.sample(model, 64)
    sampled = time.perf_counter() - began
    measures = sim.evaluate(model, data, seed=seed)
    distance = measures["frechet_distance"]
    figures: dict[str, Any] = {}
    if bits := measures.get("bits_per_dim"):
        figures = {"kind": bits.kind, "bits_per_dim": bits.value, "standard_error": (bits.high - bits.value) / 1.96}
    figures |= {
        "frechet_distance": distance.value,
        "frechet_floor": distance.floor,
        "frechet_ratio": distance.value / (distance.floor or math.nan),
        "near_copies": measures["near_copies"].value,
        "fit_seconds": fitted,
        "sample_seconds": sampled,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    print(name, seed, {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()})
    return figures


def summary(values: list[Any]) -> Any:
    """Mean and spread over the seeds; what does not depend on the seed stays as it is."""
    if not isinstance(values[0], float):
        return values[0]
    return {"mean": np.mean(values), "spread": np.std(values, ddof=1), "values": values}


if __name__ == "__main__":
    main()
