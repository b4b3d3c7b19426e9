r"""Bayes' rule: a likelihood of items given their class is a classifier, and one that may refuse.

    p(y | x) = p(x | y) p(y) / p(x),     p(x) = Σ_y p(x | y) p(y)

A classifier that knows p(y | x) alone has to call a monkey a cat or a dog. This one knows p(x) too and refuses what
lies below a threshold from log p(x) on the validation split, so chosen that it will refuse a set share of fresh real
items, on average over such splits.
The test is one-sided and lets through what is *more* probable than real items, such as plain surfaces (Nalisnick et al.
2019, "Do Deep Generative Models Know What They Don't Know?"); the two-sided test refuses both tails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from simulacra.capabilities import Bound, Classifier, Density, can, need
from simulacra.data import Dataset, DataSpec, Split
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation import intervals
from simulacra.evaluation.likelihood import exact_model_for
from simulacra.feed import at_once, numbered
from simulacra.fields import ClassLabel
from simulacra.model import Model, ModelLike, evaluating
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, data_of, subject, verb

PRIORS = ("uniform", "train")

REJECTED = 0.01  # share of fresh real items that is refused where nothing else is wanted


@dataclass(frozen=True)
class Foreign:
    """How many items of a data set that the model was not made for are refused. `refused` is a share of n."""

    name: str
    n: int
    refused: float


@dataclass(frozen=True)
class Judgement:
    """Of every item: log p(y | x) of all classes (N, classes), log p(x) (N,) nats, and whether it is refused (N,).

    index: (N,) the numbers of the items in their split.
    """

    log_posterior: np.ndarray
    log_evidence: np.ndarray
    refused: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Classification:
    """What Bayes' rule makes of a split.

    accuracy:          share of n items whose class is the most probable one; standard_error is that of this share.
    cross_entropy:     mean of -log p(y | x) of the true class, nats.
    prior:             p(y): "uniform", or "train" for the shares of the classes in the training split.
    reject:            the share of fresh real items that is refused on average; 0: nothing is refused.
    accuracy_low, accuracy_high: 95 % interval of the accuracy.
    low, high:         nats; an item is refused where log p(x) < low or log p(x) > high.
    refused:           share of the n items that is.
    accuracy_accepted: accuracy among the others; nan if there are none.
    foreign:           the same test on items of other sets.
    judgement:         that of each item; JSON has it not.
    """

    model: str
    data: str
    split: str
    n: int
    accuracy: float
    standard_error: float
    accuracy_low: float
    accuracy_high: float
    cross_entropy: float
    prior: str
    reject: float
    two_sided: bool
    low: float
    high: float
    refused: float
    accuracy_accepted: float
    foreign: tuple[Foreign, ...]
    judgement: Judgement = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but what each item has."""
        return {name: value for name, value in asdict(self).items() if name != "judgement"}


@verb
def classify(
    model: ModelLike,
    data: DataLike | None = None,
    split: str = "test",
    *,
    prior: str = "uniform",
    reject: float | None = None,
    two_sided: bool = False,
    foreign: Sequence[Any] = (),
    limit: int | None = None,
    seed: int = 0,
) -> Classification:
    """Classify the items of a split by Bayes' rule, and refuse those that the model takes for no real ones.

    Args:
        model: a model with an exact likelihood that is conditioned on one class label alone, or its run folder.
        data: a labelled data set of the same shape and levels, its name or path, or a torch `Dataset`; without it that
            of the run. Paths are read by the recipe of the run.
        split: "train", "valid", "test" or "all".
        prior: p(y), "uniform" or "train": the shares of the classes in the training split.
        reject: the share of fresh real items that is refused, by log p(x) of the validation split; by default 0.01, or
            0 where that has too few items to show it.
        two_sided: refuse half of them for being too improbable and half for being too probable.
        foreign: sets of the same shape and levels; at most as many items of each are judged as there are real ones.
        limit: judge at most so many items, of the validation split too, drawn by the seed.
        seed: of the items, where there is a limit or a foreign set is larger.

    Raises:
        NotSupported: the model has no exact likelihood, or does not depend on one class.
        UsageError: a model with a condition that is no class, data of another shape or grid or without labels, a prior
            or share that is none, too few validation items for the share.
    """
    model, data = subject(model, data)
    others = [data_of(model, other) for other in foreign]
    name, count = _class_field(model, data.spec)
    if reject is None:
        reject = REJECTED if _least(data.valid, two_sided, limit) <= REJECTED else 0.0
    _check(prior, reject, limit, len(others))
    items = data.split(split)
    index = some_of(len(items), limit, seed, "classify")
    label = _labels(items, name, index, count, data.name)
    log_prior = _log_prior(data, name, count, prior)
    low, high = _thresholds(model, data.valid, log_prior, reject, two_sided, limit, seed)
    judged = _judge(model, items, index, log_prior, low, high)
    right = judged.log_posterior.argmax(axis=1) == label
    accuracy_low, accuracy_high = intervals.of_share(right.mean(), len(right))
    return Classification(
        model=model.name,
        data=data.name,
        split=split,
        n=len(label),
        accuracy=float(right.mean()),
        standard_error=math.sqrt(right.mean() * (1 - right.mean()) / len(right)),
        accuracy_low=accuracy_low,
        accuracy_high=accuracy_high,
        cross_entropy=float(-judged.log_posterior[np.arange(len(label)), label].mean()),
        prior=prior,
        reject=reject,
        two_sided=two_sided,
        low=low,
        high=high,
        refused=float(judged.refused.mean()),
        accuracy_accepted=float(right[~judged.refused].mean()) if not judged.refused.all() else math.nan,
        foreign=tuple(_foreign(model, other, len(label), log_prior, low, high, seed) for other in others),
        judgement=judged,
    )


def bayes(log_likelihood: np.ndarray, log_prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x | y) (N, classes) and log p(y) (classes,) -> log p(y | x) (N, classes) and log p(x) (N,)."""
    joint = log_likelihood + log_prior
    log_evidence = np.logaddexp.reduce(joint, axis=1)
    return joint - log_evidence[:, None], log_evidence


def log_likelihoods(model: Model, split: Split, limit: int | None = None, seed: int = 0) -> np.ndarray:
    """log p(x | y) of every item under every class, (N, classes) nats in float64; labels of the items are not read.

    `limit`: of at most so many items, drawn by the seed, in their order.
    Raises NotSupported for a model without an exact likelihood or without classes.
    """
    return _log_likelihoods(model, split, some_of(len(split), limit, seed, "classify"))


def _log_likelihoods(model: Model, split: Split, index: np.ndarray) -> np.ndarray:
    """Of the items with these numbers."""
    density, (name, count), nats = _exact(model), _class_field(model), []
    unconditional = model.spec.conditioned_on(())
    with evaluating(model):
        for x, _ in numbered(split, index, unconditional, model.device, at_once(model)):
            classes = [model.conditioned({name: y}, len(x)) for y in range(count)]
            nats.append(torch.stack([density.log_prob(x, each) for each in classes], dim=1))
    return torch.cat(nats).cpu().double().numpy()


def log_evidence(model: Model, split: Split, limit: int | None = None, seed: int = 0) -> np.ndarray:
    """log p(x), (N,) nats: of a class-conditional model the sum over equally probable classes.

    `limit`: of at most so many items, drawn by the seed, in their order.
    Raises NotSupported for a model without an exact likelihood.
    """
    index = some_of(len(split), limit, seed, "classify")
    if model.spec.condition:
        nats = _log_likelihoods(model, split, index)
        return bayes(nats, np.full(nats.shape[1], -math.log(nats.shape[1])))[1]
    density = _exact(model)
    with evaluating(model):
        batches = numbered(split, index, model.spec, model.device, at_once(model))
        return torch.cat([density.log_prob(x) for x, _ in batches]).cpu().double().numpy()


def _judge(model: Model, split: Split, index: np.ndarray, log_prior: np.ndarray, low: float, high: float) -> Judgement:
    log_posterior, log_evidence = bayes(_log_likelihoods(model, split, index), log_prior)
    accepted = (log_evidence >= low) & (log_evidence <= high)  # which what is no number never is
    return Judgement(log_posterior, log_evidence, ~accepted, index)


def _foreign(
    model: Model, data: Dataset, most: int, log_prior: np.ndarray, low: float, high: float, seed: int
) -> Foreign:
    """All splits of a foreign set are as unknown to the model as its test split, which comes first."""
    refused: list[np.ndarray] = []
    for split in (data.test, data.valid, data.train):
        left = most - sum(map(len, refused))
        if left and len(split):
            index = some_of(len(split), left, seed, "foreign")
            refused.append(_judge(model, split, index, log_prior, low, high).refused)
    every = np.concatenate(refused)
    return Foreign(data.name, len(every), float(every.mean()))


def _thresholds(
    model: Model, valid: Split, log_prior: np.ndarray, reject: float, two_sided: bool, limit: int | None, seed: int
) -> tuple[float, float]:
    """The lowest and the highest log p(x) that is accepted."""
    if not reject:
        return -math.inf, math.inf
    if reject < (least := _least(valid, two_sided, limit)):
        n = min(len(valid), limit or len(valid))
        raise UsageError(
            f"{n} validation items are too few to find which {reject:g} of real items to refuse: "
            f"give reject >= {math.ceil(1000 * least) / 1000:g}, or 0 to refuse nothing"
        )
    _, nats = bayes(log_likelihoods(model, valid, limit, seed), log_prior)
    return thresholds(nats, reject, two_sided)


def _least(valid: Split, two_sided: bool, limit: int | None) -> float:
    """The smallest share that so many validation items can show."""
    return (1 + two_sided) * intervals.least_share(min(len(valid), limit or len(valid)))


def thresholds(nats: np.ndarray, reject: float, two_sided: bool) -> tuple[float, float]:
    """The lowest and the highest log p(x) that is accepted, so that of fresh items like those of `nats` (n,) a share
    `reject` lies beyond them on average; of a test with two sides half of it on either side."""
    tail = reject / (1 + two_sided)
    return intervals.threshold(nats, tail), -intervals.threshold(-nats, tail) if two_sided else math.inf


def _log_prior(data: Dataset, name: str, count: int, prior: str) -> np.ndarray:
    """log p(y), (classes,)"""
    if prior == "uniform":
        return np.full(count, -math.log(count))
    label = _labels(data.train, name, np.arange(len(data.train)), count, data.name)
    with np.errstate(divide="ignore"):  # a class that never occurs has probability 0
        return np.log(np.bincount(label, minlength=count) / len(label))


def _labels(split: Split, name: str, index: np.ndarray, count: int, data: str) -> np.ndarray:
    """The labels of the items with these numbers; raises UsageError for one that the model does not know."""
    label = np.asarray(split.field(name)[index])
    if label.max(initial=0) >= count:
        raise UsageError(f"the model knows {count} classes of {name!r}, but {data} has one numbered {label.max()}")
    return label


def _exact(model: Model, of: DataSpec | None = None) -> Density:
    """The model as a density; `of` is what the data have, for the advice where it is none."""
    why = ": bounds of two classes do not compare" if can(model, Bound) else ""
    own = "; `simulacra evaluate` measures its own q(y | x)" if can(model, Classifier) else ""
    fit = f"fit {exact_model_for(model.spec)}, which has one, with {(of or model.spec).flag_for_classes()}"
    return need(model, Density, f"has no exact likelihood{why}{own}; {fit}")


def _class_field(model: Model, of: DataSpec | None = None) -> tuple[str, int]:
    """The one field of the condition, over whose values Bayes' rule runs, and the number of its classes."""
    _exact(model, of)
    fields = model.spec.condition
    classes = {name: own for name, own in fields.items() if isinstance(own, ClassLabel)}
    if len(fields) != 1 or not classes:
        raise NotSupported(
            f"this {model.name} is conditioned on {', '.join(fields) or 'nothing'}, and Bayes' rule needs "
            f"p(x | class): fit it with {(of or model.spec).flag_for_classes()}"
        )
    ((name, label),) = classes.items()
    return name, label.count


def _check(prior: str, reject: float, limit: int | None, others: int) -> None:
    if prior not in PRIORS:
        raise UsageError(f"there is no prior {prior!r}: use {' or '.join(PRIORS)}")
    if not 0 <= reject < 1 or (limit is not None and limit < 1):
        raise UsageError(f"classify needs 0 <= reject < 1 and limit >= 1, not reject = {reject} and limit = {limit}")
    if others and not reject:
        raise UsageError("foreign sets show what is refused, and reject = 0 refuses nothing: give a share such as 0.01")
