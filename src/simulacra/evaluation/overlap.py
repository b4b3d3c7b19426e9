"""How many independent items windows of a series count as.

Windows from every step on share all but one of their T steps with the next one. Their mean is, but for the ends, the
mean over T ways to cut the series into windows that share nothing, each of n / T items, and varies at most as one of
these does. So n windows count as n / T items, and an interval that takes them for n would be √T times too narrow.
"""

from __future__ import annotations

import numpy as np

LOOKED_AT = 64  # pairs of neighbours


def independent(x: np.ndarray) -> float:
    """Items x (n, T, D) in their order -> n, or n / T, at least 1, where each is the one before moved by a step."""
    n = len(x)
    if x.ndim != 3 or x.dtype.kind != "f" or n < 2 or x.shape[1] < 2:
        return float(n)
    some = np.unique(np.linspace(0, n - 2, min(LOOKED_AT, n - 1)).astype(int))
    moved = [np.array_equal(x[i, 1:], x[i + 1, :-1]) for i in some]
    return max(1.0, n / x.shape[1]) if np.mean(moved) > 0.5 else float(n)
