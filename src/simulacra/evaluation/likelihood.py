"""Likelihoods of held-out items: exact where the model has a density, a bound where it has one, else a refusal."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra.capabilities import Bound, Chain, Density, Sampler, can, need
from simulacra.condition import Condition, ConditionLike
from simulacra.data import DataSpec, Split
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.estimators import Estimate, Estimator, choose, joined
from simulacra.evaluation.overlap import independent
from simulacra.feed import BLOCK, feed, slices
from simulacra.model import Model, ModelLike, as_model, evaluating
from simulacra.progress import counted
from simulacra.randomness import seed_everything, some_of
from simulacra.verbs import DataLike, ItemsLike, items_for, looked_at, verb

FEW = 5  # effective draws, below which the error of an estimate is uncertain itself
MANY = 0.05  # share of the items with so few: theirs is then part of the error of the mean


@dataclass(frozen=True)
class Score:
    """Mean negative log-likelihood of a split. `kind`: "exact" or "bound" (the true value is at most this high).

    `measure` is "mass" for data on a grid, and "density" for real ones, whose nats depend on their unit and may be
    negative. nats are per item, bits_per_dim = nats / (dims · ln 2), None of a density, and standard_error is that of
    the mean in nats over items; overlapping windows of a series count as fewer, see `simulacra.evaluation.overlap`.
    A bound was made by an `estimator` (see `simulacra.evaluation.estimators`) from so many `samples`;
    monte_carlo_error is what these draws add to the error of the mean, nats (None for a single draw), and
    effective_sample_size the median over the items (None for the ELBO). All four are None where nats are exact.
    warning says where so few of the draws count that the bound is loose and its errors are too small; None elsewhere.
    per_item are the nats (n,) of each item, float64, and index (n,) their numbers in the split; JSON has neither.
    """

    model: str
    data: str
    split: str
    n: int
    kind: str
    measure: str
    nats: float
    bits_per_dim: float | None
    standard_error: float
    samples: int | None
    estimator: str | None
    monte_carlo_error: float | None
    effective_sample_size: float | None
    warning: str | None
    per_item: np.ndarray = field(compare=False, repr=False)
    index: np.ndarray = field(compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything but what each item has."""
        return {name: value for name, value in asdict(self).items() if name not in ("per_item", "index")}


@verb
def score(
    model: ModelLike,
    data: DataLike | None = None,
    split: str | None = None,
    samples: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    estimator: str | None = None,
    temperatures: int | None = None,
) -> Score:
    """Score a split of a data set.

    Args:
        model: a model with a likelihood, or its run folder.
        data: a data set of the same shape and levels, its name or path, an array or a torch `Dataset`; without it that
            of the run. Paths are read by the recipe of the run.
        split: "train", "valid", "test" or "all"; by default all items of an array and the test items of other data.
        samples: draws of the estimator, chains of ais; exact likelihoods need none.
        limit: score at most so many items, drawn by the seed.
        seed: of the draws, and of the items where there is a limit.
        estimator: of a bound: "elbo", "importance", "prior" or "ais". Left out: the ELBO, or importance weights for
            more than one sample.
        temperatures: of ais.

    Raises:
        NotSupported: the model has no likelihood, or not what the estimator needs; the message says what to use.
        UsageError: data of another shape or grid, or without a field that the model is conditioned on; no such
            estimator, fewer than one sample or item, an estimator for an exact likelihood.
    """
    model = as_model(model)
    how = estimator_for(model, estimator, samples, temperatures)
    name, items = looked_at(model, data, split)
    index = some_of(len(items), limit, seed, "score")
    found = _estimate(model, items, how, index, seed)
    nats, kind = -found.log_prob.numpy(), kind_of_likelihood(model)
    exact, count = kind == "exact", min(len(nats), independent(items.x))
    return Score(
        model=model.name,
        data=name,
        split=items.name,
        n=len(nats),
        kind=kind,
        measure="density" if model.spec.levels is None else "mass",
        nats=float(nats.mean()),
        bits_per_dim=None if model.spec.levels is None else float(model.spec.bits_per_dim(nats.mean())),
        standard_error=float(nats.std(ddof=1) / math.sqrt(count)) if len(nats) > 1 else math.nan,
        samples=None if exact else how.samples,
        estimator=None if exact else how.method,
        monte_carlo_error=None if exact else _number(found.standard_error.square().sum().sqrt() / len(nats)),
        effective_sample_size=None if exact else _number(found.effective_sample_size.median()),
        warning=_warning(found),
        per_item=nats,
        index=index,
    )


def _warning(found: Estimate) -> str | None:
    """Where the error that the draws leave is not to be relied on."""
    few = float((found.effective_sample_size < FEW).double().mean())
    if found.samples < 2 or few < MANY:
        return None
    return (
        f"for {few:.0%} of the items fewer than {FEW} of the {found.samples} draws count: the bound is loose by an "
        "unknown amount, and its errors and interval are too small; take more draws, or --estimator ais"
    )


def _number(value: Tensor) -> float | None:
    return float(value) if value.isfinite() else None


@verb
def score_items(
    model: ModelLike, items: Split | ItemsLike, samples: int = 1, limit: int | None = None, seed: int = 0
) -> np.ndarray:
    """Negative log-likelihood of every item in order, (N,) nats in float64; arguments and errors as in `score`.

    items: a split; all items of an array or sequence, or the test items of data.
    """
    model = as_model(model)
    split = items if isinstance(items, Split) else _split_of(model, items)
    index = some_of(len(split), limit, seed, "score")
    return -_estimate(model, split, estimator_for(model, None, samples), index, seed).log_prob.numpy()


def _split_of(model: Model, items: ItemsLike) -> Split:
    x, condition = items_for(model, items)
    return Split(x.cpu().numpy(), {name: values.cpu().numpy() for name, values in condition.items()}, "items")


def _estimate(model: Model, split: Split, how: Estimator, index: np.ndarray, seed: int) -> Estimate:
    """Of the items with these numbers, block after block."""
    blocks = counted(slices(len(index), BLOCK), len(index))
    return joined([_of_block(model, split, how, index[part], seed, block) for block, part in enumerate(blocks)])


def _of_block(model: Model, split: Split, how: Estimator, part: np.ndarray, seed: int, block: int) -> Estimate:
    """Of block number `block` of 64 items, whose numbers are `part`.

    Their noise follows from the seed and the number of the block alone: the blocks may be computed in any order, on
    any process.
    """
    seed_everything(seed, "score", block)
    unlabelled = model.learns_unlabelled and how.method == "elbo"
    x, condition = feed(split, part, model.spec, model.device, unlabelled=unlabelled)
    with evaluating(model):
        return _exact(model, x, condition) if isinstance(model, Density) else how(model, x, condition)


def _exact(model: Density, x: Tensor, condition: Condition) -> Estimate:
    log_prob = model.log_prob(x, condition).cpu().double()
    return Estimate(log_prob, torch.zeros_like(log_prob), torch.full_like(log_prob, math.nan), 0, "exact")


def estimator_for(
    model: Model, method: str | None = None, samples: int | None = None, temperatures: int | None = None
) -> Estimator:
    """How to estimate what the model bounds; an exact likelihood will not use it.

    Raises NotSupported for a model without a likelihood, UsageError for what does not apply to the one it has.
    """
    if kind_of_likelihood(model) == "exact" and method is not None:
        raise UsageError(
            f"the likelihood of this {model.name} is exact, so there is nothing to estimate: "
            f"leave out --estimator {method}"
        )
    return choose(method, samples, temperatures)


@verb
def surprise(
    model: ModelLike,
    x: ItemsLike | None = None,
    condition: ConditionLike | None = None,
    *,
    split: str = "test",
    limit: int | None = None,
) -> np.ndarray:
    """Bits of every coordinate, -log2 p(x_i | those before it), (N, *shape): where items (N, *shape) are surprising.

    They follow the model's own order, and those of an item add up to -log2 p(item) in this order. Continuous
    coordinates have densities, whose bits may be negative. x are items, or data, of whose split at most `limit` items
    are taken; without it those of the run.

    Raises:
        NotSupported: the model is no chain of conditionals: its likelihood is one number for all of an item.
        UsageError: items of another shape or grid, a condition that the model needs and does not get.
    """
    model = as_model(model)
    chain = need(model, Chain)
    x, condition = items_for(model, x, condition, split, limit)
    bits = np.empty(x.shape)
    with evaluating(model):
        for part in counted(slices(len(x), BLOCK), len(x)):
            nats = -chain.log_each(x[part], condition.rows(part))
            bits[part] = nats.cpu().double().numpy() / math.log(2)
    return bits


def has_likelihood(model: Model) -> bool:
    return can(model, Density) or can(model, Bound)


def kind_of_likelihood(model: Model) -> str:
    """ "exact" or "bound"; raises NotSupported for a model without a likelihood."""
    if not has_likelihood(model):
        name = model.name
        instead = (
            "`simulacra evaluate` measures its samples" if can(model, Sampler) else "`simulacra encode` gives its codes"
        )
        raise NotSupported(
            f"{name} assigns no probability to an item (neither a critic's output nor the error of a reconstruction is "
            "one), so there is no score. "
            f"{instead}; for likelihoods fit {exact_model_for(model.spec)} (exact) or vae (a bound)."
        )
    return "exact" if can(model, Density) else "bound"


def exact_model_for(spec: DataSpec) -> str:
    """A model with an exact likelihood that takes such data, conditioned on classes too."""
    if spec.levels is None:
        return "rnade"
    return "gated-pixelcnn" if spec.is_image else "made"
