"""bits/dim of a PixelCNN++ and of a ladder VAE on CIFAR-10, or on the part of it that is at hand (see `n` and the
fingerprint).

Runs `simulacra fit MODEL cifar10` with the settings below and scores the test split once: exactly, or by the ELBO and
by the importance-weighted bound with K = `--draws`. Published: PixelCNN++ 2.92 after five days on eight cards; of the
ladder's kind 2.87 (Very Deep VAE, 39 million parameters). A run that was stopped goes on when the command is given
again.

    python benchmarks/cifar10.py
    python benchmarks/cifar10.py ladder-vae
    python benchmarks/cifar10.py --minutes 600          # with a better machine
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from binarized_mnist import fit, outcome
from record import conclude, parser

import simulacra as sim

SETTINGS: dict[str, dict[str, Any]] = {
    "pixelcnn++": {
        "width": 48,
        "blocks": 1,
        "components": 10,
        "dropout": 0.05,
        "batch": 8,
        "learning_rate": 4e-3,
        "precision": "bf16",
        "minutes": 35,
        "patience": 0,
    },
    "ladder-vae": {"schedule": "cosine", "precision": "bf16", "minutes": 35, "patience": 0},
}
NAMES = {"pixelcnn++": "cifar10_pixelcnn", "ladder-vae": "cifar10_ladder-vae"}  # of the records


def main() -> None:
    options = parser(__doc__)
    options.add_argument("model", nargs="?", choices=SETTINGS, default="pixelcnn++")
    options.add_argument("--minutes", type=float, help="of training, instead of what the settings say")
    options.add_argument("--draws", type=int, default=10, help="K of the importance-weighted bound")
    args = options.parse_args()
    settings = SETTINGS[args.model] | ({"minutes": args.minutes} if args.minutes else {})
    with tempfile.TemporaryDirectory() as scratch:
        out, limit = Path("runs") / f"cifar10-{args.model}", None
        if args.smoke:
            settings |= {"minutes": 1, "steps": 10, "every": 5}
            out, limit = Path(scratch) / "run", 50
        fit(args.model, settings, out, "cifar10")
        model, data = sim.load(out), sim.data.load("cifar10")
        figures = outcome(model, data, out, args.draws, limit)
        figures |= {"training_items": len(data.train), "settings": settings}
    used = {"name": data.name, "split": "test", "n": figures["test"][0]["n"], "fingerprint": data.fingerprint}
    conclude(NAMES[args.model], figures, smoke=args.smoke, data=used, seeds=[0])


if __name__ == "__main__":
    main()
