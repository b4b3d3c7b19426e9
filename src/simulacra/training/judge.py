"""A judge says how good a model is on data that it was not trained on; the best one by its verdict is kept.

Where a figure is random itself, the newest model within one standard error of the lowest figure is kept. Of two that
do not differ by more than the noise the one that has trained longer is the better bet: in a game figures
fall slowly, and the first to come near the lowest is rarely the best.

Training knows no metric: a judge is handed in. `simulacra.evaluation.judges` has the usual ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from simulacra.data import Dataset
from simulacra.model import Model
from simulacra.parts import convert
from simulacra.schema import arguments


@dataclass(frozen=True)
class Verdict:
    """One figure of a model; lower is better.

    name:  of the figure, as metrics.jsonl has it: "valid_bits_per_dim".
    value: the figure.
    error: one standard error of a figure from samples: a newer figure is as good as the lowest one within it.
    stops: whether training may end early because there was no better one for a while.
    lowest: of all figures so far, this one's own where it is the first.
    """

    name: str
    value: float
    error: float = 0.0
    stops: bool = True
    lowest: float | None = None

    def better_than(self, best: Verdict | None) -> bool:
        """Whether this is to be kept in the place of the best; any figure is better than none and than no number."""
        if best is None or not math.isfinite(best.value):
            return True
        return self.value < best.floor + self.error

    def after(self, best: Verdict | None) -> Verdict:
        """This one, with the lowest figure of both."""
        known = best is not None and math.isfinite(best.value)
        return replace(self, lowest=min(self.value, best.floor) if best is not None and known else self.value)

    @property
    def floor(self) -> float:
        return self.value if self.lowest is None else self.lowest

    def __str__(self) -> str:
        if self.name == "valid_bits_per_dim":
            return f"{self.value:.4f} bits/dim"
        return f"{self.name.removeprefix('valid_').replace('_', ' ')} {self.value:.4g}"


def verdict_of(record: Mapping[str, Any]) -> Verdict:
    """The verdict that a checkpoint holds; raises UsageError or TypeError for what is none."""
    types = {name: argument.type for name, argument in arguments(Verdict).items()}
    return Verdict(**{name: convert(types.get(name, object), value, name) for name, value in dict(record).items()})


class Judge(Protocol):
    """Called at every validation, on every rank, with the averaged weights; None where there is nothing to say.

    The verdict is a function of the model, the data and the seed alone, so that all ranks come to the same one.
    """

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None: ...
