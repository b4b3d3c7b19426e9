"""`evaluate`: every metric that a model's abilities allow, each with its n, interval, floor and protocol."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.capabilities import Sampler, can
from simulacra.data import Dataset, Split
from simulacra.errors import UsageError
from simulacra.evaluation import bounces as _of_bounces  # noqa: F401
from simulacra.evaluation import clips as _of_clips  # noqa: F401
from simulacra.evaluation import conditional as _conditional  # noqa: F401
from simulacra.evaluation import forecasts as _forecasts  # noqa: F401
from simulacra.evaluation import maps as _of_maps  # noqa: F401
from simulacra.evaluation import metrics as _usual  # noqa: F401 (its metrics are registered)
from simulacra.evaluation import recurrence as _of_parts  # noqa: F401
from simulacra.evaluation import samples as _of_samples  # noqa: F401
from simulacra.evaluation import scenes as _of_scenes  # noqa: F401
from simulacra.evaluation import seams as _of_seams  # noqa: F401
from simulacra.evaluation import temporal as _temporal  # noqa: F401
from simulacra.evaluation import timegan_scores as _timegan_scores  # noqa: F401
from simulacra.evaluation import trajectories as _of_paths  # noqa: F401
from simulacra.evaluation import translated as _translated  # noqa: F401
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.memorisation import Neighbours
from simulacra.evaluation.subject import Subject
from simulacra.evaluation.table import metrics
from simulacra.model import ModelLike
from simulacra.progress import advance, stage
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, verb
from simulacra.verbs import subject as subject_of

QUICK = 300  # held-out items of a quick look


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, Measure]):
    """All figures by name: it is a mapping. Beside them stands what pictures of a report need.

    Attributes:
        measures: the figures.
        samples: (n, *shape) those that were drawn for it; None of a model that draws none.
        neighbours: of each sample its nearest training item.
        left_out: metrics that the model and the data allow and that a missing package, the training split or a quick
            look does not, with the remedy.
        quick: whether it was a quick look.
    """

    measures: Mapping[str, Measure]
    samples: np.ndarray | None
    neighbours: Neighbours | None
    left_out: Mapping[str, str]
    quick: bool = False

    def __getitem__(self, name: str) -> Measure:
        return self.measures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.measures)

    def __len__(self) -> int:
        return len(self.measures)

    def __str__(self) -> str:
        return "\n".join(f"{name}: {measure}" for name, measure in self.items())

    def to_json(self) -> dict[str, Any]:
        """{metric: {value, low, high, floor, n, kind, protocol, warning, note, baseline, control, ceiling}}"""
        return {name: measure.to_json() for name, measure in self.items()}


@verb
def evaluate(
    model: ModelLike,
    data: DataLike | None = None,
    split: str = "test",
    seed: int = 0,
    samples: int = 1,
    quick: bool = False,
    features: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Every metric that the model's abilities allow, by name.

    The usual ones stand in `simulacra.evaluation.metrics` and `simulacra.evaluation.samples`, and in `conditional`,
    `maps`, `scenes` and `translated` those of models that are given more than a class, with baselines and a control;
    in `clips` and `bounces` those of video.
    Those for codes need the extra `eval` and are left out without it. `simulacra.evaluation.table` says how to add one.
    Every protocol ends with a hash of itself and of the data: figures with the same one compare.

    Args:
        model: a model or its run folder.
        data: a data set of the same shape and levels, its name or path, an array or a torch `Dataset`; without it that
            of the run. Paths are read by the recipe of the run.
        split: "train", "valid" or "test". Of "train" nothing is held out: there are no floors, no near-copies and no
            probes of codes.
        seed: of the samples, and of the held-out items that they are compared with where the split has more than 2,000.
        samples: draws in the importance-weighted bound of a latent-variable model.
        quick: a first look in seconds: at most 300 items of the split, and nothing that trains a classifier.
        features: the file of a TorchScript module, images (N, 3, H, W) of 0 to 255 -> features (N, d), in which samples
            are compared too. It is a program that is run: give none that you do not trust. Only with that of Inception
            by Karras et al. (inception-2015-12-05.pt, by its sha256) are the figures called `fid` and `kid`.

    Raises UsageError for data of another shape or grid, or without a field that the model is conditioned on; and for a
    file of features that is none, or does not take the images.
    """
    model, found = subject_of(model, data)
    of, own = (len(found.split(split)), _first_look(found, seed)) if quick else (None, found)
    subject = Subject(model, own, split, seed, samples, of, None if features is None else Path(features))
    measures: dict[str, Measure] = {}
    left_out: dict[str, str] = {}
    suitable = [each for each in metrics() if each.suits(subject)]
    for i, each in enumerate(suitable):
        if obstacle := each.obstacle(split, len(subject.items), quick):
            left_out[each.name] = obstacle
        else:
            with stage(each.name):
                figures = each(subject)
            if twice := sorted(figures.keys() & measures.keys()):
                raise UsageError(f"metric {each.name!r} gives {twice[0]!r}, which another metric gives too: rename it")
            measures |= figures
        with stage("metrics"):
            advance(i + 1, len(suitable))
    measures = {name: _stamped(name, measure, own) for name, measure in measures.items()}
    if not can(model, Sampler):
        return Evaluation(measures, None, None, left_out, quick)
    return Evaluation(measures, subject.samples, subject.neighbours, left_out, quick)


def _first_look(data: Dataset, seed: int) -> Dataset:
    """At most so many items of the held-out splits, drawn by the seed. Training items stay: samples may copy any."""

    def some(split: Split) -> Split:
        return split if len(split) <= QUICK else split.rows(some_of(len(split), QUICK, seed, "quick look"))

    return replace(data, valid=some(data.valid), test=some(data.test), order=None)


def _stamped(name: str, measure: Measure, data: Dataset) -> Measure:
    """With the hash of what the figure depends on beside the model."""
    content = json.dumps([name, measure.kind, measure.protocol, data.fingerprint, data.spec.to_json()], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return replace(measure, protocol=f"{measure.protocol}; protocol {digest}")
