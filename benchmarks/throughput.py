"""Training images a second of the same model in three training loops, Bernoulli pixels, batch 128.

    minimal    the loop of a tutorial: tensors in memory, Adam, BCE + KL, nothing else
    pythae     0.1.2, `BaseTrainer.train_step` with its own data loader, progress bars off
    simulacra  `Loop` on `Batches` over the memory-mapped cache as `fit` runs them: averaged weights, a check of every
               loss, a log line every 50 steps; once more with `--precision bf16`, which pythae has on GPUs only

The models: `dense`, a VAE 784-512-20; `conv`, a VAE of strided convolutions (32, 64, 128 channels) and 20 numbers in
a code; `vqvae`, the autoencoder of `vqvae` with its default arguments (without its prior, which pythae does not have in
the same run). pythae trains the very same modules as simulacra; for `vqvae` there is no minimal loop.

All train on binarized MNIST in one process, so many images a round, in turn (A B C A B C ...), after a round that
does not count; validation and checkpoints are left out everywhere. Ratios are within a round; the median counts.
Targets: simulacra / minimal >= 0.9, simulacra / pythae >= 1.3.

    pip install -e ".[benchmarks]" -c constraints.txt
    python benchmarks/throughput.py dense
"""

from __future__ import annotations

import itertools
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
from pythae.models import VQVAE as PythaeVQVAE
from pythae.models import VAEConfig, VQVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from record import conclude, parser
from torch import Tensor, nn

import simulacra as sim
from simulacra.latent import VQVAE
from simulacra.networks import Conv, Dense
from simulacra.networks.conv import ConvDecoder, ConvEncoder
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.observers import LOGGED_EVERY
from simulacra.training.plan import make_plan
from simulacra.training.runtime import Runtime

PIXELS, HIDDEN, LATENT, BATCH, RATE = 784, 512, 20, 128, 1e-3
IMAGE, WIDTH = (1, 28, 28), 32  # of the conv network
ROUNDS, IMAGES = 7, {"dense": 50_000, "conv": 1_536, "vqvae": 1_024}  # of a round
OURS = {"simulacra": False, "simulacra bf16": True}
Round = Callable[[], int]  # trains for a while; returns the number of images


def minimal(x: Tensor, network: str) -> Round:
    encoder: nn.Module = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
    decoder: nn.Module = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))
    if network == "conv":
        encoder, decoder = ConvPart(ConvEncoder(IMAGE, WIDTH, 2 * LATENT, {}, 0.0)), ConvPart(conv_decoder())
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)

    def epoch() -> int:
        for indices in torch.randperm(len(x)).split(BATCH):
            batch = x[indices]
            mean, log_variance = encoder(batch).chunk(2, dim=1)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            reconstruction = F.binary_cross_entropy_with_logits(decoder(z).view_as(batch), batch, reduction="sum")
            kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
            loss = (reconstruction + kl) / len(batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return len(x)

    return epoch


def conv_decoder() -> ConvDecoder:
    return ConvDecoder(LATENT, WIDTH, IMAGE, 1, {}, 0.0)


class ConvPart(nn.Module):
    """One of simulacra's networks without its condition."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, {})


class ConvolutionalEncoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.network = ConvPart(ConvEncoder(IMAGE, WIDTH, 2 * LATENT, {}, 0.0))

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class ConvolutionalDecoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        self.network = ConvPart(conv_decoder())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.network(z).sigmoid())


class GridEncoder(BaseEncoder):
    def __init__(self, model: VQVAE) -> None:
        super().__init__()
        self.down, self.narrow = model.autoencoder.down[0], model.autoencoder.narrow[0]

    def forward(self, x: Tensor) -> ModelOutput:
        return ModelOutput(embedding=self.narrow(self.down(x)))


class GridDecoder(BaseDecoder):
    def __init__(self, model: VQVAE) -> None:
        super().__init__()
        self.up = model.autoencoder.last

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.up(z).sigmoid())


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


def pythae(x: Tensor, folder: Path, network: str) -> Round:
    training = BaseTrainerConfig(
        output_dir=str(folder), per_device_train_batch_size=BATCH, learning_rate=RATE, no_cuda=True
    )
    trainer = BaseTrainer(their_model(network), BaseDataset(x, torch.zeros(len(x))), training_config=training)
    trainer.prepare_training()
    trainer.callback_handler.callbacks = [TrainingCallback()]  # in place of its progress bar and printer

    def epoch() -> int:
        trainer.train_step(epoch=1)
        return len(x)

    return epoch


def their_model(network: str) -> PythaeVAE | PythaeVQVAE:
    if network == "vqvae":
        ours = VQVAE(sim.data.load("binarized-mnist").spec)
        codes = len(ours.autoencoder.codebooks[0].counts)
        config = VQVAEConfig(input_dim=IMAGE, latent_dim=LATENT, num_embeddings=codes, use_ema=True, decay=0.99)
        return PythaeVQVAE(config, GridEncoder(ours), GridDecoder(ours))
    shape = IMAGE if network == "conv" else (PIXELS,)
    config = VAEConfig(input_dim=shape, latent_dim=LATENT, reconstruction_loss="bce")
    if network == "conv":
        return PythaeVAE(config, ConvolutionalEncoder(), ConvolutionalDecoder())
    return PythaeVAE(config, Encoder(), Decoder())


def simulacra(data: sim.data.Dataset, folder: Path, steps: int, network: str, bf16: bool) -> Round:
    options: dict[str, object] = {"batch": BATCH, "learning_rate": RATE, "minutes": 60}
    if network != "vqvae":
        networks = Dense(HIDDEN) if network == "dense" else Conv(WIDTH)
        options |= {"latent": LATENT, "network": networks, "prior": "gaussian"}
    plan = make_plan("vqvae" if network == "vqvae" else "vae", data, folder, (), False, options)
    folder.mkdir()
    where = Runtime(torch.device("cpu"), bf16=bf16)
    loop = Loop(plan.model, plan.options, where)
    batches = Batches(data.train, plan.model.spec, BATCH, plan.options.seed, where)

    def epoch() -> int:
        for _ in range(steps):
            values = loop.step(batches, 0.0)  # at the beginning of the budget: a vqvae trains its autoencoder
            if loop.steps % LOGGED_EVERY == 0:
                plan.folder.log({"step": loop.steps} | {name: value.item() for name, value in values.items()})
        return steps * BATCH

    return epoch


def main() -> None:
    options = parser(__doc__)
    options.add_argument("network", choices=IMAGES, nargs="?", default="dense")
    args = options.parse_args()
    smoke, network = args.smoke, args.network
    logging.disable(logging.WARNING)
    data = sim.data.load("binarized-mnist")
    n = 2_000 if smoke else IMAGES[network]
    x = torch.from_numpy(data.train.x[:n].astype(np.float32))
    x = x.flatten(1) if network == "dense" else x
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        loops = {"minimal": minimal(x, network)} if network != "vqvae" else {}
        loops |= {"pythae": pythae(x, folder / "pythae", network)}
        steps = -(-n // BATCH)
        for name, bf16 in OURS.items():
            loops[name] = simulacra(data, folder / name.replace(" ", "-"), steps, network, bf16)
        speeds: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(2 if smoke else 1 + ROUNDS):
            for name, train in loops.items():
                began = time.perf_counter()
                images = train()
                if number:
                    speeds[name].append(images / (time.perf_counter() - began))
                    print(f"round {number}  {name:<10} {speeds[name][-1]:8,.0f} images/s", flush=True)
    figures = {name: spread(found) for name, found in speeds.items()}
    for ours, other in itertools.product(OURS, speeds.keys() - OURS.keys()):
        figures[f"{ours} / {other}"] = spread(list(np.divide(speeds[ours], speeds[other])))
    conclude(
        "throughput" if network == "dense" else f"throughput_{network}",
        figures,
        smoke=smoke,
        data={"name": data.name, "split": "train", "n": n, "fingerprint": data.fingerprint},
        notes=f"images/s; interleaved rounds of {n} images; load average at the end {os.getloadavg()[0]:.2f}",
    )


def spread(values: list[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


if __name__ == "__main__":
    main()
