r"""A lower bound of the Jensen–Shannon divergence of samples from real items, by a fresh probe critic.

    JSD(p, q) = max_D  log 2 + ½ E_p log D(x) + ½ E_q log(1 - D(x))  >=  the same of any one D

in nats, from 0 of equal distributions to log 2 = 0.693 of such as do not overlap (Goodfellow et al. 2014). The critic
of a game is no such D: it has seen the training items, and was trained against all generators before the last. The
probe is new: the small network of `learned` with the logit s learns to tell some of both kinds apart, others set the
slope a of D = σ(a s), since a network that has learnt from few items is too sure of itself, and the mean is of the
rest, which neither has seen. A probe as weak as its items are few may be near 0 for what a larger set would show: it is
a bound, and no estimate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulacra.data import DataSpec
from simulacra.evaluation import intervals
from simulacra.evaluation.learned import logits_of, trained

STEPS = 400
SLOPES = np.concatenate([[0.0], np.geomspace(0.01, 2, 40)])
FEWEST = 12  # items of each kind
LOG2 = math.log(2)


@dataclass(frozen=True)
class Divergence:
    """bound: nats, 0 to log 2; low, high: its 95 % interval; n: items of each kind that the mean is of."""

    bound: float
    low: float
    high: float
    n: int


def jensen_shannon(spec: DataSpec, real: np.ndarray, fake: np.ndarray, rng: np.random.Generator) -> Divergence:
    """The bound, of real items and samples (n, *shape) each, n >= 12: half of them are learnt from, a sixth sets the
    slope, and a third is what the mean is of; the i-th of both are on the same side."""
    order = rng.permutation(len(real))
    learnt, slope, rest = np.split(order, [len(order) // 2, 2 * len(order) // 3])
    x, truth = np.concatenate([real[learnt], fake[learnt]]), np.repeat([1, 0], len(learnt))
    network, _ = trained(spec, x, {"real": truth}, {"real": 2}, STEPS)

    def sides(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """s of real items, and -s of samples: how sure the probe is of what is so."""
        found = logits_of(network, np.concatenate([real[rows], fake[rows]]))["real"]
        margin = found[:, 1] - found[:, 0]
        return margin[: len(rows)], -margin[len(rows) :]

    chosen = SLOPES[np.argmax([_gains(slope_of, *sides(slope)).mean() for slope_of in SLOPES])]
    gains = _gains(chosen, *sides(rest))
    n, value = gains.shape[1], float(gains.mean())
    half = intervals.half_width(math.sqrt(float(gains.var(axis=1, ddof=1).sum()) / n) / 2, n - 1)
    low, bound, high = (min(max(0.0, each), LOG2) for each in (value - half, value, value + half))
    return Divergence(bound, low, high, n)


def _gains(slope: float, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """log 2 + log σ(a s) of each item, (2, n), log 2 at most."""
    return LOG2 - np.logaddexp(0, -slope * np.stack([real, fake]))
