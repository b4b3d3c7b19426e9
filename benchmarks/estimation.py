"""Estimating log p(x) by importance weighting: `log_prob_bound` against pythae's `get_nll`, of one and the same VAE.

A VAE, 784-400-20 with Bernoulli pixels, is fitted to binarized MNIST for `--steps`; its weights are copied to pythae's
networks, whose outputs must then be the same, so that both estimate the same number. pythae returns +log p (not the NLL
that its name says); ours is `log_prob_bound`. The means of both over the same few images are recorded too.

Time a draw (an item and one of its K = 1,000 codes), in turns in one process: ours over 1,000 test images, pythae over
the first few, because it takes a second for each. Target: pythae / simulacra >= 100.

    pip install -e ".[benchmarks]" -c constraints.txt
    python benchmarks/estimation.py
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig
from record import conclude, parser
from throughput import Decoder, Encoder, spread
from torch import Tensor

import simulacra as sim
from simulacra.latent import VAE
from simulacra.model import evaluating
from simulacra.networks import Dense

HIDDEN, LATENT, DRAWS, ROUNDS = 400, 20, 1000, 3
BATCH = 64  # as `simulacra score`


def twin(model: VAE) -> PythaeVAE:
    """pythae's VAE with the same encoder and decoder, both with x in [0, 1] as input."""
    config = VAEConfig(input_dim=(784,), latent_dim=LATENT, reconstruction_loss="bce")
    other, ours = PythaeVAE(config, Encoder(HIDDEN), Decoder(HIDDEN)), model.state_dict()
    last, bias = ours["encoder.body.last.weight"], ours["encoder.body.last.bias"]
    state = {
        "encoder.first.0.weight": ours["encoder.body.first.weight"],
        "encoder.first.0.bias": ours["encoder.body.first.bias"],
        "encoder.mean.weight": last[0::2],
        "encoder.mean.bias": bias[0::2],
        "encoder.log_variance.weight": 2 * last[1::2],
        "encoder.log_variance.bias": 2 * bias[1::2],
        "decoder.layers.0.weight": ours["decoder.body.first.weight"],
        "decoder.layers.0.bias": ours["decoder.body.first.bias"],
        "decoder.layers.2.weight": ours["decoder.body.last.weight"],
        "decoder.layers.2.bias": ours["decoder.body.last.bias"],
    }
    other.load_state_dict(state)
    return other.eval()


def assert_same(model: VAE, other: PythaeVAE, x: Tensor, real: Tensor) -> None:
    with torch.no_grad():
        q, theirs = model.encode(x), other.encoder(real)
        torch.testing.assert_close(q.mean, theirs.embedding)
        p = model.decode(q.mean).mean.flatten(1)
        torch.testing.assert_close(p, other.decoder(theirs.embedding).reconstruction)


def ours(model: VAE, x: Tensor) -> tuple[float, Tensor]:
    began = time.perf_counter()
    with evaluating(model):
        found = torch.cat([model.log_prob_bound(part, samples=DRAWS) for part in x.split(BATCH)])
    return (time.perf_counter() - began) / (len(x) * DRAWS), found


def theirs(model: PythaeVAE, x: Tensor) -> tuple[float, list[float]]:
    began = time.perf_counter()
    with torch.no_grad():
        found = [model.get_nll(item[None], n_samples=DRAWS, batch_size=100) for item in x]
    return (time.perf_counter() - began) / (len(x) * DRAWS), found


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=4000, help="of training before anything is estimated")
    args = options.parse_args()
    logging.disable(logging.WARNING)
    data = sim.data.load("binarized-mnist")
    n, few = (64, 2) if args.smoke else (1000, 6)
    with tempfile.TemporaryDirectory() as scratch:
        steps = 50 if args.smoke else args.steps
        model = sim.fit(
            "vae", data, Path(scratch) / "run", steps=steps, latent=LATENT, network=Dense(HIDDEN), prior="gaussian"
        )
    assert isinstance(model, VAE)
    other, x = twin(model), torch.from_numpy(np.array(data.test.x[:n]))
    real = x.flatten(1).float()
    torch.manual_seed(0)
    assert_same(model, other, x[:few], real[:few])
    speeds: dict[str, list[float]] = {"simulacra": [], "pythae": []}
    means: dict[str, list[float]] = {"simulacra": [], "pythae": []}
    for _ in range(1 if args.smoke else ROUNDS):
        seconds, found = ours(model, x)
        speeds["simulacra"].append(seconds)
        means["simulacra"].append(float(found[:few].mean()))
        seconds, log_p = theirs(other, real[:few])
        speeds["pythae"].append(seconds)
        means["pythae"].append(float(np.mean(log_p)))
    figures = {f"{name}, microseconds a draw": spread([1e6 * s for s in found]) for name, found in speeds.items()}
    figures["pythae / simulacra"] = spread(list(np.divide(speeds["pythae"], speeds["simulacra"])))
    for name, values in means.items():
        figures[f"{name}, mean log p of the first {few} images, nats"] = spread(values)
    conclude(
        "estimation",
        figures,
        smoke=args.smoke,
        data={"name": data.name, "split": "test", "n": n, "fingerprint": data.fingerprint},
        seeds=[0],
        notes=f"K = {DRAWS}; pythae on the first {few} of these images; {torch.get_num_threads()} threads for both; "
        f"load average at the end {os.getloadavg()[0]:.2f}",
    )


if __name__ == "__main__":
    main()
