"""A judge says how good a model is on data that it was not trained on; the best one by its verdict is kept.

Where a figure is random itself, the newest model within one standard error of the lowest figure is kept. Of two that
do not differ by more than the noise the one that has trained longer is the better bet: in a game figures
fall slowly, and the first to come near the lowest is rarely the best.

Training knows no metric: a judge is handed in. `simulacra.evaluation.judges` has the usual ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from simulacra.data import Dataset
from simulacra.model import Model


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
        """Whether this is to be kept in the place of the best; any figure is better than none, than no
        number and than one of another kind."""
        if best is None or not math.isfinite(best.value) or best.name != self.name:
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
        if self.name == "valid_nats":
            return f"{self.value:.4f} nats of an item's density"
        return f"{self.name.removeprefix('valid_').replace('_', ' ')} {self.value:.4g}"


class Judge(Protocol):
    """Called at every validation, on every rank, with the averaged weights; None where there is nothing to say.

    The verdict is a function of the model, the data and the seed alone, so that all ranks come to the same one.
    """

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None: ...
