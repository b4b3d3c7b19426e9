r"""Modes: which of those that a set was made of samples have, and how often each.

    modes            of K with at least one sample
    high quality     share of samples that lie where real items do
    reverse KL       KL(q || p) = Σ_k q_k log(q_k / p_k), nats, q the shares of the modes among samples, p_k = 1 / K

centres      A sample is of high quality within three standard deviations of a centre (Lin et al. 2018), as 98.9 % of
             real ones are in the plane; it then is of the mode of that centre. Other samples are of none.
channels     A classifier of single channels says which of the combinations a sample is (Metz et al. 2017). A channel is
             of high quality that is as near to a training item as 99 % of held-out ones. The number of combinations
             alone says little: noise has nearly all.

A count of modes grows with the number of draws, and KL falls: of equal distributions it is (K - 1) / 2n by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulacra.data import DataSpec
from simulacra.data.modes import Centres, Channels, Modes
from simulacra.evaluation import intervals
from simulacra.evaluation.learned import MOST, predicted, share_right, trained_once
from simulacra.evaluation.memorisation import nearest_items
from simulacra.fields import Levels
from simulacra.randomness import mix, some_of

RADIUS = 3.0  # standard deviations
NEAR = 0.99  # the share of real channels that are of high quality
LOOKED_AT = 2000  # items whose channels are compared with training items
COMPARED = 10_000  # training channels
TERMS = 10  # of a series
FEWEST_A_MODE = 5  # draws, below which the interval of a KL is too narrow
OF_CENTRES, OF_CHANNELS = 2500, 26_000  # draws, as the published tables have them


@dataclass(frozen=True)
class Counted:
    """counts: (K,) samples of each mode; quality: (n,) the share of each sample that is of high quality."""

    counts: np.ndarray
    quality: np.ndarray


def usual_draws(modes: Modes) -> int:
    """How many samples the published tables count the modes of."""
    return OF_CENTRES if isinstance(modes, Centres) else OF_CHANNELS


def of_centres(x: np.ndarray, modes: Centres) -> Counted:
    """Samples (n, D) of a mixture."""
    squared = ((x[:, None].astype(np.float64) - modes.array) ** 2).sum(2)
    good = squared.min(1) <= (RADIUS * modes.std) ** 2
    return Counted(np.bincount(squared.argmin(1)[good], minlength=modes.count), good.astype(np.float64))


def real_of_centres(n: int, modes: Centres, seed: int) -> Counted:
    """The same of n draws of the mixture itself."""
    rng = np.random.default_rng(mix(seed, "modes"))
    points = modes.array[rng.integers(modes.count, size=n)]
    return of_centres(points + modes.std * rng.standard_normal(points.shape), modes)


class Judge:
    """Classes and quality of the channels of stacked images, by the training channels.

    Attributes:
        key: a hash of what its classes depend on.
    """

    def __init__(
        self, spec: DataSpec, modes: Channels, x: np.ndarray, labels: np.ndarray, held_out: np.ndarray
    ) -> None:
        """x (N, C, H, W) training items, labels (N, C) of their channels; held_out (M, C, H, W)."""
        self.modes, self.spec = modes, DataSpec(Levels((1, *spec.shape[1:]), spec.grid_levels))
        channels, label = singles(x), labels.reshape(-1)
        learnt = some_of(len(channels), MOST, "judge of channels")
        self.network, _, self.key = trained_once(
            self.spec, channels[learnt], {"class": label[learnt]}, {"class": modes.classes}
        )
        distinct = np.unique(channels, axis=0)
        self.known = distinct[some_of(len(distinct), COMPARED, "channels")]
        others = self.distance(np.unique(singles(held_out), axis=0))
        self.limit = float(np.quantile(others, NEAR, method="weibull"))

    def classes(self, x: np.ndarray) -> np.ndarray:
        """(n, C, H, W) -> (n, C)"""
        return predicted(self.network, singles(x))["class"].reshape(len(x), -1)

    def right(self, x: np.ndarray, labels: np.ndarray) -> float:
        """The share of channels that are given their class."""
        return share_right(self.classes(x).reshape(-1), labels.reshape(-1))

    def distance(self, channels: np.ndarray) -> np.ndarray:
        """Of single channels (n, 1, H, W) to the nearest training channel."""
        return nearest_items(channels, self.known, self.spec.levels).distance

    def counted(self, x: np.ndarray, seed: int) -> Counted:
        """Samples (n, C, H, W); the quality is that of some of them, drawn by the seed."""
        counts = np.bincount(numbered(self.classes(x), self.modes), minlength=self.modes.count)
        some = x[some_of(len(x), LOOKED_AT, seed, "quality")]
        good = self.distance(singles(some)) <= self.limit
        return Counted(counts, good.reshape(len(some), -1).mean(1))

    def recombined(self, x: np.ndarray, n: int, seed: int) -> np.ndarray:
        """Counts of the modes of n images whose channels are drawn from all channels of real items x."""
        found, rng = self.classes(x).reshape(-1), np.random.default_rng(mix(seed, "recombined"))
        drawn = found[rng.integers(len(found), size=(n, len(self.modes.fields)))]
        return np.bincount(numbered(drawn, self.modes), minlength=self.modes.count)


def singles(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N·C, 1, H, W)"""
    return np.asarray(x).reshape(-1, 1, *x.shape[2:])


def numbered(classes: np.ndarray, modes: Channels) -> np.ndarray:
    """The classes of channels (n, C) -> the number of the combination (n,)."""
    return classes @ (modes.classes ** np.arange(len(modes.fields))[::-1])


def reverse_kl(counts: np.ndarray) -> float:
    """KL of the shares of counts (K,) from equal ones, nats; log K, the largest there is, where nothing was counted."""
    seen = counts[counts > 0]
    n = seen.sum()
    return float((seen / n * np.log(seen / n * len(counts))).sum()) if n else math.log(len(counts))


def kl_interval(counts: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean of `reverse_kl` over fresh draws, as many; by its first and second order.

    Of K modes that are seen at all it exceeds that of the population by (K - 1) / 2n on average, with the variance
    (K - 1) / 2n² where that is 0, and Var log(q / p) / n elsewhere. Of fewer than five draws a mode it is too narrow.
    """
    n, value = int(counts.sum()), reverse_kl(counts)
    if n < 2:
        return 0.0, math.log(len(counts))
    shares = counts[counts > 0] / n
    spare, logs = len(shares) - 1, np.log(shares * len(counts))
    first = float((shares * (logs - value) ** 2).sum()) / n
    low, high = intervals.of_distance(value, intervals.Spread(value, spare / (2 * n), first, spare / (2 * n**2), n - 1))
    return max(0.0, low), min(max(high, value), math.log(len(counts)))


def count_interval(counts: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean number of modes among fresh draws, as many, of counts (K,).

    With λ_k the expected draws of a mode, Var = Σ e^-λ (1 - e^-λ) - (Σ λ e^-λ)² / n. The first sum is the number of
    modes that as many further draws would add, by the series of Good & Toulmin 1956, Σ_j (-1)^(j+1) f_j of the f_j
    modes with j draws, with the weights of Efron & Thisted 1976; the second is that of modes with one draw. One
    standard error of the series is added, since of a few rare modes it shows little, and where a mode has no draws 1/4,
    the most that one of them may vary.
    """
    found, modes = int((counts > 0).sum()), len(counts)
    if not found:
        return 0.0, 0.0
    tails = np.cumsum([math.comb(TERMS, j) for j in range(TERMS, 0, -1)])[::-1] / 2**TERMS  # P(Bin >= j), j = 1 ...
    seen = np.array([(counts == j).sum() for j in range(1, TERMS + 1)])
    added = float((seen * tails * (-1.0) ** np.arange(TERMS)).sum())
    variance = max(0.0, added - float(seen[0]) ** 2 / float(counts.sum()))
    variance += math.sqrt(float((seen * tails**2).sum())) + 0.25 * (found < modes)
    low, high = intervals.about(found, math.sqrt(variance), 1000)
    return max(1.0, low), min(float(modes), high)
