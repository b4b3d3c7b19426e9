"""Every model with codes on `digits`, with its default settings.

For each: `fit` on the training split (m2 with 100 labels), then of the test split, touched once a model: the ELBO and,
where more draws can raise it, the importance-weighted bound with K = 100, in bits/dim; the mean squared error of
reconstructed pixels in [0, 1]; the Fréchet distance of samples in multiples of its floor; the advice of `health`.
About half an hour on two cores:

    python benchmarks/latent.py
    python benchmarks/latent.py vqvae ladder-vae         # some of them: their rows of the record are replaced
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from defaults import by_defaults

import simulacra as sim
from simulacra.capabilities import Bound, Sampler, can
from simulacra.model import Model

MODELS = ["autoencoder", "vae", "ladder-vae", "vqvae", "vqvae2", "wae-mmd", "aae", "m2"]
GIVEN: dict[str, dict[str, Any]] = {"m2": {"condition": "label", "labels": 100}}
DRAWS = 100
ONE_CODE = ("vqvae", "vqvae2")  # q is certain: no draw raises their bound


def main() -> None:
    by_defaults("latent", __doc__, MODELS, measure, "K: draws of the importance-weighted bound")


def measure(name: str, data: sim.data.Dataset, out: Path, smoke: bool) -> dict[str, Any]:
    began = time.perf_counter()
    model = sim.fit(name, data, out, **({"steps": 20} if smoke else {}), **GIVEN.get(name, {}))
    row: dict[str, Any] = {"fit_seconds": time.perf_counter() - began}
    row["steps"] = json.loads((out / "run.json").read_text())["finished"]["steps"]
    if can(model, Bound):
        for draws in (1,) if name in ONE_CODE else (1, DRAWS):
            row[f"bits_per_dim, K = {draws}"] = sim.score(model, data, samples=draws).bits_per_dim
    if can(model, Sampler):
        fidelity = sim.evaluate(model, data)["frechet_distance"]
        row["frechet / floor"] = fidelity.value / fidelity.floor if fidelity.floor else None
    row["reconstruction"] = reconstruction(model, data)
    row["health"] = {name: found.advice for name, found in sim.health(model, data).findings.items()}
    return row


def reconstruction(model: Model, data: sim.data.Dataset) -> float:
    x = torch.from_numpy(np.array(data.test.x))
    label = {name: torch.from_numpy(np.array(data.test.field(name))) for name in model.spec.condition}
    gap = sim.reconstruct(model, x, label).double() - x.double()
    return float((gap / (data.spec.grid_levels - 1)).square().mean())


if __name__ == "__main__":
    main()
