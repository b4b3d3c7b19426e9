r"""Classifier rejection sampling: of several draws of a class, those that a judge takes for the class most surely.

It trades variety for likeness, as a low temperature does, but judges whole items: of n / keep draws of a class y the n
with the highest p(y | x) are kept. The judge is a stranger to the model: the softmax of a linear map of the leading
principal components of the pixels, fitted to labelled items.
Razavi, van den Oord & Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2", section 3.3.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra import registry
from simulacra.data import Dataset, as_dataset
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.fidelity import PixelPCA, components_for
from simulacra.evaluation.logistic import standardised_regression
from simulacra.exploration.codes import sample
from simulacra.exploration.drawing import Progress
from simulacra.model import Model, as_model

FITTED_ON = 10_000


class Judge:
    """p(y | x), fitted to the training items of a labelled data set, or FITTED_ON of them, evenly spaced."""

    def __init__(self, data: Dataset, field: str) -> None:
        n = len(data.train)
        some = np.linspace(0, n - 1, min(n, FITTED_ON)).astype(int)
        x, labels = np.asarray(data.train.x[some]), np.array(data.train.field(field)[some])
        self.features = PixelPCA.fit(x, data.spec.levels, components_for(len(x), data.spec.dims))
        self.log_class_probs = standardised_regression(self.features(x), labels, data.spec.condition[field].count)

    def log_prob(self, x: np.ndarray) -> Tensor:
        """log p(y | x) for every class, (N, classes); x (N, *shape) on the data grid."""
        return self.log_class_probs(self.features(x))


def sample_rejected(
    model: Model | str | Path,
    n: int = 64,
    *,
    keep: float,
    judge: Dataset | str | Path,
    temperature: float = 1.0,
    seed: int = 0,
    sampler: str | None = None,
    mean: bool = False,
    progress: Progress | None = None,
    **condition: Any,
) -> np.ndarray:
    """n new items, (n, *shape) on the data grid: the best of n / keep, of each class that is asked for.

    Args:
        model: a model that samples given a label, or its run folder.
        keep: share of the draws that is kept, above 0 and at most 1; 1 keeps all.
        judge: labelled data of the same shape, grid and classes, to which the judge is fitted.
        n, temperature, seed, sampler, mean, progress, condition: as in `sample`; the progress is that of all draws.

    Raises:
        NotSupported: the model has no label, or cannot sample.
        UsageError: keep out of range, or data that are not of the model's kind or have not its classes.
    """
    model, data = as_model(model), as_dataset(judge)
    if not 0 < keep <= 1:
        raise UsageError(f"keep is a share of the draws, above 0 and at most 1, not {keep}")
    field = _field(model)
    model.spec.expect(data.spec, data.name)
    if data.spec.condition.get(field) != model.spec.condition[field]:
        raise UsageError(f"{data.name} has not the classes of the model's {field!r}, so it cannot judge them")
    wanted = model.conditioned(condition or model.every_class(n), n)[field].cpu()
    drawn_labels = _drawn_for(wanted, keep)
    drawn = sample(
        model,
        len(drawn_labels),
        temperature=temperature,
        seed=seed,
        sampler=sampler,
        mean=mean,
        progress=progress,
        **{field: drawn_labels},
    )
    return drawn[_best(wanted, drawn_labels, Judge(data, field).log_prob(drawn))]


def _field(model: Model) -> str:
    """The one field of the condition; raises NotSupported where there is none to be judged by."""
    if len(model.spec.condition) != 1:
        raise NotSupported(
            f"{registry.name_of(type(model))} was not fitted with labels, and a judge keeps what looks most like its "
            "class; fit it with --condition label, or leave keep out"
        )
    (field,) = model.spec.condition
    return field


def _drawn_for(wanted: Tensor, keep: float) -> Tensor:
    """The labels (n,) that are asked for -> those to draw: of every class 1 / keep times as many, rounded up."""
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
