"""Samples beside the training items that are nearest to them: has the model drawn something new?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulacra.capabilities import Encoder, Inverter, Sampler, need
from simulacra.condition import ConditionLike
from simulacra.data import Split
from simulacra.evaluation.memorisation import Neighbours, nearest_among, nearest_items
from simulacra.exploration.codes import mean_codes
from simulacra.exploration.inversion import say
from simulacra.exploration.sample import sample
from simulacra.feed import shown
from simulacra.model import ModelLike, as_model
from simulacra.randomness import some_of
from simulacra.verbs import DataLike, data_of, verb


@dataclass(frozen=True)
class Nearest:
    """Samples (n, *shape), and of each the nearest training item by pixels and, where items have codes, by these.

    Distances are Euclidean: over pixels in [0, 1], and over the numbers of a code.
    """

    samples: np.ndarray
    by_pixels: Neighbours
    by_codes: Neighbours | None
    train: Split

    def rows(self) -> dict[str, np.ndarray]:
        """What a picture shows: the samples and, under each, its neighbours."""
        found = {"nearest by code": self.by_codes} if self.by_codes is not None else {}
        found = {"nearest by pixels": self.by_pixels} | found
        return {"samples": self.samples} | {name: self.train.x[near.index] for name, near in found.items()}


@verb
def neighbours(
    model: ModelLike,
    data: DataLike | None = None,
    n: int = 10,
    seed: int = 0,
    *,
    condition: ConditionLike | None = None,
    limit: int | None = None,
) -> Nearest:
    """Draw n samples and find the nearest items of the training split, all of which are looked at.

    Args:
        model: a model that can sample, or its run folder.
        data: what it was fitted on.
        n: samples.
        seed: of the samples, as in `sample`.
        condition: that of the samples, as in `sample`; without it all classes in turn, and of a model that is
            conditioned on something else the conditions of n test items.
        limit: training items whose codes are compared, drawn by a constant seed; all of them without it. A model
            without an encoder finds codes by search, and none without a limit.

    Raises:
        NotSupported: the model cannot sample.
        UsageError: n < 1, data of another shape or grid, fewer test items than conditions are needed.
    """
    model = as_model(model)
    need(model, Sampler)
    data = data_of(model, data)
    train = data.train
    given = model.conditioned(condition or shown(model, data.test, n), n)
    samples = sample(model, n, seed=seed, condition=given)
    by_pixels = nearest_items(samples, train.x, model.spec.levels)
    if not isinstance(model, Encoder) and (limit is None or not isinstance(model, Inverter)):
        return Nearest(samples, by_pixels, None, train)
    drawn = Split(samples, {name: values.cpu().numpy() for name, values in given.items()}, "samples")
    some, found = some_of(len(train), limit, "neighbours"), []
    codes = np.concatenate(list(mean_codes(model, drawn, found=found)))
    near = nearest_among(codes, mean_codes(model, train, some, found))
    say(model, found)
    return Nearest(samples, by_pixels, Neighbours(near.distance, some[near.index]), train)
