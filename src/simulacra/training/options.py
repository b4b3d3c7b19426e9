"""How to train: one flat record. A model brings its own defaults, and what the user gives goes before them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from simulacra.errors import UsageError, did_you_mean
from simulacra.parts import above, convert, share, to_json, within
from simulacra.registry import BUDGET
from simulacra.schema import arguments
from simulacra.training.augmentation import Augmentation

POSITIVE = ("steps", "epochs", "minutes", "batch", "accumulate", "learning_rate", "clip", "skip", "every")


@dataclass(frozen=True)
class Options:
    """Training options. A run that is continued may change its budget and device and nothing else.

    Attributes:
        steps: stop after this many steps.
        epochs: stop after this many passes over the training split.
        minutes: stop after this much time; of several budgets the first one spent ends the run.
        batch: items in a step, over all processes together.
        accumulate: parts in which a batch is taken, where all of it at once does not fit into memory; one update, with
            the noise of the whole batch. Batch norm, codebooks, free bits and an MMD see one part at a time.
        learning_rate: of Adam, reached after `warmup` steps.
        betas: of Adam.
        weight_decay: decoupled from the gradient (AdamW).
        schedule: constant, or cosine: down to zero over the part of the budget in which a network is trained.
        warmup: steps over which the learning rate rises.
        clip: largest norm of the gradient of a phase, in units of its loss; none without it.
        skip: an update whose gradient has a larger norm than this, before clipping, is not taken; none without it.
        ema: decay per step of the averaged weights that are saved, sampled and scored; 0 keeps the raw ones.
        every: steps between validations, each with a picture and a checkpoint; by default about one epoch, and in a
            slow run every ten minutes too.
        patience: validations without a better figure of the judge before training stops early; 0 never stops.
        augment: how images are changed anew in every epoch: flip, crop:padding=4, shift:pixels=2; not by default.
        seed: of the initial weights, the order of the items and all noise.
        device: auto takes a GPU where there is one; else cpu, cuda, mps.
        precision: of the networks: fp32 or bf16 (auto: bf16 on a GPU, and on a CPU that computes in it for models and
            images that gain by it); likelihoods are always at least fp32.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    batch: int = 64
    accumulate: int = 1
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 100
    clip: float | None = None
    skip: float | None = None
    ema: float = 0.999
    every: int | None = None
    patience: int = 10
    augment: tuple[Augmentation, ...] = ()
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        for name, argument in arguments(Options).items():
            object.__setattr__(self, name, convert(argument.type, getattr(self, name), name))
        above(0, **{name: getattr(self, name) for name in POSITIVE})
        within(0, weight_decay=self.weight_decay, warmup=self.warmup, patience=self.patience)
        share(ema=self.ema)
        for beta in self.betas:
            share(betas=beta)
        if self.accumulate > self.batch:
            raise UsageError(f"a batch of {self.batch} cannot be taken in {self.accumulate} parts (accumulate)")


USUAL_STEPS = 4000  # where neither the user nor the model gives a budget
PASSES = (5, 500)  # over the training split, the fewest and the most of a default budget,
STRETCH = 10  # as long as it stays within this factor of the model's own number of steps
FREE_TO_CHANGE = (*BUDGET, "device")  # everything else decides the weights, and must stay when a run is continued
OF_ONE_PASS = ("batch", "seed", "device")  # what remains to be said where nothing is optimised


def resolve(defaults: Mapping[str, Any], given: Mapping[str, Any], items: int | None = None) -> Options:
    """The model's defaults with the user's options over them; a budget that is given replaces the default budget whole.

    A default number of steps is that of `suited_steps`, for data of so many training `items`.

    Raises UsageError for an option that does not exist, or is out of range.
    """
    known = [field.name for field in fields(Options)]
    for name in (*defaults, *given):
        if name not in known:
            raise UsageError(f"there is no option {name!r}.{did_you_mean(name, known)}")
    chosen = {name: value for name, value in given.items() if value is not None}
    options = replace(Options(), **dict(defaults))
    if all(getattr(options, name) is None for name in BUDGET):
        options = replace(options, steps=USUAL_STEPS)
    if any(name in chosen for name in BUDGET):
        options = replace(options, **dict.fromkeys(BUDGET))
    options = replace(options, **chosen)
    if items is None or options.steps is None or "steps" in chosen:
        return options
    return replace(options, steps=suited_steps(options.steps, options.batch, items))


def suited_steps(steps: int, batch: int, items: int) -> int:
    """A model's own number of steps, which suits a few thousand items, changed to what so many items need.

    Where it would be less than 5 passes over the data it becomes 5 passes, and where it would be more than 500 it
    becomes 500, but at most ten times or a tenth of what it was.
    """
    fewest, most = (math.ceil(passes * items / batch) for passes in PASSES)
    return min(max(steps, min(fewest, STRETCH * steps)), max(most, math.ceil(steps / STRETCH)))


def decisive(options: Options) -> dict[str, Any]:
    """The options that decide the weights, JSON-ready: what a continued run must share with its beginning."""
    names = [field.name for field in fields(Options) if field.name not in FREE_TO_CHANGE]
    return {name: to_json(getattr(options, name)) for name in names}
