r"""Bayes' rule: a likelihood of items given their class is a classifier, and one that may refuse.

    p(y | x) = p(x | y) p(y) / p(x),     p(x) = Σ_y p(x | y) p(y)

A classifier that knows p(y | x) alone has to call a monkey a cat or a dog. This one knows p(x) too and refuses what
lies below a quantile of log p(x) on the validation split: the quantile is the share of real items that it will refuse.
The test is one-sided and lets through what is *more* probable than real items, such as plain surfaces (Nalisnick et al.
2019, "Do Deep Generative Models Know What They Don't Know?"); the two-sided test refuses both tails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from simulacra import registry
from simulacra.capabilities import Bound, Classifier, Density, can
from simulacra.data import Dataset, Split, as_dataset
from simulacra.errors import NotSupported, UsageError
from simulacra.feed import in_order
from simulacra.model import Model, as_model, evaluating

BATCH = 64
PRIORS = ("uniform", "train")


@dataclass(frozen=True)
class Foreign:
    """How many items of a data set that the model was not made for are refused. `refused` is a share of n."""

    name: str
    n: int
    refused: float


@dataclass(frozen=True)
class Classification:
    """What Bayes' rule makes of a split.

    accuracy:          share of n items whose class is the most probable one; standard_error is that of this share.
    cross_entropy:     mean of -log p(y | x) of the true class, nats.
    prior:             p(y): "uniform", or "train" for the shares of the classes in the training split.
    reject:            the share of validation items that would be refused; 0: nothing is refused.
    low, high:         nats; an item is refused where log p(x) < low or log p(x) > high.
    refused:           share of the n items that is.
    accuracy_accepted: accuracy among the others; nan if there are none.
    foreign:           the same test on items of other sets.
    """

    model: str
    data: str
    split: str
    n: int
    accuracy: float
    standard_error: float
    cross_entropy: float
    prior: str
    reject: float
    two_sided: bool
    low: float
    high: float
    refused: float
    accuracy_accepted: float
    foreign: tuple[Foreign, ...]


@dataclass(frozen=True)
class Judgement:
    """Of every item: log p(y | x) of all classes (N, classes), log p(x) (N,) nats, and whether it is refused (N,)."""

    log_posterior: np.ndarray
    log_evidence: np.ndarray
    refused: np.ndarray


def classify(
    model: Model | str | Path,
    data: Dataset | str | Path,
    split: str = "test",
    *,
    prior: str = "uniform",
    reject: float = 0.01,
    two_sided: bool = False,
    foreign: Sequence[Dataset | str | Path] = (),
    limit: int | None = None,
) -> Classification:
    """Classify the items of a split by Bayes' rule, and refuse those that the model takes for no real ones.

    Args:
        model: a class-conditional model with an exact likelihood, or its run folder.
        data: a labelled data set of the same shape and levels, or its name or path.
        split: "train", "valid" or "test".
        prior: p(y), "uniform" or "train": the shares of the classes in the training split.
        reject: the share of real items that may be refused: a quantile of log p(x) on the validation split.
        two_sided: refuse half of them for being too improbable and half for being too probable.
        foreign: sets of the same shape and levels; at most as many items of each are judged as there are real ones.
        limit: judge only the first so many items, of the validation split too.

    Raises:
        NotSupported: the model has no exact likelihood, or does not depend on a class.
        UsageError: data of another shape or grid or without labels, a prior or share that is none, too few validation
            items for the share.
    """
    return classify_fully(as_model(model), as_dataset(data), split, prior, reject, two_sided, foreign, limit)[0]


def classify_fully(
    model: Model,
    data: Dataset,
    split: str = "test",
    prior: str = "uniform",
    reject: float = 0.01,
    two_sided: bool = False,
    foreign: Sequence[Dataset | str | Path] = (),
    limit: int | None = None,
) -> tuple[Classification, Judgement]:
    """`classify`, with the judgement of every item."""
    field, others = _class_field(model), [as_dataset(other) for other in foreign]
    _check(prior, reject, limit, len(others))
    for dataset in (data, *others):
        model.spec.expect(dataset.spec, dataset.name)
    real = data.split(split)
    log_prior = _log_prior(model, data, field, prior)
    label = np.array(real.field(field)[:limit])
    _check_labels(model, field, label, data.name)
    low, high = _thresholds(model, data.valid, log_prior, reject, two_sided, limit)
    judged = _judge(model, [real], len(label), log_prior, low, high)

    right = judged.log_posterior.argmax(axis=1) == label
    accepted = right[~judged.refused]
    found = Classification(
        model=registry.name_of(type(model)),
        data=data.name,
        split=split,
        n=len(label),
        accuracy=float(right.mean()),
        standard_error=math.sqrt(right.mean() * (1 - right.mean()) / len(right)),
        cross_entropy=float(-judged.log_posterior[np.arange(len(label)), label].mean()),
        prior=prior,
        reject=reject,
        two_sided=two_sided,
        low=low,
        high=high,
        refused=float(judged.refused.mean()),
        accuracy_accepted=float(accepted.mean()) if len(accepted) else math.nan,
        foreign=tuple(_foreign(model, other, len(label), log_prior, low, high) for other in others),
    )
    return found, judged


def bayes(log_likelihood: np.ndarray, log_prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x | y) (N, classes) and log p(y) (classes,) -> log p(y | x) (N, classes) and log p(x) (N,)."""
    joint = log_likelihood + log_prior
    log_evidence = np.logaddexp.reduce(joint, axis=1)
    return joint - log_evidence[:, None], log_evidence


def log_likelihoods(model: Model, split: Split, limit: int | None = None) -> np.ndarray:
    """log p(x | y) of every item under every class, (N, classes) nats in float64; labels of the items are not read.

    Raises NotSupported for a model without an exact likelihood or without classes.
    """
    field = _class_field(model)
    assert isinstance(model, Density)
    count, nats = model.spec.condition[field].count, []
    with evaluating(model):
        for x, _ in in_order(split, model.spec.conditioned_on(()), model.device, BATCH, limit):
            each = [model.log_prob(x, {field: torch.full((len(x),), y)}) for y in range(count)]
            nats.append(torch.stack(each, dim=1))
    return torch.cat(nats).cpu().double().numpy()


def log_evidence(model: Model, split: Split, limit: int | None = None) -> np.ndarray:
    """log p(x), (N,) nats: of a class-conditional model the sum over equally probable classes.

    Raises NotSupported for a model without an exact likelihood.
    """
    if model.spec.condition:
        nats = log_likelihoods(model, split, limit)
        return bayes(nats, np.full(nats.shape[1], -math.log(nats.shape[1])))[1]
    _density(model)
    assert isinstance(model, Density)
    with evaluating(model):
        batches = in_order(split, model.spec, model.device, BATCH, limit)
        return torch.cat([model.log_prob(x) for x, _ in batches]).cpu().double().numpy()


def _judge(
    model: Model, splits: Sequence[Split], limit: int, log_prior: np.ndarray, low: float, high: float
) -> Judgement:
    """The first `limit` items of some splits, one split after the other."""
    found, left = [], limit
    for split in splits:
        if left and len(split):
            found.append(log_likelihoods(model, split, left))
            left -= len(found[-1])
    log_posterior, log_evidence = bayes(np.concatenate(found), log_prior)
    accepted = (log_evidence >= low) & (log_evidence <= high)  # which what is no number never is
    return Judgement(log_posterior, log_evidence, ~accepted)


def _foreign(model: Model, data: Dataset, limit: int, log_prior: np.ndarray, low: float, high: float) -> Foreign:
    """All splits of a foreign set are as unknown to the model as its test split, which comes first."""
    refused = _judge(model, (data.test, data.valid, data.train), limit, log_prior, low, high).refused
    return Foreign(data.name, len(refused), float(refused.mean()))


def _thresholds(
    model: Model, valid: Split, log_prior: np.ndarray, reject: float, two_sided: bool, limit: int | None
) -> tuple[float, float]:
    """The lowest and the highest log p(x) that is accepted."""
    if not reject:
        return -math.inf, math.inf
    tail, n = reject / (1 + two_sided), min(len(valid), limit or len(valid))
    if n * tail < 1:
        raise UsageError(
            f"{n} validation items cannot tell which {tail:g} of real items to refuse: "
            f"give reject >= {(1 + two_sided) / n:.2g}, or 0 to refuse nothing"
        )
    _, nats = bayes(log_likelihoods(model, valid, limit), log_prior)
    return float(np.quantile(nats, tail)), float(np.quantile(nats, 1 - tail)) if two_sided else math.inf


def _log_prior(model: Model, data: Dataset, field: str, prior: str) -> np.ndarray:
    """log p(y), (classes,)"""
    count = model.spec.condition[field].count
    if prior == "uniform":
        return np.full(count, -math.log(count))
    label = np.asarray(data.train.field(field))
    _check_labels(model, field, label, data.name)
    with np.errstate(divide="ignore"):  # a class that never occurs has probability 0
        return np.log(np.bincount(label, minlength=count) / len(label))


def _class_field(model: Model) -> str:
    """The one field of the condition, over whose values Bayes' rule runs."""
    _density(model)
    if len(model.spec.condition) != 1:
        name, fields = registry.name_of(type(model)), ", ".join(model.spec.condition) or "nothing"
        raise NotSupported(
            f"this {name} is conditioned on {fields}, and Bayes' rule needs p(x | class): fit it with --condition label"
        )
    return next(iter(model.spec.condition))


def _density(model: Model) -> None:
    if can(model, Density):
        return
    name = registry.name_of(type(model))
    why = "only bounds p(x | y), and bounds of two classes do not compare" if can(model, Bound) else "has no p(x | y)"
    own = "; `simulacra evaluate` tells the error of its own q(y | x)" if can(model, Classifier) else ""
    raise NotSupported(f"{name} {why}{own}; fit gated-pixelcnn, which is exact, with --condition label")


def _check(prior: str, reject: float, limit: int | None, others: int) -> None:
    if prior not in PRIORS:
        raise UsageError(f"there is no prior {prior!r}: use {' or '.join(PRIORS)}")
    if not 0 <= reject < 1 or (limit is not None and limit < 1):
        raise UsageError(f"classify needs 0 <= reject < 1 and limit >= 1, not reject = {reject} and limit = {limit}")
    if others and not reject:
        raise UsageError("foreign sets show what is refused, and reject = 0 refuses nothing: give a share such as 0.01")


def _check_labels(model: Model, field: str, label: np.ndarray, name: str) -> None:
    count = model.spec.condition[field].count
    if label.max(initial=0) >= count:
        raise UsageError(f"the model knows {count} classes of {field!r}, but {name} has one numbered {label.max()}")
