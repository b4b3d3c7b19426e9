"""One figure and what it takes to read it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        value: the figure.
        low, high: its 95 % interval.
        floor: what real items score in the place of samples, or principal components of the pixels in that of codes.
        n: the items behind it.
        kind: "exact", "bound" or "estimate".
        protocol: how it was made, and its unit.
    """

    value: float
    low: float
    high: float
    floor: float | None
    n: int
    kind: str
    protocol: str

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.4g}"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g}{floor}; {self.kind}, n = {self.n})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def interval_of_share(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n items that were looked at one by one; never narrower than one of them."""
    half = 1.96 * math.sqrt(max(share * (1 - share), 1 / n) / n)
    return max(0.0, share - half), min(1.0, share + half)
