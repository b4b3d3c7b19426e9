r"""Classifier rejection sampling: of several draws of a class, those that a judge takes for the class most surely.

It trades variety for likeness, as a low temperature does, but judges whole items: of n / keep draws of a class y the n
with the highest p(y | x) are kept. The judge does not depend on the model: it is the softmax of a linear map of the
leading principal components of the pixels, fitted to labelled items.
Razavi, van den Oord & Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2", section 3.3.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from simulacra.condition import Condition
from simulacra.data import ClassLabel, Dataset
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.fidelity import PixelPCA, components_for
from simulacra.evaluation.logistic import standardised_regression
from simulacra.model import Model
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, data_of

FITTED_ON = 10_000


class Judge:
    """p(y | x), fitted to the training items of a labelled data set, or FITTED_ON of them, drawn by a constant seed."""

    def __init__(self, data: Dataset, field: str) -> None:
        count = data.spec.conditioned_on((field,)).classes("a judge")[field].count
        some = some_of(len(data.train), FITTED_ON, "judge")
        x, labels = np.asarray(data.train.x[some]), np.array(data.train.field(field)[some])
        self.features = _components(x, data.spec.levels, components_for(len(x), data.spec.dims))
        self.log_class_probs = standardised_regression(self.features(x), labels, count)

    def log_prob(self, x: np.ndarray) -> Tensor:
        """log p(y | x) for every class, (N, classes); x (N, *shape) on the data grid."""
        return self.log_class_probs(self.features(x))


_kept: dict[str, PixelPCA] = {}


def _components(x: np.ndarray, levels: int | None, count: int) -> PixelPCA:
    """The principal components of items; the last ones are kept, as the fields of a data set have a judge each."""
    key = f"{levels} {count} {x.dtype} {hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()}"
    if key not in _kept:
        _kept.clear()
        _kept[key] = PixelPCA.fit(x, levels, count)
    return _kept[key]


def best_of_draws(
    model: Model,
    wanted: Condition,
    keep: float,
    judge: DataLike,
    drawn: Callable[[Condition, int], np.ndarray],
) -> np.ndarray:
    """The best of `drawn(condition, count)`, with 1 / keep times as many draws of each class as are wanted.

    Raises:
        NotSupported: the model has no label.
        UsageError: keep out of range, or data that are not of the model's kind or have not its classes.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"keep is a share of the draws, above 0 and at most 1, not {keep}")
    data = data_of(model, judge)
    field = _field(model, data)
    if data.spec.condition.get(field) != model.spec.condition[field]:
        raise UsageError(f"{data.name} has not the classes of the model's {field!r}, so it cannot judge them")
    labels = wanted[field].cpu()
    more = _drawn_for(labels, keep)
    items = drawn(Condition({field: more.to(model.device)}), len(more))
    return items[_best(labels, more, Judge(data, field).log_prob(items))]


def _field(model: Model, judge: Dataset) -> str:
    """The one field of the condition; raises NotSupported where there is none, or no class, to judge by."""
    fields = list(model.spec.condition.items())
    if len(fields) != 1 or not isinstance(fields[0][1], ClassLabel):
        raise NotSupported(
            f"{model.name} was not fitted with labels alone, and a judge keeps what looks most like its class; fit it "
            f"with {judge.spec.flag_for_classes()}, or leave keep out"
        )
    return fields[0][0]


def _drawn_for(wanted: Tensor, keep: float) -> Tensor:
    """The labels (n,) that are wanted -> those to draw: of every class 1 / keep times as many, rounded up."""
    classes, counts = wanted.unique(return_counts=True)
    more = [math.ceil(round(count / keep, 6)) for count in counts.tolist()]
    return classes.repeat_interleave(torch.tensor(more, dtype=torch.int64))


def _best(wanted: Tensor, labels: Tensor, log_prob: Tensor) -> np.ndarray:
    """Which of the draws with these labels (N,) to keep, (n,), in the order of the labels `wanted`, the best first."""
    own = log_prob.gather(1, labels[:, None])[:, 0]
    kept = torch.empty_like(wanted)
    for label in wanted.unique():
        places, drawn = (wanted == label).nonzero()[:, 0], (labels == label).nonzero()[:, 0]
        kept[places] = drawn[own[drawn].argsort(descending=True, stable=True)[: len(places)]]
    return kept.numpy()
