"""Likelihoods of held-out items: exact where the model has a density, a bound where it has one, else a refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulacra import registry
from simulacra.capabilities import Bound, Chain, Density, Sampler, can
from simulacra.condition import Condition
from simulacra.data import Dataset, Split, as_dataset
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.estimators import Estimate, Estimator, choose, joined
from simulacra.feed import as_items, in_order
from simulacra.model import Model, as_model, evaluating
from simulacra.randomness import seed_everything

BATCH = 64  # the activations of a convolutional model then fit the cache of a CPU: twice as fast as 250


@dataclass(frozen=True)
class Score:
    """Mean negative log-likelihood of a split. `kind`: "exact" or "bound" (the true value is at most this high).

    nats are per item, bits_per_dim = nats / (dims · ln 2), and standard_error is that of the mean in nats over items.
    A bound was made by an `estimator` (see `simulacra.evaluation.estimators`) from so many `samples`;
    monte_carlo_error is what these draws add to the error of the mean, nats (None for a single draw), and
    effective_sample_size the median over the items (None for the ELBO). All four are None where nats are exact.
    """

    model: str
    data: str
    split: str
    n: int
    kind: str
    nats: float
    bits_per_dim: float
    standard_error: float
    samples: int | None
    estimator: str | None
    monte_carlo_error: float | None
    effective_sample_size: float | None


def score(
    model: Model | str | Path,
    data: Dataset | str | Path,
    split: str = "test",
    samples: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    estimator: str | None = None,
    temperatures: int | None = None,
) -> Score:
    """Score a split of a data set.

    Args:
        model: a model with a likelihood, or its run folder.
        data: a data set of the same shape and levels, or its name or path.
        split: "train", "valid" or "test".
        samples: draws of the estimator, chains of ais; exact likelihoods need none.
        limit: score only the first so many items.
        seed: of the draws.
        estimator: of a bound: "elbo", "importance", "prior" or "ais". Left out: the ELBO, or importance weights where
            more than one sample is asked for.
        temperatures: of ais.

    Raises:
        NotSupported: the model has no likelihood, or not what the estimator needs; the message says what to use.
        UsageError: data of another shape or grid, or without labels that the model needs; no such estimator, fewer than
            one sample, an estimator for an exact likelihood.
    """
    model, data = as_model(model), as_dataset(data)
    return score_fully(model, data, split, estimator_for(model, estimator, samples, temperatures), limit, seed)[0]


def score_fully(
    model: Model, data: Dataset, split: str, how: Estimator, limit: int | None = None, seed: int = 0
) -> tuple[Score, np.ndarray]:
    """`score`, with the negative log-likelihood of every item, (N,) nats."""
    kind = kind_of_likelihood(model)
    model.spec.expect(data.spec, data.name)
    found = _estimate(model, data.split(split), how, limit, seed)
    nats = -found.log_prob.numpy()
    exact = kind == "exact"
    scored = Score(
        model=registry.name_of(type(model)),
        data=data.name,
        split=split,
        n=len(nats),
        kind=kind,
        nats=float(nats.mean()),
        bits_per_dim=float(model.spec.bits_per_dim(nats.mean())),
        standard_error=float(nats.std(ddof=1) / math.sqrt(len(nats))) if len(nats) > 1 else math.nan,
        samples=None if exact else how.samples,
        estimator=None if exact else how.method,
        monte_carlo_error=None if exact else _number(found.standard_error.square().sum().sqrt() / len(nats)),
        effective_sample_size=None if exact else _number(found.effective_sample_size.median()),
    )
    return scored, nats


def _number(value: Tensor) -> float | None:
    return float(value) if value.isfinite() else None


def score_items(model: Model, split: Split, samples: int = 1, limit: int | None = None, seed: int = 0) -> np.ndarray:
    """Negative log-likelihood of every item, (N,) nats in float64; arguments and errors as in `score`."""
    return -_estimate(model, split, estimator_for(model, None, samples), limit, seed).log_prob.numpy()


def _estimate(model: Model, split: Split, how: Estimator, limit: int | None, seed: int) -> Estimate:
    """Of the items of a split, batch by batch."""
    seed_everything(seed, "score")
    with evaluating(model):
        batches = in_order(split, model.spec, model.device, BATCH, limit)
        told = [_exact(model, *batch) if isinstance(model, Density) else how(model, *batch) for batch in batches]
    return joined(told)


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
            f"the likelihood of this {registry.name_of(type(model))} is exact, so there is nothing to estimate: "
            f"leave out --estimator {method}"
        )
    return choose(method, samples, temperatures)


def surprise(
    model: Model | str | Path, x: Tensor | np.ndarray, condition: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Bits of every coordinate, -log2 p(x_i | those before it), (N, *shape): where items (N, *shape) are surprising.

    They are told in the model's own order, and those of an item add up to -log2 p(item) in this order. Continuous
    coordinates have densities, whose bits may be negative.

    Raises:
        NotSupported: the model is no chain of conditionals and cannot tell where.
        UsageError: items of another shape or grid, a condition that the model needs and does not get.
    """
    model = as_model(model)
    chain, x = chain_of(model), as_items(x, model.spec, model.device)
    given, bits = model.conditioned(condition, len(x)), np.empty(x.shape)
    with evaluating(model):
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            some = {name: values[part] for name, values in given.items()}
            nats = -chain.log_each(x[part], some)
            bits[part] = nats.cpu().double().numpy() / math.log(2)
    return bits


def chain_of(model: Model) -> Chain:
    """The model itself as a chain; raises NotSupported for a model that gives an item one number and not a map."""
    if not isinstance(model, Chain):
        raise NotSupported(
            f"{registry.name_of(type(model))} cannot tell where an item is surprising: its likelihood, if any, is one "
            "number for all of it; fit gated-pixelcnn or another chain of conditionals"
        )
    return model


def has_likelihood(model: Model) -> bool:
    return can(model, Density) or can(model, Bound)


def kind_of_likelihood(model: Model) -> str:
    """ "exact" or "bound"; raises NotSupported for a model without a likelihood."""
    if not has_likelihood(model):
        name = registry.name_of(type(model))
        instead = (
            "`simulacra evaluate` measures its samples" if can(model, Sampler) else "`simulacra encode` gives its codes"
        )
        raise NotSupported(
            f"{name} assigns no probability to an item (neither a critic's output nor the error of a reconstruction is "
            "one), so there is no score. "
            f"{instead}; for likelihoods fit gated-pixelcnn (exact) or vae (a bound)."
        )
    return "exact" if can(model, Density) else "bound"
