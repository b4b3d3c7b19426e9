"""Five ways to learn a classifier from few labels, all scored on the same test items. M1 is a model with an encoder.

probe     logistic regression on the standardised means of M1's codes; the encoder is frozen
finetune  a linear layer on these means, trained together with the encoder
scratch   the same classifier from random weights, a baseline that uses the labels alone
m2        a generative model of items and classes, which learns from unlabelled items too
m1+m2     the same of codes z ~ q(z|x) of M1, drawn anew for every batch, in place of the items

All settings are fixed and stand here; those of m2 and m1+m2 were compared once, on the validation split of MNIST. A
draw uses only the labels drawn by its seed, and training ends after a number of steps. M1 was trained on the training
items without their labels. Kingma et al. 2014, sections 2 and 4.1, for M1, M2 and both together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from simulacra import registry
from simulacra.capabilities import Encoder
from simulacra.data import Dataset, DataSpec, Split
from simulacra.data.hidden import HIDDEN
from simulacra.distributions import BinaryCode, OneHotCode
from simulacra.errors import NotSupported
from simulacra.evaluation.logistic import logistic_regression
from simulacra.evaluation.mistakes import mistakes
from simulacra.exploration.codes import encode_items
from simulacra.fields import Real
from simulacra.model import Model, evaluating
from simulacra.networks import Dense
from simulacra.randomness import seed_everything
from simulacra.studies.supervised import Supervised
from simulacra.training.batches import Batches
from simulacra.training.loop import Draws, Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Items

PENALTY = 1.0  # of the probe, on half the squares of its weights, against the sum of the losses
SUPERVISED: dict[str, Any] = {"batch": 100, "learning_rate": 1e-3, "ema": 0.99}
GENERATIVE: dict[str, Any] = {"batch": 200, "learning_rate": 1e-3, "ema": 0.999}
OF_CODES = GENERATIVE | {"learning_rate": 3e-3}
M2: dict[str, Any] = {"latent": 50, "network": Dense(hidden=500)}

Report = Callable[[float], None]
"""Is called with the share of a task that is done."""


@dataclass(frozen=True)
class FewLabelTask:
    """One draw of labels: in `data` all others are hidden. The seed is of the weights, the batches and the noise."""

    data: Dataset
    seed: int
    steps: int
    report: Report


@dataclass(frozen=True)
class Method:
    """`learn` returns which of the test items are classified wrongly, (N,); `steps` of training by default."""

    learn: Callable[[Encoded, FewLabelTask], np.ndarray]
    steps: int
    protocol: str


class Encoded:
    """M1, and what is computed once for all tasks. `field` of the data is the label."""

    def __init__(self, model: Model, data: Dataset, field: str, where: Runtime) -> None:
        self.model, self.data, self.field, self.where = model.to(where.device).eval(), data, field, where
        self.spec = data.spec.conditioned_on((field,))
        self.classes = self.spec.classes("learning from few labels")[field].count

    @cached_property
    def train(self) -> dict[str, np.ndarray]:
        """Codes of the training items, a draw `z` and the `mean`, (N, D)."""
        return _flat(encode_items(self.model, self.data.train))

    @cached_property
    def test(self) -> dict[str, np.ndarray]:
        return _flat(encode_items(self.model, self.data.test))

    @cached_property
    def units(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean and standard deviation of every coordinate of the training items' `z` and `mean`, (D,)."""
        spread = {name: values.std(0) for name, values in self.train.items()}
        return {
            name: (self.train[name].mean(0), np.where(s > 0, s, 1).astype(np.float32)) for name, s in spread.items()
        }

    def standardised(self, values: np.ndarray, like: str) -> np.ndarray:
        """Codes (N, D) standardised like `z` or `mean`."""
        centre, unit = self.units[like]
        return (values - centre) / unit

    def refuse(self, method: str) -> None:
        """Raise NotSupported where the codes of M1 do not allow a method."""
        assert isinstance(self.model, Encoder)
        q = self.model.encode(torch.from_numpy(np.array(self.data.test.x[:1])).to(self.where.device))
        if method in ("finetune", "scratch") and not q.mean.requires_grad:
            raise NotSupported(
                f"{method} cannot train {self.name}: no gradient reaches its encoder through its codes; use probe"
            )
        if method == "m1+m2" and isinstance(q, BinaryCode | OneHotCode):
            raise NotSupported(f"m1+m2 learns densities of codes, and those of this {self.name} are discrete; use m2")

    @property
    def name(self) -> str:
        return self.model.name


def _probe(encoded: Encoded, task: FewLabelTask) -> np.ndarray:
    kept, label = _few(encoded, task)
    train, test = (torch.from_numpy(encoded.standardised(c["mean"], "mean")) for c in (encoded.train, encoded.test))
    logits = logistic_regression(train[kept], torch.from_numpy(label), encoded.classes, PENALTY)
    return logits(test.double()).argmax(1).numpy() != encoded.data.test.field(encoded.field)


def _finetune(encoded: Encoded, task: FewLabelTask) -> np.ndarray:
    return _supervised(encoded, task, copy.deepcopy(encoded.model))


def _scratch(encoded: Encoded, task: FewLabelTask) -> np.ndarray:
    seed_everything(task.seed, "weights")
    fresh = type(encoded.model)(encoded.model.spec, **encoded.model.arguments)
    return _supervised(encoded, task, fresh.to(encoded.where.device))


def _m2(encoded: Encoded, task: FewLabelTask) -> np.ndarray:
    seed_everything(task.seed, "weights")
    model = registry.build("m2", encoded.spec, **M2).to(encoded.where.device)
    batches = Batches(task.data.train, encoded.spec, GENERATIVE["batch"], task.seed, encoded.where)
    return mistakes(_trained(encoded, model, batches, task, GENERATIVE), encoded.data.test)


def _m1_m2(encoded: Encoded, task: FewLabelTask) -> np.ndarray:
    codes = encoded.standardised(encoded.test["mean"], "z").astype(np.float32)
    spec = DataSpec(Real(codes.shape[1:]), encoded.spec.condition)
    seed_everything(task.seed, "weights")
    model = registry.build("m2", spec, **M2).to(encoded.where.device)
    batches = CodeBatches(encoded, task.data.train, task.seed)
    return mistakes(_trained(encoded, model, batches, task, OF_CODES), replace(encoded.data.test, x=codes))


class CodeBatches:
    """Batches with a fresh draw of each item's standardised code in place of the item."""

    def __init__(self, encoded: Encoded, split: Split, seed: int) -> None:
        self.batches = Batches(split, encoded.spec, GENERATIVE["batch"], seed, encoded.where)
        self.model, self.seed = encoded.model, seed
        self.centre, self.unit = (torch.from_numpy(values).to(encoded.where.device) for values in encoded.units["z"])

    def __getitem__(self, draw: int) -> Items:
        x, condition = self.batches[draw]
        seed_everything(self.seed, "codes", draw)
        assert isinstance(self.model, Encoder)
        with evaluating(self.model):
            z = self.model.encode(x).sample().flatten(1).float()
        return (z - self.centre) / self.unit, condition


def _supervised(encoded: Encoded, task: FewLabelTask, encoder: Model) -> np.ndarray:
    seed_everything(task.seed, "head")
    kept, label = _few(encoded, task)
    few = Split(np.asarray(encoded.data.train.x[kept]), {encoded.field: label}, "train")
    options = SUPERVISED | {"batch": min(SUPERVISED["batch"], len(kept))}
    batches = Batches(few, encoded.spec, options["batch"], task.seed, encoded.where)
    return mistakes(_trained(encoded, Supervised(encoded.spec, encoder), batches, task, options), encoded.data.test)


def _trained(encoded: Encoded, model: Model, batches: Draws, task: FewLabelTask, options: dict[str, Any]) -> Model:
    """The averaged weights after all steps, with a learning rate that falls to zero."""
    training = Options(steps=task.steps, seed=task.seed, schedule="cosine", warmup=0, **options)
    loop = Loop(model, training, encoded.where)
    for step in range(task.steps):
        loop.step(batches, step / task.steps)
        task.report(step / task.steps)
    loop.refuse_unless_finite()
    return loop.fitted


def _few(encoded: Encoded, task: FewLabelTask) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the labelled training items, and their labels."""
    label = task.data.train.field(encoded.field)
    kept = np.flatnonzero(label != HIDDEN)
    return kept, label[kept]


def _flat(codes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: codes[name].reshape(len(codes[name]), -1) for name in ("z", "mean")}


_HOW = "Adam, a learning rate that falls to zero as a cosine, averaged weights after the last step"
_M2 = (
    f"{M2['latent']} latent, {M2['network'].layers} × {M2['network'].hidden} hidden, "
    f"{GENERATIVE['batch']} in a batch, half labelled"
)

METHODS = {
    "probe": Method(_probe, 0, f"logistic regression on standardised mean codes, penalty {PENALTY:g}/2 |W|²"),
    "finetune": Method(_finetune, 500, f"linear layer on the mean code, trained with the encoder; {_HOW}"),
    "scratch": Method(_scratch, 500, f"as finetune, but from random weights; {_HOW}"),
    "m2": Method(_m2, 3000, f"M2 on items, {_M2}; {_HOW}"),
    "m1+m2": Method(_m1_m2, 5000, f"M2 on standardised draws of q(z|x), {_M2}, test items by their mean; {_HOW}"),
}
