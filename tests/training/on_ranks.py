"""What the processes of `test_two_ranks` do, and one process beside them: `python on_ranks.py FOLDER [kill]`."""

from __future__ import annotations

import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from safetensors.torch import save_file
from small import SPECS, before_step, dataset, small_arguments, suited, trained_in_steps, weights

import simulacra as sim
from simulacra import registry
from simulacra.data.hidden import hide_labels
from simulacra.errors import TrainingError
from simulacra.model import Model
from simulacra.parts import convert
from simulacra.training import Observer
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.options import Options, resolve
from simulacra.training.runtime import Runtime, leads, runtime
from simulacra.turns import Phase

BATCH, STEPS = 9, 5  # shared by two processes unevenly; of 40 items, so that the last step is of the second epoch

Case = tuple[str, dict[str, Any]]
GRADIENT = {"penalties": ("gradient", "gradient:every=2"), "critic_steps": 2, "game": "wasserstein"}
CONV = {"generator": "dcgan:width=4", "critic": "dcgan:width=4"}
CASES: dict[str, Case] = {entry.name: (entry.name, {}) for entry in trained_in_steps()} | {
    "sagan": ("sagan", {"learning_rate": 1e-4}),  # a critic of four times the rate multiplies what is rounded
    "spade": ("spade", {"learning_rate": 1e-5}),  # the hinge's slopes are counts that may be equal: Adam divides 0 by 0
    "bernoulli codes": ("vae", {"prior": "bernoulli"}),
    "one-hot codes": ("vae", {"prior": "categorical"}),
    "vampprior": ("vae", {"prior": "vampprior"}),
    "iwae": ("vae", {"objective": "iwae:draws=3"}),
    "dreg": ("vae", {"objective": "dreg:draws=3"}),
    "free bits": ("vae", {"objective": "elbo:free_bits=0.5"}),
    "free bits of layers": ("ladder-vae", {"objective": "elbo:free_bits=0.5"}),
    "denoising": ("autoencoder", {"noise": 0.5}),
    "several orders": ("made", {"orders": 3}),
    "few labels": ("m2", {}),
    "modes of classes": ("aae", {"prior": "ring", "latent": 2}),
    "modes": ("wae-mmd", {"prior": "swiss-roll", "latent": 2}),
    "gradient penalties": ("gan", GRADIENT),
    "a gradient through batch norm": ("gan", CONV | {"penalties": ("r1",)}),
    "differentiable augmentation": ("gan", {"augmentation": "diffaugment"}),
    "adaptive augmentation": ("gan", {"augmentation": "adaptive:rise=0.5,target=0,begin=0.4", "game": "hinge"}),
    "in parts": ("vae", {"accumulate": 2}),
}


def trained(case: str, where: Runtime) -> dict[str, Tensor]:
    """The weights, and the terms of every step, of a small model without dropout."""
    name, given = CASES[case]
    entry = registry.find(name)
    own = {key: convert(entry.arguments[key].type, given[key], key) for key in given if key in entry.arguments}
    spec = SPECS["grey" if case == "vampprior" else "grey-labelled"] if own else suited(entry, "grey-labelled")
    torch.manual_seed(0)
    model = entry.build(spec, **(small_arguments(entry) | own))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    options = {key: value for key, value in given.items() if key not in own}
    data = dataset(spec)
    data = hide_labels(data, "label", 20, 0) if case == "few labels" else data
    loop = Loop(model, resolve(entry.defaults, {"batch": BATCH, "warmup": 2, "steps": STEPS, **options}), where)
    batches = Batches(data.train, model.spec, BATCH, 0, where)
    terms = {}
    for step in range(STEPS):
        terms |= {f"term {key} {step}": term for key, term in loop.step(batches, step / STEPS).items()}
    return weights(model) | terms


# Whole runs

RUN: dict[str, Any] = {"network": "dense:hidden=16,dropout=0.1", "latent": 3, "batch": 7, "every": 2, "warmup": 2}


class Heard(Observer):
    """Writes down what is said, and how a run ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def said(self, line: str) -> None:
        with self.path.open("a") as file:
            file.write(line + "\n")


def run(folder: Path, steps: int) -> None:
    observers = [Heard(folder.with_suffix(".txt"))]
    sim.fit("vae", dataset(SPECS["grey"]), folder, steps=steps, observers=observers, **RUN)


class FailsElsewhere(Model):
    """Its loss is no number on the last process alone."""

    def __init__(self, rank: int) -> None:
        super().__init__(SPECS["vector"])
        self.theta, self.bad = nn.Linear(1, 1), math.nan if rank else 1.0

    def phases(self) -> list[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Any) -> dict[str, Tensor]:
        pull = self.theta.weight.square().sum()
        return {"pull": pull, "push": pull * self.bad}


def failure(where: Runtime) -> str:
    model = FailsElsewhere(where.rank)
    batches = Batches(dataset(model.spec).train, model.spec, 4, 0, where)
    try:
        Loop(model, Options(batch=4), where).step(batches, 0.0)
    except TrainingError as error:
        return str(error)
    return "none"


def main(folder: Path, kill: bool) -> None:
    torch.set_num_threads(1)
    if kill:
        with before_step(3, lambda: None if leads() else os.kill(os.getpid(), signal.SIGKILL)):
            run(folder / "killed", 5)
        return
    where = runtime("cpu", "fp32")
    run(folder / "killed", 5)
    run(folder / "straight", 5)
    for _ in range(2):
        run(folder / "straight", 5)  # finished
    (folder / f"failure-{where.rank}.txt").write_text(failure(where))
    for case in CASES:
        found = trained(case, where)
        if where.leads:
            save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / f"{case}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), kill="kill" in sys.argv)
    sys.stderr.flush()
    os._exit(0)  # threads of gloo have aborted a process whose work was done, now and then, while Python ended
