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
from simulacra.capabilities import Bound, Chain, Condition, Density, Sampler, can
from simulacra.data import Dataset, Split, as_dataset
from simulacra.errors import NotSupported, UsageError
from simulacra.feed import in_order
from simulacra.model import Model, as_model, evaluating
from simulacra.randomness import seed_everything

BATCH = 64  # the activations of a convolutional model then fit the cache of a CPU: twice as fast as 250


@dataclass(frozen=True)
class Score:
    """Mean negative log-likelihood of a split. `kind`: "exact" or "bound" (the true value is at most this high).

    nats are per item, bits_per_dim = nats / (dims · ln 2), standard_error is that of the mean in nats, and `samples`
    the number of draws in an importance-weighted bound (1: the plain bound; None: exact).
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


def score(
    model: Model | str | Path,
    data: Dataset | str | Path,
    split: str = "test",
    samples: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> Score:
    """Score a split of a data set.

    Args:
        model: a model with a likelihood, or its run folder.
        data: a data set of the same shape and levels, or its name or path.
        split: "train", "valid" or "test".
        samples: draws in the importance-weighted bound; exact likelihoods need none.
        limit: score only the first so many items.
        seed: of the draws.

    Raises:
        NotSupported: the model has no likelihood; the message says why and what to use instead.
        UsageError: data of another shape or grid, or without labels that the model needs.
    """
    return score_fully(as_model(model), as_dataset(data), split, samples, limit, seed)[0]


def score_fully(
    model: Model, data: Dataset, split: str = "test", samples: int = 1, limit: int | None = None, seed: int = 0
) -> tuple[Score, np.ndarray]:
    """`score`, with the negative log-likelihood of every item, (N,) nats."""
    kind = kind_of_likelihood(model)
    model.spec.expect(data.spec, data.name)
    nats = score_items(model, data.split(split), samples, limit, seed)
    scored = Score(
        model=registry.name_of(type(model)),
        data=data.name,
        split=split,
        n=len(nats),
        kind=kind,
        nats=float(nats.mean()),
        bits_per_dim=float(model.spec.bits_per_dim(nats.mean())),
        standard_error=float(nats.std(ddof=1) / math.sqrt(len(nats))) if len(nats) > 1 else math.nan,
        samples=samples if kind == "bound" else None,
    )
    return scored, nats


def score_items(model: Model, split: Split, samples: int = 1, limit: int | None = None, seed: int = 0) -> np.ndarray:
    """Negative log-likelihood of every item, (N,) nats in float64; arguments and errors as in `score`."""
    kind_of_likelihood(model)
    if samples < 1 or (limit is not None and limit < 1):
        raise UsageError(f"a score needs samples >= 1 and limit >= 1, not samples = {samples} and limit = {limit}")
    seed_everything(seed, "score")
    with evaluating(model):
        batches = in_order(split, model.spec, model.device, BATCH, limit)
        nats = [-_log_likelihood(model, x, condition, samples) for x, condition in batches]
    return torch.cat(nats).double().cpu().numpy()


def surprise(
    model: Model | str | Path, x: Tensor | np.ndarray, condition: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Bits of every coordinate, -log2 p(x_i | those before it), (N, *shape): where items (N, *shape) are surprising.

    They are told in the model's own order, and those of an item add up to -log2 p(item) in this order. Continuous
    coordinates have densities, whose bits may be negative.

    Raises:
        NotSupported: the model is no chain of conditionals and cannot tell where.
        UsageError: items of another shape, a condition that the model needs and does not get.
    """
    model = as_model(model)
    chain, x = chain_of(model), x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))
    if x.shape[1:] != model.spec.shape:
        raise UsageError(f"the model is for items of shape {model.spec.shape}, (N, *shape), not {tuple(x.shape)}")
    given, bits = model.conditioned(condition, len(x)), np.empty(x.shape)
    with evaluating(model):
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            some = {name: values[part] for name, values in given.items()}
            nats = -chain.log_each(x[part].to(model.device), some)
            bits[part] = nats.double().cpu().numpy() / math.log(2)
    return bits


def chain_of(model: Model) -> Chain:
    """The model itself as a chain; raises NotSupported for a model that gives an item one number and not a map."""
    if not isinstance(model, Chain):
        raise NotSupported(
            f"{registry.name_of(type(model))} cannot tell where an item is surprising: its likelihood, if any, is one "
            "number for all of it; fit gated-pixelcnn or another chain of conditionals"
        )
    return model


def _log_likelihood(model: Model, x: Tensor, condition: Condition, samples: int) -> Tensor:
    if isinstance(model, Density):
        return model.log_prob(x, condition)
    assert isinstance(model, Bound)
    return model.elbo(x, condition) if samples == 1 else model.log_prob_bound(x, condition, samples)


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
            f"{name} assigns no probability to an item, and a critic's output is no density, so there is no score. "
            f"{instead}; for likelihoods fit gated-pixelcnn (exact) or vae (a bound)."
        )
    return "exact" if can(model, Density) else "bound"
