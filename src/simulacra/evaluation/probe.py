r"""A lower bound of the Jensen–Shannon divergence of samples from real items, by a fresh probe critic.

    JSD(p, q) = max_D  log 2 + ½ E_p log D(x) + ½ E_q log(1 - D(x))  >=  the same of any one D

in nats, from 0 of equal distributions to log 2 = 0.693 of such as do not overlap (Goodfellow et al. 2014). The critic
of a game is no such D: it has seen the training items, and was trained against all generators before the last. A probe
is new. Its logit s is learnt from some items of both kinds, others set the slope a of D = σ(a s), since what has learnt
from few items is too sure of itself, and the mean is of the rest, which neither has seen. There are two, of which the
items of the slope choose the better one:

    network      the small one of `learned`
    neighbours   s = log of the distance to the 5th nearest sample, less that to the 5th nearest real item: it sees fine
                 structure of few dimensions, which a small network does not in a few hundred steps

A probe as weak as its items are few may be near 0 for what a larger set would show: it is a bound, and no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulacra.data import DataSpec
from simulacra.evaluation import intervals
from simulacra.evaluation.fidelity import squared_distances
from simulacra.evaluation.learned import logits_of, trained

STEPS = 400
SLOPES = np.concatenate([[0.0], np.geomspace(0.01, 2, 40)])
FEWEST = 12  # items of each kind
NEIGHBOUR, TINY = 5, 1e-12
PROBES, ENOUGH = 4, 800  # probes at most, and the items of each kind that all of them together are made of
LOG2 = math.log(2)
Probe = Callable[[np.ndarray], np.ndarray]
"""Items (n, *shape) -> the logit of each being real, (n,)."""


@dataclass(frozen=True)
class Divergence:
    """bound: nats, 0 to log 2; low, high: its 95 % interval; n: items of each kind that the mean is of."""

    bound: float
    low: float
    high: float
    n: int


def jensen_shannon(spec: DataSpec, real: np.ndarray, fake: np.ndarray, rng: np.random.Generator) -> Divergence:
    """The bound, of real items and samples (n, *shape) each, n >= 12: half of them are learnt from, a sixth sets the
    slope, and a third is what the mean is of; the i-th of both are on the same side. Of 400 items or fewer two to four
    probes are made, of other halves, and the bound is the mean of theirs."""
    gains, seen = [], set()
    for _ in range(max(1, min(PROBES, ENOUGH // len(real)))):
        order = rng.permutation(len(real))
        learnt, slope, rest = np.split(order, [len(order) // 2, 2 * len(order) // 3])
        gains.append(_gained(spec, real, fake, learnt, slope, rest))
        seen |= {*rest.tolist()}
    together, n = np.concatenate(gains, axis=1), len(seen)
    value = float(together.mean())
    half = intervals.half_width(math.sqrt(float(together.var(axis=1, ddof=1).sum()) / n) / 2, n - 1)
    low, bound, high = (min(max(0.0, each), LOG2) for each in (value - half, value, value + half))
    return Divergence(bound, low, high, n)


def _gained(
    spec: DataSpec, real: np.ndarray, fake: np.ndarray, learnt: np.ndarray, slope: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """What one probe gains on the rest, (2, n)."""
    probes = (_network(spec, real[learnt], fake[learnt]), _neighbours(real[learnt], fake[learnt]))

    def sides(probe: Probe, rows: np.ndarray) -> np.ndarray:
        """s of real items, and -s of samples, (2, n): how sure a probe is of what is so."""
        return np.stack([probe(real[rows]), -probe(fake[rows])])

    known = [sides(probe, slope) for probe in probes]
    means = np.array([[_gains(slope_of, own).mean() for slope_of in SLOPES] for own in known])
    best, at = np.unravel_index(means.argmax(), means.shape)
    return _gains(SLOPES[at], sides(probes[best], rest))


def _network(spec: DataSpec, real: np.ndarray, fake: np.ndarray) -> Probe:
    x, truth = np.concatenate([real, fake]), np.repeat([1, 0], len(real))
    network, _ = trained(spec, x, {"real": truth}, {"real": 2}, STEPS)

    def logit(x: np.ndarray) -> np.ndarray:
        found = logits_of(network, x)["real"]
        return found[:, 1] - found[:, 0]

    return logit


def _neighbours(real: np.ndarray, fake: np.ndarray) -> Probe:
    def distance(x: np.ndarray, to: np.ndarray) -> np.ndarray:
        k = min(NEIGHBOUR, len(to)) - 1
        squared = squared_distances(*(each.reshape(len(each), -1).astype(np.float64) for each in (x, to)))
        return 0.5 * np.log(np.partition(squared, k, axis=1)[:, k] + TINY)

    return lambda x: distance(x, fake) - distance(x, real)


def _gains(slope: float, margins: np.ndarray) -> np.ndarray:
    """log 2 + log σ(a s) of each item, log 2 at most."""
    return LOG2 - np.logaddexp(0, -slope * margins)
