"""`evaluate`: every metric that a model's abilities allow, each with its n, interval, floor and protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulacra.capabilities import Sampler, can
from simulacra.errors import UsageError
from simulacra.evaluation import metrics as _usual  # noqa: F401 (its metrics are registered)
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.memorisation import Neighbours
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metrics
from simulacra.model import ModelLike
from simulacra.progress import stage
from simulacra.verbs import DataLike, verb
from simulacra.verbs import subject as subject_of


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Measure]):
    """All figures by name: it is a mapping. Beside them stands what pictures of a report need.

    Attributes:
        measures: the figures.
        samples: (n, *shape) those that were drawn for it; None of a model that draws none.
        neighbours: of each sample its nearest training item.
        left_out: metrics that the model and the data allow and that a missing package or the training split does not,
            with the remedy.
    """

    measures: Mapping[str, Measure]
    samples: np.ndarray | None
    neighbours: Neighbours | None
    left_out: Mapping[str, str]

    def __getitem__(self, name: str) -> Measure:
        return self.measures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.measures)

    def __len__(self) -> int:
        return len(self.measures)

    def __str__(self) -> str:
        return "\n".join(f"{name}: {measure}" for name, measure in self.items())

    def to_json(self) -> dict[str, Any]:
        """{metric: {value, low, high, floor, n, kind, protocol, warning}}"""
        return {name: measure.to_json() for name, measure in self.items()}


@verb
def evaluate(
    model: ModelLike, data: DataLike | None = None, split: str = "test", seed: int = 0, samples: int = 1
) -> Evaluation:
    """Every metric that the model's abilities allow, by name.

    The usual ones stand in `simulacra.evaluation.metrics`; those for codes need the extra `eval` and are left out
    without it. `simulacra.evaluation.table` says how to add one.

    Args:
        model: a model or its run folder.
        data: a data set of the same shape and levels, its name or path, an array or a torch `Dataset`; without it that
            of the run. Paths are read by the recipe of the run.
        split: "train", "valid" or "test". Of "train" nothing is held out: there are no floors, no near-copies and no
            probes of codes.
        seed: of the samples, and of the held-out items that they are compared with where the split has more than 2,000.
        samples: draws in the importance-weighted bound of a latent-variable model.

    Raises UsageError for data of another shape or grid, or without a field that the model is conditioned on.
    """
    model, data = subject_of(model, data)
    subject = Subject(model, data, split, seed, samples)
    measures: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    for each in metrics():
        if not each.suits(subject):
            continue
        if obstacle := each.obstacle(split, len(subject.items)):
            left_out[each.name] = obstacle
            continue
        with stage(each.name):
            found = each(subject)
        if twice := sorted(found.keys() & measures.keys()):
            raise UsageError(f"metric {each.name!r} gives {twice[0]!r}, which another metric gives too: rename it")
        measures |= found
    if not can(model, Sampler):
        return Evaluation(measures, None, None, left_out)
    return Evaluation(measures, subject.samples, subject.neighbours, left_out)
