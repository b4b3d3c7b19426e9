"""One figure and what it takes to read it."""

from __future__ import annotations

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

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.4g}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}{floor}; {self.kind}, n = {self.n})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
