"""Training images a second of the same VAE, 784-512-20 with Bernoulli pixels, batch 128, in three training loops.

    minimal    the loop that a good reader of a tutorial writes: tensors in memory, Adam, BCE + KL, nothing else
    pythae     0.1.2, `BaseTrainer.train_step` with its own data loader, progress bars off
    simulacra  `Loop` on `Batches` over the memory-mapped cache as `fit` runs them: averaged weights, a check of every
               loss, a log line every 50 steps

All three train on binarized MNIST in one process, one epoch a round, in turn (A B C A B C ...), after a round that does
not count; validation and checkpoints are left out everywhere. Ratios are within a round; the median counts.
Targets: simulacra / minimal >= 0.9, simulacra / pythae >= 1.3.

    pip install -e ".[benchmarks]" -c constraints.txt
    python benchmarks/throughput.py
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pythae.data.datasets import BaseDataset
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from record import conclude, parser
from torch import Tensor, nn

import simulacra as sim
from simulacra.training.batches import Batches
from simulacra.training.fit import LOGGED_EVERY
from simulacra.training.loop import Loop
from simulacra.training.plan import make_plan
from simulacra.training.runtime import Runtime

PIXELS, HIDDEN, LATENT, BATCH, RATE = 784, 512, 20, 128, 1e-3
ROUNDS = 7
Round = Callable[[], int]  # trains for a while; returns the number of images


def minimal(x: Tensor) -> Round:
    encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
    decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)

    def epoch() -> int:
        for indices in torch.randperm(len(x)).split(BATCH):
            batch = x[indices]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
            kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
            loss = (reconstruction + kl) / len(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return len(x)

    return epoch


class Encoder(BaseEncoder):
    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(PIXELS, hidden), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden, LATENT), nn.Linear(hidden, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.first(x.flatten(1))
        return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(LATENT, hidden), nn.ReLU(), nn.Linear(hidden, PIXELS), nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


def pythae(x: Tensor, folder: Path) -> Round:
    config = VAEConfig(input_dim=(PIXELS,), latent_dim=LATENT, reconstruction_loss="bce")
    training = BaseTrainerConfig(
        output_dir=str(folder), per_device_train_batch_size=BATCH, learning_rate=RATE, no_cuda=True
    )
    items = BaseDataset(x, torch.zeros(len(x)))
    trainer = BaseTrainer(PythaeVAE(config, Encoder(), Decoder()), items, training_config=training)
    trainer.prepare_training()
    trainer.callback_handler.callbacks = [TrainingCallback()]  # in place of its progress bar and printer

    def epoch() -> int:
        trainer.train_step(epoch=1)
        return len(x)

    return epoch


def simulacra(data: sim.data.Dataset, folder: Path, steps: int) -> Round:
    options = {"hidden": HIDDEN, "latent": LATENT, "likelihood": "bernoulli", "dropout": 0.0}
    plan = make_plan("vae", data, folder, (), False, options | {"batch": BATCH, "learning_rate": RATE, "minutes": 60})
    folder.mkdir()
    where = Runtime(torch.device("cpu"), bf16=False)
    loop = Loop(plan.model, plan.options, where)
    batches = Batches(data.train, plan.model.spec, BATCH, plan.options.seed, where)

    def epoch() -> int:
        for _ in range(steps):
            values = loop.step(batches, plan.spent(loop.steps, 0.0))
            if loop.steps % LOGGED_EVERY == 0:
                plan.folder.log({"step": loop.steps} | {name: value.item() for name, value in values.items()})
        return steps * BATCH

    return epoch


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    logging.disable(logging.WARNING)
    data = sim.data.load("binarized-mnist")
    n = 5_000 if smoke else len(data.train)
    x = torch.from_numpy(data.train.x[:n].reshape(n, PIXELS).astype(np.float32))
    speeds: dict[str, list[float]] = {"minimal": [], "pythae": [], "simulacra": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        loops = [minimal(x), pythae(x, folder / "pythae"), simulacra(data, folder / "simulacra", -(-n // BATCH))]
        for number in range(3 if smoke else 1 + ROUNDS):
            for (name, found), train in zip(speeds.items(), loops, strict=True):
                began = time.perf_counter()
                images = train()
                if number:
                    found.append(images / (time.perf_counter() - began))
                    print(f"round {number}  {name:<10} {found[-1]:8,.0f} images/s", flush=True)
    figures = {name: spread(found) for name, found in speeds.items()}
    for other in ("minimal", "pythae"):
        figures[f"simulacra / {other}"] = spread(list(np.divide(speeds["simulacra"], speeds[other])))
    conclude(
        "throughput",
        figures,
        smoke=smoke,
        data={"name": data.name, "split": "train", "n": n, "fingerprint": data.fingerprint},
        notes=f"images/s; rounds of one epoch, interleaved; load average at the end {os.getloadavg()[0]:.2f}",
    )


def spread(values: list[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


if __name__ == "__main__":
    main()
