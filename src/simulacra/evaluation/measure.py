"""One figure and what it takes to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        value: the figure.
        low, high: its 95 % interval, of the mean of such figures over fresh draws of n items; see `intervals`.
        floor: what real items score in the place of samples, or principal components of the pixels in that of codes;
            None where there is nothing to compare with.
        n: the items behind it.
        kind: "exact", "bound" or "estimate".
        protocol: how it was made, and its unit.
        warning: why the interval is not to be relied on; None where it is.
        note: what else was found, such as a p-value; None where that is nothing.
        baseline: of a conditional model: what trivial predictions score, by name, such as a copy of the condition.
        control: what samples score under the conditions of other items, that is, without the condition's help; where a
            metric has another one, its protocol says so.
        ceiling: what real items score: the most that the judge allows.
    """

    value: float
    low: float
    high: float
    floor: float | None
    n: int
    kind: str
    protocol: str
    warning: str | None = None
    note: str | None = None
    baseline: Mapping[str, float] | None = None
    control: float | None = None
    ceiling: float | None = None

    @property
    def beside(self) -> dict[str, float]:
        """What the figure of a conditional model is to be read beside, by name: baselines, control, ceiling."""
        named = {"control": self.control, "ceiling": self.ceiling}
        return dict(self.baseline or {}) | {name: value for name, value in named.items() if value is not None}

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.4g}"
        beside = "".join(f", {name} {value:.4g}" for name, value in self.beside.items())
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}{floor}{beside}; {self.kind}, n = {self.n})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
