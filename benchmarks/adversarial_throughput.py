"""Images a second of training steps of `sngan` and `stylegan2` against the same networks in plain PyTorch.

    plain      the networks of the papers as libraries of GANs have them, and a step written out by hand: plain_gans.py;
               `grouped`: modulated convolutions of `stylegan2` as grouped ones, as in the paper and in most libraries,
               not by scaling, which is faster here
    simulacra  the presets by `Loop` on `Batches`, as `fit` runs them: averaged weights, a check of every loss, a log
               line every 50 steps

Both have the same layers, as wide (their numbers of parameters agree within 2 %), the same batch, critic steps and
penalties in the same steps: five updates of the critic for one of the generator in `sngan`; R1 in every 16th step and
path lengths in every 8th in `stylegan2`, of the whole batch. Images are the real ones of all updates of the critic.
Rounds are in turn (A B A B ...) in one process, after one that does not count; a round of `stylegan2` has 16 steps, so
that each has as many penalties. Ratios are within a round; the median counts. Target: simulacra / plain > 1 in each
row, with one thread and with all.

    python benchmarks/adversarial_throughput.py
    python benchmarks/adversarial_throughput.py --device cuda --width 128 --record adversarial_throughput_gpu
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from plain_gans import Step, sngan, stylegan2
from record import conclude, parser
from torch import nn

from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.data import DataSpec, Split
from simulacra.fields import Levels
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.observers import LOGGED_EVERY
from simulacra.training.options import resolve
from simulacra.training.runtime import Runtime

LATENT, CRITIC_STEPS, WIDEST, MAPPING = {"sngan": 128, "stylegan2": 64}, 5, 256, 8
ITEMS, ROUNDS, AGREE = 1024, 3, 0.02
BATCH = {"sngan": {32: 64, 64: 32}, "stylegan2": {32: 32, 64: 16}}
Round = Callable[[int], int]  # trains for so many steps; returns the number of images


class Row(NamedTuple):
    model: str
    side: int
    batch: int
    width: int
    steps: int  # of a round

    @property
    def critic_steps(self) -> int:
        return CRITIC_STEPS if self.model == "sngan" else 1

    def __str__(self) -> str:
        return f"{self.model} {self.side}x{self.side}"


def rows(width: int | None, batch: int | None) -> list[Row]:
    return [
        Row(model, side, batch or own, width or 32, 2 if model == "sngan" else 16)
        for model, sizes in BATCH.items()
        for side, own in sizes.items()
    ]


def ours(row: Row, split: Split, spec: DataSpec, device: torch.device) -> tuple[list[nn.Module], Round]:
    entry = registry.find(row.model)
    more = {"critic_steps": CRITIC_STEPS} if row.model == "sngan" else {"widest": WIDEST, "mapping": MAPPING}
    model = entry.build(spec, width=row.width, latent=LATENT[row.model], **more).to(device)
    assert isinstance(model, GAN)
    runtime = Runtime(device, bf16=False)
    loop = Loop(model, resolve(entry.defaults, {"batch": row.batch}), runtime)
    batches = Batches(split, spec, row.batch, 0, runtime)

    def train(steps: int) -> int:
        for _ in range(steps):
            values = loop.step(batches, 0.5)
            if loop.steps % LOGGED_EVERY == 0:
                print({name: round(value.item(), 3) for name, value in values.items()})
        return steps * row.batch * row.critic_steps

    return [model.generator, model.critic], train


def plain(row: Row, split: Split, device: torch.device, grouped: bool = False) -> tuple[list[nn.Module], Round]:
    """With all images on the device already, which costs it nothing for each batch but a choice."""
    x = torch.from_numpy(np.asarray(split.x)).to(device).float() / 127.5 - 1
    generator, critic, step = plain_networks(row, grouped)
    generator.to(device).train()
    critic.to(device).train()

    def train(steps: int) -> int:
        for _ in range(steps):
            chosen = torch.randint(len(x), (row.critic_steps, row.batch), device=device)
            step([x[rows] for rows in chosen])
        return steps * row.batch * row.critic_steps

    return [generator, critic], train


def plain_networks(row: Row, grouped: bool) -> tuple[nn.Module, nn.Module, Step]:
    latent = LATENT[row.model]
    if row.model == "sngan":
        return sngan(row.side, row.width, latent, CRITIC_STEPS)
    return stylegan2(row.side, row.width, WIDEST, latent, MAPPING, grouped)


def parameters(networks: list[nn.Module]) -> list[int]:
    return [sum(parameter.numel() for parameter in network.parameters()) for network in networks]


def measured(row: Row, device: torch.device, threads: list[int], smoke: bool) -> dict[str, Any]:
    """Rates of both and their ratio, by the number of threads."""
    spec = DataSpec(Levels((3, row.side, row.side), 256))
    images = np.random.default_rng(0).integers(0, 256, (ITEMS, *spec.shape), dtype=np.uint8)
    split = Split(images, {}, "train")
    torch.manual_seed(0)
    peers = {"plain": plain(row, split, device)}
    if row.model == "stylegan2":
        peers["plain, grouped"] = plain(row, split, device, grouped=True)
    sides = {**peers, "simulacra": ours(row, split, spec, device)}
    counts = {name: parameters(networks) for name, (networks, _) in sides.items()}
    for name in peers:
        for own, other in zip(counts["simulacra"], counts[name], strict=True):
            assert abs(own - other) <= AGREE * other, f"{row}: {counts} parameters"
    figures: dict[str, Any] = {"batch": row.batch, "width": row.width, "parameters": counts}
    for number in threads:
        torch.set_num_threads(number)
        speeds: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(2 if smoke else 1 + ROUNDS):
            for name, (_, train) in sides.items():
                speed = rate(train, 1 if smoke else row.steps, device)
                if turn:
                    speeds[name].append(speed)
                    print(f"{row}  threads {number}  round {turn}  {name:<14} {speed:8,.1f} images/s", flush=True)
        for name in peers:
            speeds[f"simulacra / {name}"] = list(np.divide(speeds["simulacra"], speeds[name]))
        figures[f"threads {number}"] = {name: spread(found) for name, found in speeds.items()}
    return figures


def rate(train: Round, steps: int, device: torch.device) -> float:
    waits = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    waits()
    began = time.perf_counter()
    images = train(steps)
    waits()
    return images / (time.perf_counter() - began)


def spread(values: list[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--device", default="cpu")
    options.add_argument("--width", type=int, help="channels next to the image; 32 by default")
    options.add_argument(
        "--batch", type=int, help="by default 64 or 32 at 32×32 (sngan, stylegan2), half of it at 64×64"
    )
    options.add_argument("--only", metavar="ROW", help="such as 'sngan 32x32'; records nothing")
    options.add_argument("--record", default="adversarial_throughput", metavar="NAME", help="of the file of figures")
    args = options.parse_args()
    device = torch.device(args.device)
    threads = [torch.get_num_threads()] if device.type == "cuda" else sorted({1, torch.get_num_threads()})
    chosen = [row for row in rows(args.width, args.batch) if args.only in (None, str(row))]
    figures = {str(row): measured(row, device, threads, args.smoke) for row in chosen}
    conclude(
        args.record,
        figures,
        smoke=args.smoke or args.only is not None,
        data={"name": "uniform noise", "split": "train", "n": ITEMS, "fingerprint": None},
        seeds=[0],
        notes="images/s, colour, of interleaved rounds; the plain sngan has biases where a batch norm follows and no "
        f"averaged weights; load average at the end {os.getloadavg()[0]:.2f}",
    )


if __name__ == "__main__":
    main()
