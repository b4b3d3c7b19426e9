"""Samples beside the training items that are nearest to them: has the model drawn something new?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.capabilities import Encoder
from simulacra.data import Dataset, Split
from simulacra.evaluation.memorisation import Neighbours, nearest_among, nearest_items
from simulacra.exploration.codes import mean_codes, sample, split_for
from simulacra.model import Model, as_model


@dataclass(frozen=True)
class Nearest:
    """Samples (n, *shape), and of each the nearest training item by pixels and, with an encoder, by mean codes.

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


def neighbours(
    model: Model | str | Path, data: Dataset | str | Path, n: int = 10, seed: int = 0, **condition: Any
) -> Nearest:
    """Draw n samples and find the nearest items of the training split, all of which are looked at.

    Args:
        model: a model that can sample, or its run folder.
        data: what it was fitted on.
        n: samples.
        seed: of the samples, as in `sample`.
        condition: the class to draw: `label=3`; by default all in turn.

    Raises:
        NotSupported: the model cannot sample.
        UsageError: n < 1, data of another shape or grid.
    """
    model = as_model(model)
    train = split_for(model, data, "train")
    samples = sample(model, n, seed=seed, **condition)
    by_pixels = nearest_items(samples, train.x, model.spec.levels)
    if not isinstance(model, Encoder):
        return Nearest(samples, by_pixels, None, train)
    given = model.conditioned(condition or model.every_class(n), n)
    drawn = Split(samples, {name: values.cpu().numpy() for name, values in given.items()}, "samples")
    codes = np.concatenate(list(mean_codes(model, drawn)))
    return Nearest(samples, by_pixels, nearest_among(codes, mean_codes(model, train)), train)
