"""A judge says how good a model is on data that it was not trained on; the best one by its verdict is kept.

Where a figure is random itself, the newest model within one standard error of the lowest figure is kept. Of two that
do not differ by more than the noise the one that has trained longer is the better bet: in a game figures
fall slowly, and the first to come near the lowest is rarely the best.

Training knows no metric: a judge is handed in. `simulacra.evaluation.judges` has the usual ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True)
class History:
    """The figures of all validations of a run: `figures` are pairs of the step and the value, in their order."""

    figures: tuple[tuple[int, float], ...] = ()

    @classmethod
    def of(cls, record: Iterable[Any]) -> History:
        """What a checkpoint holds; raises UsageError, TypeError or ValueError for what is none."""
        return cls(tuple((convert(int, step, "step"), convert(float, value, "figure")) for step, value in record))

    def with_figure(self, step: int, value: float) -> History:
        """Figures that are no numbers are left out."""
        return History((*self.figures, (step, value))) if math.isfinite(value) else self

    @property
    def gain(self) -> float:
        """By how much the lowest figure fell in the last fifth of the steps; 0 without validations before and in it."""
        parted = 0.8 * self.figures[-1][0] if self.figures else 0
        before = [value for step, value in self.figures if step <= parted]
        after = [value for step, value in self.figures if step > parted]
        return max(0.0, min(before) - min(after)) if before and after else 0.0

    def still_falling(self, error: float = 0.0) -> bool:
        """Whether a twentieth of all that was gained came in the last fifth of the steps, and more than the noise."""
        values = [value for _, value in self.figures]
        return bool(values) and self.gain > max(error, 0.05 * (values[0] - min(values)))


def verdict_of(record: Mapping[str, Any]) -> Verdict:
    """The verdict that a checkpoint holds; raises UsageError or TypeError for what is none."""
    types = {name: argument.type for name, argument in arguments(Verdict).items()}
    return Verdict(**{name: convert(types.get(name, object), value, name) for name, value in dict(record).items()})


class Judge(Protocol):
    """Called at every validation, on every rank, with the averaged weights; None where there is nothing to say.

    The verdict is a function of the model, the data and the seed alone, so that all ranks come to the same one.
    """

    def __call__(self, model: Model, data: Dataset, seed: int) -> Verdict | None: ...
