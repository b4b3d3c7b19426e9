"""bits/dim of a PixelCNN++ on CIFAR-10, or on the part of it that is at hand (`n` and the fingerprint say which).

Runs `simulacra fit pixelcnn++ cifar10` with the settings below and scores the test split once. Published, after five
days on eight cards: 2.92. A run that was stopped goes on when the command is given again.

    python benchmarks/cifar10.py
    python benchmarks/cifar10.py --minutes 600          # with a better machine
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from binarized_mnist import curve, fit
from record import conclude, parser

import simulacra as sim

SETTINGS: dict[str, Any] = {
    "width": 48,
    "blocks": 1,
    "components": 10,
    "dropout": 0.05,
    "batch": 8,
    "learning_rate": 4e-3,
    "precision": "bf16",
    "minutes": 35,
    "patience": 0,
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, help="of training, instead of what the settings say")
    asked = options.parse_args()
    settings = SETTINGS | ({"minutes": asked.minutes} if asked.minutes else {})
    with tempfile.TemporaryDirectory() as scratch:
        out, limit = Path("runs/cifar10-pixelcnn++"), None
        if asked.smoke:
            settings |= {"minutes": 1, "steps": 10, "every": 5}
            out, limit = Path(scratch) / "run", 50
        fit("pixelcnn++", settings, out, "cifar10")
        model, data = sim.load(out), sim.data.load("cifar10")
        finished = json.loads((out / "run.json").read_text())["finished"]
        score = sim.score(model, data, limit=limit)
        figures = {
            "bits_per_dim": score.bits_per_dim,
            "standard_error": float(data.spec.bits_per_dim(score.standard_error)),
            "training_items": len(data.train),
            "parameters": model.free_parameters(),
            "steps": finished["steps"],
            "best_step": finished["best_step"],
            "training_seconds": finished["seconds"],
            "settings": settings,
            "validation": curve(out, data.spec.dims),
        }
    used = {"name": data.name, "split": "test", "n": score.n, "fingerprint": data.fingerprint}
    conclude("cifar10_pixelcnn", figures, smoke=asked.smoke, data=used, seeds=[0])


if __name__ == "__main__":
    main()
