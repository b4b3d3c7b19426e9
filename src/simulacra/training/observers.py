"""Observers: whoever wants to see a model train. They look, and change nothing.

An observer is called on the leading rank only. It may read what it is given and write files of its own; it neither
changes the model nor draws from torch's global generators, so that a run is the same whoever looks. An error that it
raises ends the run like any other error: what was saved before is whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simulacra.capabilities import Sampler, Translator
from simulacra.condition import Condition
from simulacra.data import DataSpec, Split
from simulacra.feed import drawn, shown_of
from simulacra.model import Model
from simulacra.pictures import conditioned_picture, draws_each, has_picture, rows_picture, save_image
from simulacra.randomness import generator
from simulacra.training.judge import Verdict
from simulacra.training.run import RunFolder

LOGGED_EVERY = 50  # steps
SHOWN = 36  # samples in the picture that each validation draws from the same noise
TRANSLATED = 8  # items that are translated to every domain


@dataclass(frozen=True)
class Moment:
    """Where training stands: `step` steps taken, the share `done` of the budget spent when the last one began, `left`
    seconds to go (None while nobody can know), `epoch` passes over the training split, `seconds` of training."""

    step: int
    done: float
    left: float | None
    epoch: float
    seconds: float


class Observer:
    """Does nothing; a subclass does something where it wants to."""

    def said(self, line: str) -> None:
        """A sentence for a person."""

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        """The loss terms of this step, and after them the norms of its gradients, before they were clipped, as
        `gradient.critic`: of the first step, of every 50th, and else once a second at most."""

    def stepped(self, at: Moment, model: Model) -> None:
        """After every step, with the model in training and its weights of the moment: a look takes time, and on a GPU
        waits for it, so that an observer looks seldom. A model that is fitted in one pass has no steps."""

    def validated(self, at: Moment, model: Model, verdict: Verdict | None) -> None:
        """The averaged weights, in evaluation mode, and the verdict on them, None where there is no judge."""

    def saved(self, at: Moment, folder: Path) -> None:
        """A checkpoint lies in the folder."""

    def ended(self, at: Moment, why: str) -> None:
        """Training has ended: "budget", "patience", "closed form" or "interrupted"."""


class MetricsLog(Observer):
    """Lines of metrics.jsonl: of the first step, of every 50th, and of every validation."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def logged(self, at: Moment, values: Mapping[str, float]) -> None:
        if at.step == 1 or at.step % LOGGED_EVERY == 0:
            self._write(at, values)

    def validated(self, at: Moment, model: Model, verdict: Verdict | None) -> None:
        if verdict is not None:
            self._write(at, {verdict.name: verdict.value})

    def _write(self, at: Moment, values: Mapping[str, float]) -> None:
        self.folder.log({"step": at.step, "epoch": at.epoch, "seconds": round(at.seconds, 3), **values})


class Pictures(Observer):
    """A picture at every validation: of samples, always from the same noise; conditions that are no classes are those
    of validation items, and stand in front of their samples where they are pictures or words, and these items behind
    them. Of a model that maps items some of these, and beside each its translations to all domains."""

    def __init__(self, folder: Path, split: Split, seed: int) -> None:
        self.folder, self.split, self.seed = folder, split, seed

    def validated(self, at: Moment, model: Model, verdict: Verdict | None) -> None:
        if isinstance(model, Sampler) and has_picture(model.spec):
            noise = generator(model.device, self.seed, "picture")
            x, condition = shown_of(model, self.split, SHOWN, draws_each(model.spec, SHOWN))
            items = model.sample(SHOWN, condition, generator=noise).cpu().numpy()
            fields = {name: values.cpu().numpy() for name, values in condition.items()}
            truth = None if x is None else x.cpu().numpy()
            save_image(conditioned_picture(items, fields, model.spec, truth), self.folder / f"step-{at.step:08d}.png")
        elif isinstance(model, Translator) and model.spec.is_image:
            image = rows_picture(*_translations(model, model, self.split))
            save_image(image, self.folder / f"step-{at.step:08d}.png")


def _translations(
    model: Model, translator: Translator, split: Split
) -> tuple[np.ndarray, DataSpec, list[str], list[str]]:
    """Some items of a split, the same ones at each call, with their translations: rows, and what stands above them."""
    x, own = drawn(split, TRANSLATED, model, 0)
    rows, headings = [x], ["item"]
    for name, field in model.spec.classes(model.name).items():
        for number in range(field.count):
            wanted = Condition({**own, name: torch.full_like(own[name], number)})
            rows.append(translator.translate(x, wanted))
            headings.append(f"{name} {field.names[number] if field.names else number}")
    return torch.stack(rows, dim=1).cpu().numpy(), model.spec, [], headings
