"""Every autoregressive model with its default settings on `digits`: what a user gets without turning a knob.

For each model: `fit` on the training split, exact bits/dim of the test split (touched once a model), free parameters,
training time, and the time of 64 draws with the cached sampler. `independent` and `markov` are the baselines that all
others must beat. About 20 minutes on two cores:

    python benchmarks/autoregressive.py
    python benchmarks/autoregressive.py nade made        # some of them: their rows of the record are replaced
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from record import COMMIT, RESULTS, conclude, parser

import simulacra as sim


def main() -> None:
    options = parser(__doc__)
    options.add_argument("models", nargs="*", help="by default all of them")
    asked = options.parse_args()
    data = sim.data.load("digits")
    everyone = [entry.name for entry in sim.models() if entry.family == "autoregressive" and entry.name != "rnade"]
    figures: dict[str, Any] = before(everyone) if asked.models else {}
    for name in asked.models or everyone:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(name, data, Path(folder) / "run", asked.smoke)
        print(name, figures[name], flush=True)
    conclude(
        "autoregressive",
        figures,
        smoke=asked.smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=[0],
        notes="standard_error: in bits/dim, over the test items; rnade is for continuous data: see tabular.py",
    )


def before(known: list[str]) -> dict[str, Any]:
    path = RESULTS / "autoregressive.json"
    return {k: v for k, v in json.loads(path.read_text())["figures"].items() if k in known} if path.exists() else {}


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
        "commit": COMMIT,
    }


if __name__ == "__main__":
    main()
