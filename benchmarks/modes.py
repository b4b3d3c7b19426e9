"""How many modes of `ring` (8) and `grid` (25) a GAN draws, and how well, by game: `gan` with its default settings.

modes         modes that are the nearest to at least one high-quality draw, of 2,500 draws: the count of Lin et al. 2018
high_quality  share of the draws that lie within three standard deviations of a mode
reverse_kl    of the modes of the high-quality draws against equal shares, nats
seconds       of the fit

each for three seeds. The games: relativistic with r1 and r2 (the default), the same with settings for points (`POINTS`:
larger batches, a weaker penalty that falls further, a longer average of the weights), those of 2014 without a penalty,
and the others, wasserstein with the gradient penalty and five steps of the critic. A row is a set and a game, and a new
one replaces it in the record.

python benchmarks/modes.py [--data ring grid] [--games relativistic minimax]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import COMMIT, conclude, earlier, parser

import simulacra as sim

DRAWS, SEEDS = 2500, (0, 1, 2)
ANGLES, SIDE = np.arange(8) * (2 * np.pi / 8), np.arange(-4.0, 5.0, 2.0)
MODES = {  # centres and the standard deviation about them, as the cards of the data have them
    "ring": (2.0 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1), 0.02),
    "grid": (np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), axis=-1).reshape(25, 2), 0.05),
}
POINTS: dict[str, Any] = {
    "generator": "dense:layers=5",
    "batch": 256,
    "steps": 8000,
    "learning_rate": 3e-3,
    "ema": 0.999,
    "penalties": [f"{name}:weight=0.0667,every=16,end=0.003" for name in ("r1", "r2")],
}
GAMES: dict[str, dict[str, Any]] = {
    "relativistic": {},
    "relativistic, for points": POINTS,
    "minimax": {"game": "minimax"},
    "non-saturating": {"game": "non-saturating"},
    "least-squares": {"game": "least-squares"},
    "hinge": {"game": "hinge"},
    "wasserstein": {"game": "wasserstein", "penalties": "gradient", "critic_steps": 5},
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--data", nargs="*", default=list(MODES), choices=list(MODES))
    options.add_argument("--games", nargs="*", default=list(GAMES), choices=list(GAMES))
    args = options.parse_args()
    figures = {} if args.smoke else earlier("modes")
    for name in args.data:
        data = sim.data.load(name)
        for game in args.games:
            rows = [fitted(data, seed, args.smoke, GAMES[game]) for seed in SEEDS[: 1 if args.smoke else None]]
            figures[f"{name}, {game}"] = {key: [row[key] for row in rows] for key in rows[0]} | {"commit": COMMIT}
            print(name, game, figures[f"{name}, {game}"], flush=True)
    conclude(
        "modes",
        figures | {f"{name}, real": measured(name, sim.data.load(name).test.x[:DRAWS]) for name in args.data},
        smoke=args.smoke,
        data={name: sim.data.load(name).fingerprint for name in args.data},
        seeds=SEEDS,
        notes=f"{DRAWS} draws of each model; real: held-out items",
    )


def fitted(data: sim.data.Dataset, seed: int, smoke: bool, given: dict[str, Any]) -> dict[str, float]:
    """The figures of one fit."""
    budget = {"steps": 20} if smoke else {}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        model = sim.fit("gan", data, Path(folder) / "run", seed=seed, **given | budget)
        seconds = time.perf_counter() - began
    return measured(data.name, sim.sample(model, DRAWS, seed=seed)) | {"seconds": seconds}


def measured(name: str, x: np.ndarray) -> dict[str, float]:
    """Modes, the share of high-quality draws, and the divergence of their modes from equal shares."""
    centres, deviation = MODES[name]
    distance = np.linalg.norm(x[:, None] - centres, axis=-1)
    good = distance.min(1) <= 3 * deviation
    shares = np.bincount(distance.argmin(1)[good], minlength=len(centres)) / max(1, good.sum())
    held = shares[shares > 0]
    return {
        "modes": int((shares > 0).sum()),
        "high_quality": float(good.mean()),
        "reverse_kl": float((held * np.log(held * len(centres))).sum()),
    }


if __name__ == "__main__":
    main()
