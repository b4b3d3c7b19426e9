r"""How varied samples are, by the birthday paradox: two draws of a generator that has collapsed are often alike.

    variety = P(two real items are alike) / P(two samples are alike),     alike: exp(-|x - x'|² / s²), 0 to 1

A generator that draws k of K equally frequent modes, and those well, has k / K; one that draws a single point has no
more than P(two real items are alike); samples as varied as the data have 1, and noise, whose items lie apart, more. `s`
is the distance at which items look alike: a tenth of the root mean square distance of two real items, or where items
have many dimensions, so that none are as near as that, the median distance of a real item to the nearest other one.
Where there are classes only pairs of one class count, so that a generator with one item for each class is collapsed.
Arora & Zhang 2018, "Do GANs Learn the Distribution? Some Theory and Empirics", count pairs that a person takes for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulacra.evaluation import intervals
from simulacra.evaluation.fidelity import squared_distances

NEAR, OF_NEAREST = 0.1, 1.0
FEWEST = 8  # items
RARE = 1e-12  # of pairs that are alike


@dataclass(frozen=True)
class Variety:
    """ratio: that of samples to real items; low, high: its 95 % interval; scale: s; each: the ratio by class."""

    ratio: float
    low: float
    high: float
    scale: float
    each: tuple[float, ...] = ()


def variety(real: np.ndarray, fake: np.ndarray, classes: np.ndarray | None = None) -> Variety:
    """Of real items and samples (n, *shape), n >= 8, as many numbers of one unit each; `classes` (n,) are those of the
    i-th of both."""
    real, fake = (x.reshape(len(x), -1).astype(np.float64) for x in (real, fake))
    pairs = np.ones((len(real), len(real)), bool) if classes is None else classes[:, None] == classes[None, :]
    np.fill_diagonal(pairs, False)
    distances = squared_distances(real, real)
    scale = _scale(distances, pairs)
    of_real, of_fake = np.exp(-distances / scale**2), np.exp(-squared_distances(fake, fake) / scale**2)
    shares, errors = zip(*(_share(alike, pairs) for alike in (of_real, of_fake)), strict=True)
    ratio = shares[0] / shares[1]
    half = intervals.half_width(math.hypot(errors[0] / shares[0], errors[1] / shares[1]))
    return Variety(
        ratio, ratio * math.exp(-half), ratio * math.exp(half), scale, _by_class(of_real, of_fake, pairs, classes)
    )


def _scale(distances: np.ndarray, pairs: np.ndarray) -> float:
    """s, from squared distances (n, n) of real items."""
    apart = np.where(pairs, distances, np.inf).min(1)
    nearest = math.sqrt(float(np.median(apart[np.isfinite(apart)])))
    return max(NEAR * math.sqrt(float(distances[pairs].mean())), OF_NEAREST * nearest) or 1.0


def _share(alike: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """The mean over pairs of different items, and its standard error over draws of the items: a U-statistic, whose
    variance is 4 Var h / n to first order, h_i the mean over the pairs of item i (Hoeffding 1948)."""
    counts = pairs.sum(1)
    h = (alike * pairs).sum(1)[counts > 0] / counts[counts > 0]
    share = float((alike * pairs).sum() / counts.sum())
    return max(share, RARE), 2 * float(h.std(ddof=1)) / math.sqrt(len(h))


def _by_class(real: np.ndarray, fake: np.ndarray, pairs: np.ndarray, classes: np.ndarray | None) -> tuple[float, ...]:
    """The ratio of each class with enough items, in the order of the classes."""
    if classes is None:
        return ()
    own = ((classes == value) for value in np.unique(classes))
    blocks = [np.ix_(rows, rows) for rows in own if rows.sum() >= FEWEST]
    return tuple(
        max(float(real[of][pairs[of]].mean()), RARE) / max(float(fake[of][pairs[of]].mean()), RARE) for of in blocks
    )
