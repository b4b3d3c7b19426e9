"""A run that is stopped half-way and continued against one that is not: 200 steps = 100 + 100, in every bit.

Every adversarial preset, with small widths, on `digits` with labels; and the networks of StyleGAN2 with adaptive
augmentation. Each fit is a process of its own: one takes all steps, one is stopped by SIGTERM after half of them (it
ends the step that it is in), one continues. Of the last checkpoints every tensor is compared, by what it is:

    weights, averaged, moments  of both players and of the heads of penalties; of the moving average; of Adam
    spectral                    vectors of spectral norm
    statistics                  running means: of batch norm, of the deviation in a batch, of styles, of path lengths
    augmentation                p and what it is made of
    growth                      the size that a growing network has
    counters                    batches read, turns of each player

A row has the number of tensors of each kind and how many differ in any bit (target: 0), and whether the weights file
and the figures of the log (without seconds) are the same.

Then dcgan, sngan and r3gan on two gloo processes against one on the same global batch: |w₂ - w₁| / |w₁| of all
weights together, after 1, 10 and 50 steps, of which rounding grows as training goes on; and two processes that were
stopped and continued against two that were not, in every bit.

    OMP_NUM_THREADS=1 python benchmarks/resume.py
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from record import conclude, parser
from safetensors.torch import load_file
from torch import Tensor

import simulacra as sim
from simulacra import registry
from simulacra.training import Interrupted
from simulacra.training.observers import Moment, Observer

STEPS, SMOKE = 200, 60  # LOGGED_EVERY, at which a run can be stopped, is 50
SMALL: dict[str, Any] = {  # whichever of them a model has
    "width": 4,
    "widest": 16,
    "latent": 16,
    "mapping": 2,
    "hidden": 32,
    "network": "dense:hidden=32",
    "generator": "dense:hidden=32",
    "critic": "dense:hidden=32",
}
ADAPTIVE = "stylegan2, adaptive augmentation"
HAND_MADE: dict[str, tuple[str, dict[str, Any]]] = {
    ADAPTIVE: (
        "gan",
        {
            "generator": "stylegan2:width=4,widest=16,mapping=2",
            "critic": "stylegan2:width=4,widest=16",
            "game": "non-saturating",
            "penalties": ("r1:every=16", "path-length"),
            "augmentation": "adaptive:rise=1,target=0.2,begin=0.2",
        },
    )
}
ON_TWO = ("dcgan", "sngan", "r3gan")
OPTIONS: dict[str, Any] = {"batch": 15, "patience": 0, "every": 100, "schedule": "cosine", "condition": "label"}
KINDS = {  # by what is found in a name
    "augmentation": ("model.shown.",),
    "growth": (".growth",),
    "statistics": (".running_", ".num_batches", ".running.", ".usual.", "memories."),
    "counters": ("drawn", "turns", "skips"),
}


class Stop(Observer):
    def __init__(self, step: int) -> None:
        self.step = step

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        if at.step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def fitted(case: str, folder: str, steps: int, stop: int) -> None:
    """What a child process does: begin or continue a run, and stop it after so many steps, or never."""
    torch.set_num_threads(1)
    name, given = HAND_MADE.get(case, (case, {}))
    own = {key: value for key, value in SMALL.items() if key in registry.find(name).arguments} | given
    try:
        sim.fit(name, "digits", folder, steps=steps, observers=[Stop(stop)] if stop else [], **own, **OPTIONS)
    except Interrupted:
        if not stop:
            raise
    else:
        assert not stop, f"{case} was not stopped at step {stop}"


def child(case: str, folder: Path, steps: int, stop: int = 0, processes: int = 1) -> None:
    launch = []
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
        launch += ["--master-port", port]
    words = [__file__, "--child", json.dumps({"case": case, "folder": str(folder), "steps": steps, "stop": stop})]
    done = subprocess.run([sys.executable, *launch, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"{case}: {done.stderr[-2000:]}"


def last_state(run: Path) -> dict[str, Tensor]:
    return load_file(sorted((run / "checkpoints").glob("step-*"))[-1] / "state.safetensors")


def kind_of(name: str) -> str:
    first = name.partition(".")[0]
    if first in ("averaged", "optimiser"):
        return {"averaged": "averaged", "optimiser": "moments"}[first]
    if name.endswith(".u"):
        return "spectral"
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "weights")


def logged(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def compared(one: Path, other: Path) -> dict[str, Any]:
    first, second = last_state(one), last_state(other)
    assert first.keys() == second.keys()
    counts: dict[str, int] = {}
    for name in first:
        counts[kind_of(name)] = counts.get(kind_of(name), 0) + 1
    files = [run / "model" / "weights.safetensors" for run in (one, other)]
    return {
        **counts,
        "differ": sum(not torch.equal(first[name], second[name]) for name in first),
        "weights file equal": files[0].read_bytes() == files[1].read_bytes(),
        "log equal": logged(one) == logged(other),
    }


def in_halves(case: str, scratch: Path, steps: int, processes: int = 1) -> dict[str, Any]:
    whole, halves = scratch / f"whole-{processes}", scratch / f"halves-{processes}"
    child(case, whole, steps, processes=processes)
    child(case, halves, steps, stop=steps // 2 if steps == STEPS else 50, processes=processes)
    child(case, halves, steps, processes=processes)
    return compared(whole, halves)


def gap(case: str, scratch: Path, steps: int) -> float:
    """Between one process and two."""
    runs = [scratch / f"{steps}-by-{processes}" for processes in (1, 2)]
    for processes, run in enumerate(runs, 1):
        child(case, run, steps, processes=processes)
    one, two = (
        torch.cat([tensor.flatten().double() for name, tensor in state.items() if kind_of(name) == "weights"])
        for state in map(last_state, runs)
    )
    return float((two - one).norm() / one.norm())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--child", help="for the processes that this one starts")
    args = options.parse_args()
    if args.child:
        given = Namespace(**json.loads(args.child))
        fitted(given.case, given.folder, given.steps, given.stop)
        return
    presets = [entry.name for entry in registry.models() if entry.family == "adversarial"]
    steps, alone, together = (SMOKE, [ADAPTIVE], ["dcgan"]) if args.smoke else (STEPS, [*presets, ADAPTIVE], ON_TWO)
    figures: dict[str, Any] = {}
    for case in alone:
        with tempfile.TemporaryDirectory() as scratch:
            figures[case] = in_halves(case, Path(scratch), steps)
            print(case, figures[case], flush=True)
    for case in together:
        with tempfile.TemporaryDirectory() as scratch:
            row = {
                f"gap after {n} steps": gap(case, Path(scratch), n) for n in ((1, 10) if args.smoke else (1, 10, 50))
            }
            figures[f"{case}, two processes"] = row | in_halves(case, Path(scratch), steps, 2)
            print(case, figures[f"{case}, two processes"], flush=True)
    data = sim.data.load("digits")
    where = {"name": data.name, "split": "train", "fingerprint": data.fingerprint}
    notes = f"{steps} steps of {OPTIONS['batch']} items, small widths; tensors of the last checkpoint by kind"
    conclude("resume", figures, smoke=args.smoke, data=where, seeds=[0], notes=notes)


if __name__ == "__main__":
    main()
