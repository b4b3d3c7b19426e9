"""VQ-VAE-2 on CIFAR-10, or what of it is at hand: autoencoder and class-conditional priors of its codes, in one `fit`.

reconstruction     mean squared error of a test image's sub-pixels in [0, 1] after encoding and decoding
codebooks          codes in use and perplexity of each grid, over the whole test split
bits_per_dim       -log p(x | codes) - log p(codes | label): a bound of the whole model, on the test split
sampling           samples a second by the cached and by the naive sampler of the priors, the same codes from the
                   same noise; the naive one is slow and draws fewer
frechet            distance of samples to the first test items (`evaluate`'s PCA features) over its floor (as many
                   training items), for all draws and for the best quarter by classifier rejection sampling

python benchmarks/vqvae2.py
python benchmarks/vqvae2.py --minutes 120     # a run that was stopped, or is to go on, goes on
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from binarized_mnist import fit
from record import conclude, parser

import simulacra as sim
from simulacra.evaluation import fidelity
from simulacra.latent import VQVAE
from simulacra.model import evaluating

SETTINGS: dict[str, Any] = {
    "condition": "label",
    "codes": 256,
    "prior": "gated-pixelcnn:width=48",
    "learning_rate": 1e-3,
    "precision": "bf16",
    "minutes": 25,
    "patience": 0,
}
DRAWN, JUDGED, KEPT = 1000, 2000, 0.25


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, help="of training, instead of what the settings say")
    args = options.parse_args()
    settings = SETTINGS | ({"minutes": args.minutes} if args.minutes else {})
    with tempfile.TemporaryDirectory() as scratch:
        out, limit, drawn, naive = Path("runs/cifar10-vqvae2"), JUDGED, DRAWN, 4
        if args.smoke:
            settings |= {"steps": 12, "every": 6, "minutes": 1}
            out, limit, drawn, naive = Path(scratch) / "run", 40, 40, 1
        fit("vqvae2", settings, out, "cifar10")
        model, data = sim.load(out), sim.data.load("cifar10")
        assert isinstance(model, VQVAE)
        finished = json.loads((out / "run.json").read_text())["finished"]
        score = sim.score(model, data, limit=limit)
        figures = {
            "bits_per_dim": score.bits_per_dim,
            "standard_error": float(data.spec.bits_per_dim(score.standard_error)),
            "reconstruction": reconstruction(model, data, limit),
            "codebooks": codebooks(model, data, limit),
            "sampling": sampling(model, drawn, naive),
            "frechet": frechet(model, data, drawn),
            "training_items": len(data.train),
            "parameters": model.free_parameters(),
            "steps": finished["steps"],
            "training_seconds": finished["seconds"],
            "settings": settings,
        }
    used = {"name": data.name, "split": "test", "n": score.n, "fingerprint": data.fingerprint}
    conclude("vqvae2", figures, smoke=args.smoke, data=used, seeds=[0], notes=f"first {score.n} test images")


def reconstruction(model: VQVAE, data: sim.data.Dataset, limit: int) -> float:
    x = torch.from_numpy(np.array(data.test.x[:limit]))
    label = {"label": torch.from_numpy(np.array(data.test.field("label")[:limit]))}
    again = torch.cat(
        [
            sim.reconstruct(model, part, {"label": some})
            for part, some in zip(x.split(250), label["label"].split(250), strict=True)
        ]
    )
    return float(((x.double() - again.double()) / 255).square().mean())


def codebooks(model: VQVAE, data: sim.data.Dataset, limit: int) -> list[dict[str, Any]]:
    x = torch.from_numpy(np.array(data.test.x[:limit]))
    with evaluating(model):
        found = model.code_use(x.split(250))
    return [
        {"grid": f"{use.grid[0]}x{use.grid[1]}", "codes": use.codes, "used": use.used, "perplexity": use.perplexity}
        for use in found
    ]


def sampling(model: VQVAE, drawn: int, naive: int) -> dict[str, float]:
    """Samples a second: of a large batch by the cached sampler, and of a small one by both, which draw the same."""
    speeds = {}
    for sampler, n in (("cached", min(drawn, 250)), ("naive", naive), ("cached", naive)):
        began = time.perf_counter()
        items = sim.sample(model, n, sampler=sampler)
        speeds[f"{sampler}, batch {n}"] = n / (time.perf_counter() - began)
        if sampler == "naive":
            reference = items
    assert np.array_equal(reference, items), "the two samplers drew different items"
    return speeds | {"cached / naive": speeds[f"cached, batch {naive}"] / speeds[f"naive, batch {naive}"]}


def frechet(model: VQVAE, data: sim.data.Dataset, n: int) -> dict[str, float]:
    """As in `evaluate`, of n samples with the labels of the first n test items."""
    features = fidelity.PixelPCA.fit(data.train.x, data.spec.levels, fidelity.components_for(n, data.spec.dims))
    real, label = features(np.asarray(data.test.x[:n])), np.array(data.test.field("label")[:n])
    floor = fidelity.frechet_distance(features(np.asarray(data.train.x[:n])), real)
    plain = fidelity.frechet_distance(features(sim.sample(model, n, condition={"label": label})), real)
    best = sim.sample(model, n, keep=KEPT, judge=data, condition={"label": label})
    rejected = fidelity.frechet_distance(features(best), real)
    return {
        "floor": floor,
        "all draws / floor": plain / floor,
        f"best {KEPT:.0%} / floor": rejected / floor,
        "n": n,
    }


if __name__ == "__main__":
    main()
