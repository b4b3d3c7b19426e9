"""Every autoregressive model with its default settings on `digits`.

For each model: `fit` on the training split, exact bits/dim of the test split (touched once a model), free parameters,
training time, and the time of 64 draws with the cached sampler. `independent` and `markov` are the baselines that all
others must beat. About 20 minutes on two cores:

    python benchmarks/autoregressive.py
    python benchmarks/autoregressive.py nade made        # some of them: their rows of the record are replaced
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from defaults import by_defaults

import simulacra as sim

LEFT_OUT = ("rnade", "raster")  # which is for continuous data, and which is gated-pixelcnn by default


def main() -> None:
    models = [entry.name for entry in sim.models() if entry.family == "autoregressive" and entry.name not in LEFT_OUT]
    notes = "standard_error: in bits/dim, over the test items; rnade is for continuous data: see tabular.py"
    by_defaults("autoregressive", __doc__, models, measure, notes)


def measure(name: str, data: sim.data.Dataset, out: Path, smoke: bool) -> dict[str, Any]:
    closed_form = name in ("independent", "markov")
    began = time.perf_counter()
    model = sim.fit(name, data, out, **({"steps": 20} if smoke and not closed_form else {}))
    fitted = time.perf_counter() - began
    scored = sim.score(model, data)
    sim.sample(model, 1)
    began = time.perf_counter()
    sim.sample(model, 64)
    return {
        "bits_per_dim": scored.bits_per_dim,
        "standard_error": float(data.spec.bits_per_dim(scored.standard_error)),
        "free_parameters": model.free_parameters(),
        "fit_seconds": fitted,
        "sample_64_seconds": time.perf_counter() - began,
    }


if __name__ == "__main__":
    main()
