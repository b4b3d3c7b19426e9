"""Nats on fixed binarized MNIST (Larochelle & Murray), the number that papers report: exact densities and a bound.

Runs `simulacra fit MODEL binarized-mnist` with the settings below, and only then scores the whole test split, once:
exactly for the autoregressive models; for those with codes by the plain ELBO and by the importance-weighted bound with
K = `--draws`, whose memory does not grow with K (`score_memory_mb` is by how much scoring raised the peak).

    python benchmarks/binarized_mnist.py gated-pixelcnn
    python benchmarks/binarized_mnist.py iwae --draws 5000

`iwae` and `vampprior` are settings of `vae`. A run that was stopped goes on when the command is given again. Published
figures stand beside ours in docs/autoregressive.md and docs/latent.md.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from record import conclude, parser

import simulacra as sim
from simulacra.capabilities import Bound, can

LATENT: dict[str, Any] = {"schedule": "cosine", "precision": "bf16", "patience": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "independent": {},
    "markov": {},
    "gated-pixelcnn": {"layers": 6, "dropout": 0.0, "batch": 16, "precision": "bf16", "minutes": 15, "patience": 0},
    "pixelcnn": {
        "layers": 7,
        "dropout": 0.0,
        "learning_rate": 3e-3,
        "batch": 16,
        "precision": "bf16",
        "minutes": 100,
        "patience": 0,
    },
    "nade": {"hidden": 500, "learning_rate": 2e-3, "batch": 100, "minutes": 30, "patience": 0},
    "made": {
        "hidden": 2000,
        "dropout": 0.5,
        "learning_rate": 2e-3,
        "batch": 200,
        "precision": "bf16",
        "minutes": 20,
        "patience": 0,
    },
    "orderless-nade": {
        "orders": 1,
        "dropout": 0.0,
        "batch": 100,
        "precision": "bf16",
        "minutes": 8,
        "every": 2000,
        "patience": 0,
    },
    "fvbn": {"batch": 100, "learning_rate": 2e-3, "weight_decay": 0.0, "minutes": 4, "patience": 0},
    "pixelrnn-row": {
        "width": 32,
        "layers": 4,
        "dropout": 0.0,
        "learning_rate": 4e-3,
        "batch": 16,
        "precision": "bf16",
        "minutes": 15,
        "patience": 0,
    },
    "pixelsnail": {
        "width": 32,
        "blocks": 2,
        "layers": 2,
        "dropout": 0.0,
        "learning_rate": 3e-3,
        "batch": 16,
        "precision": "bf16",
        "minutes": 15,
        "patience": 0,
    },
    "pixelrnn-diagonal": {
        "width": 32,
        "layers": 3,
        "dropout": 0.0,
        "learning_rate": 4e-3,
        "batch": 16,
        "precision": "bf16",
        "minutes": 15,
        "patience": 0,
    },
    "vae": LATENT
    | {
        "latent": 40,
        "network": "dense:layers=2",
        "prior": "gaussian",
        "objective": "elbo:warmup=10000",
        "minutes": 20,
    },
    "iwae": LATENT
    | {
        "latent": 50,
        "network": "dense:hidden=200,layers=2",
        "prior": "gaussian",
        "objective": "dreg:draws=50",
        "batch": 32,
        "minutes": 40,
    },
    "vampprior": LATENT
    | {
        "latent": 40,
        "network": "dense:hidden=300,layers=2",
        "prior": "vampprior",
        "objective": "elbo:warmup=10000",
        "minutes": 30,
    },
    "ladder-vae": LATENT | {"minutes": 40},
}
MODELS = {"iwae": "vae", "vampprior": "vae"}  # settings that are not called after their model


def main() -> None:
    options = parser(__doc__)
    options.add_argument("settings", choices=SETTINGS)
    options.add_argument("--draws", type=int, default=1000, help="K of the importance-weighted bound")
    options.add_argument("--minutes", type=float, help="of training, instead of what the settings say")
    options.add_argument("--out", type=Path, help="the run folder; by default runs/binarized-mnist-MODEL")
    args = options.parse_args()
    settings = SETTINGS[args.settings] | ({"minutes": args.minutes} if args.minutes else {})
    with tempfile.TemporaryDirectory() as scratch:
        out = args.out or Path("runs") / f"binarized-mnist-{args.settings}"
        limit, draws = None, args.draws
        if args.smoke:
            settings |= {"minutes": 1, "steps": 40, "every": 20} if settings else {}
            out, limit, draws = Path(scratch) / "run", 500, 20
        fit_seconds = fit(MODELS.get(args.settings, args.settings), settings, out)
        model, data = sim.load(out), sim.data.load("binarized-mnist")
        figures = outcome(model, data, out, draws, limit) | {"fit_seconds": fit_seconds, "settings": settings}
    conclude(
        f"binarized_mnist_{args.settings}",
        figures,
        smoke=args.smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=[0],
        notes="validation: nats of the first 1,000 validation items (with codes: the ELBO) at each validation; "
        "training_seconds: with the validations; fit_seconds: wall time of the last `simulacra fit`, start included",
    )


def fit(model: str, settings: dict[str, Any], out: Path, data: str = "binarized-mnist") -> float:
    """Seconds of `simulacra fit` in a process of its own."""
    flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    began = time.perf_counter()
    command = ["-m", "simulacra", "fit", model, data, "--out", str(out), *flags]
    subprocess.run([sys.executable, *command], check=True)
    return time.perf_counter() - began


def outcome(model: sim.Model, data: sim.data.Dataset, run: Path, draws: int, limit: int | None) -> dict[str, Any]:
    """What a finished run came to; its test split is scored here and nowhere else."""
    finished = json.loads((run / "run.json").read_text())["finished"]
    return {
        "test": [scored(model, data, k, limit) for k in ([1, draws] if can(model, Bound) else [1])],
        "parameters": model.free_parameters(),
        "steps": finished["steps"],
        "best_step": finished["best_step"],
        "training_seconds": finished["seconds"],
        "validation": curve(run, data.spec.dims),
    }


def scored(model: sim.Model, data: sim.data.Dataset, draws: int, limit: int | None) -> dict[str, Any]:
    """The test split; `draws` as in `simulacra score --samples`."""
    before, began = peak_mb(), time.perf_counter()
    score = sim.score(model, data, "test", samples=draws, limit=limit)
    print(f"{score.nats:.3f} ± {score.standard_error:.3f} nats ({score.kind}, samples {score.samples})")
    return {
        "kind": score.kind,
        "samples": score.samples,
        "nats": score.nats,
        "standard_error": score.standard_error,
        "bits_per_dim": score.bits_per_dim,
        "n": score.n,
        "score_seconds": time.perf_counter() - began,
        "score_memory_mb": peak_mb() - before,
    }


def curve(out: Path, dims: int) -> list[dict[str, float]]:
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    nats = dims * math.log(2)
    return [
        {"step": entry["step"], "seconds": entry["seconds"], "nats": entry["valid_bits_per_dim"] * nats}
        for entry in entries
        if "valid_bits_per_dim" in entry
    ]


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in kB


if __name__ == "__main__":
    main()
