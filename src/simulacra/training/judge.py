"""A judge says how good a model is on data that it was not trained on; the best one by its verdict is kept.

Training knows no metric: a judge is handed in. `simulacra.evaluation.judges` has the usual ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from simulacra.data import Dataset
from simulacra.model import Model


@dataclass(frozen=True)
class Verdict:
    """One figure of a model; lower is better.

    name:  of the figure, as metrics.jsonl has it: "valid_bits_per_dim".
    value: the figure.
    error: by how much a value must be below the best one to be better: one standard error of a figure from samples.
    stops: whether training may end early because there was no better one for a while.
    """

    name: str
    value: float
    error: float = 0.0
    stops: bool = True

    def better_than(self, best: Verdict | None) -> bool:
        """Whether this is a new best; any figure is better than none and than one that is no number."""
        if best is None or not math.isfinite(best.value):
            return True
        return self.value < best.value - self.error

    def __str__(self) -> str:
        if self.name == "valid_bits_per_dim":
            return f"{self.value:.4f} bits/dim"
        return f"{self.name.removeprefix('valid_').replace('_', ' ')} {self.value:.4g}"


class Judge(Protocol):
    """Called at every validation, on every rank, with the averaged weights; None where there is nothing to say.

    The verdict is a function of the model, the data and the seed alone, so that all ranks come to the same one.
    """

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None: ...
