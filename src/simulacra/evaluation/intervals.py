r"""95 % intervals, and thresholds that let a promised share pass.

An interval is about the mean of a figure over fresh draws of the n items behind it, n each. Of means, shares and the
unbiased MMD² that is the population's own value; a Fréchet distance or a mutual information of few items is too high on
average, and its floor, at the same n, is so too. Of a median it is the population's median.

mean         of n items: value ± t · standard error                               Student 1908
share        of n items that were looked at one by one: exact, by the binomial law        Clopper & Pearson 1934
median       of n items: two order statistics, whatever the distribution is
distance     squared, T = |δ + u|² to second order, u a mean of n items with covariance C / n:

    E T = |δ|² + tr C / n,   Var T = 2 tr C² / n² + 4 δ·Cδ / n = second + slope · |δ|²

               all means from which T lies at most t standard errors, those that T has at *that* mean, as in Wilson's
               interval of a share (1927). At the floor, δ = 0, it covers as anywhere else. The standard error at the
               estimate is small where T is so by chance: value ± t of it covers 79 to 93 % of weak differences in one
               to four dimensions. Too narrow this still is for a weak difference along the one leading direction of
               many, whose slope the items hardly show: 88 % of Fréchet distances, 92 % of MMD².
others       value ± t · standard error, from halves S of the items and what is left, S^c:

    Var T = E (T(S) - T(S^c))² / 4

A half without replacement is the whole plus u = 1/n Σ w_i x_i with signs w_i, which varies as the mean of n fresh items
does: no factor for its size is due. To second order T(S) = T + g·u + u·H·u, of which the difference keeps 2 g·u, and
the sum 2 u·H·u. Near the minimum of a distance, at its floor, g is itself no more than noise: like the jackknife (Efron
& Stein 1981) the difference then has the variance of T twice, of which the sum, with u·H·u alone, has it once. Where
items are few the third order counts, and intervals are too wide (98 % of KLs of 60 items). Repeated items of a
bootstrap would be taken for structure by distances and mutual informations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulacra.errors import UsageError

PAIRS = 50  # of halves behind a standard error
TAIL = 0.025

Statistic = Callable[[np.ndarray], np.ndarray]
"""Which items (R, n), truths -> the figure of each of the R selections, (R,)."""


def student(freedom: float) -> float:
    """The 97.5 % quantile of Student's t; Abramowitz & Stegun 26.7.5, within 0.4 % from 4 degrees of freedom on."""
    z, v = 1.959964, freedom
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v**power for power, term in enumerate(terms, start=1))


def standard_error(figure: Statistic, n: int, rng: np.random.Generator, pairs: int = PAIRS) -> float:
    """That of a figure of n items, from `pairs` of complementary halves; nan for fewer than two items."""
    if n < 2:
        return math.nan
    halves = some_halves(n, pairs, rng)
    return math.sqrt(float(np.square(figure(halves) - figure(~halves)).mean())) / 2


def some_halves(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Halves of n items without replacement, (count, n) truths."""
    halves = np.zeros((count, n), bool)
    for row in halves:
        row[rng.permutation(n)[: max(1, n // 2)]] = True
    return halves


def half_width(error: float, freedom: float = PAIRS) -> float:
    """Half an interval: t · error, with so many degrees of freedom behind the error."""
    return student(freedom) * error


def about(value: float, error: float, freedom: float = PAIRS) -> tuple[float, float]:
    """value ± t · error."""
    half = half_width(error, freedom)
    return value - half, value + half


@dataclass(frozen=True)
class Spread:
    """How a squared distance T = |δ + u|² of n items varies, u a mean of n with covariance C / n, to second order.

    distance: |δ + u|² itself, T or what T is without its bias.
    bias:     tr C / n, by which E |δ + u|² exceeds |δ|².
    first:    4 (δ + u)·C(δ + u) / n, the variance of T by its gradient, of which u adds twice `second` on average.
    second:   2 tr C² / n², the variance of u·u, which is all where δ = 0.
    freedom:  degrees of freedom behind both variances.
    """

    distance: float
    bias: float
    first: float
    second: float
    freedom: float

    @property
    def error(self) -> float:
        """One standard error of T; `first` holds `second` twice on average, and is noise where δ = 0."""
        return math.sqrt(max(self.second, self.first - self.second))


def spread(figure: Statistic, n: int, rng: np.random.Generator, pairs: int = PAIRS) -> Spread:
    """That of a squared distance, biased, of two sets of n items, from `pairs` of complementary halves S and S^c."""
    halves = some_halves(n, pairs, rng)
    distance, one, other = float(figure(np.ones((1, n), bool))[0]), figure(halves), figure(~halves)
    return Spread(distance, float((one + other).mean()) / 2 - distance, *orders(one, other), pairs)


def orders(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """`first` and `second` of a `Spread`, from T(S) and T(S^c), (R,) each."""
    return float(np.square(one - other).mean()) / 4, float((one + other).var(ddof=1)) / 4


def variance(one: np.ndarray, other: np.ndarray) -> float:
    """Var T from T(S) and T(S^c), (R,) each, without bias to second order: minus their covariance, but not below 0."""
    first, second = orders(one, other)
    return max(0.0, first - second)


def of_distance(value: float, about: Spread) -> tuple[float, float]:
    """Of a squared distance T, `value`: all m = E T for which (T - m)² <= t² Var T, Var T = second + slope · |δ|² of m.

    The slope is the larger of two estimates: the variance of the gradient over |δ + u|², exact in one dimension but too
    small where δ lies in few of many, and Var T over |δ|², to which one standard error is added.
    Of two equal sets it is `value` alone.
    """
    t, error = student(about.freedom), math.sqrt(about.second)
    excess, at_null = about.distance - about.bias, t * error  # excess: |δ|² without bias
    least = max(excess, 0.0) + error
    slope = about.first / about.distance if about.distance > 0 else 0.0
    slope = max(slope, (about.first - about.second) / least if least > 0 else 0.0)
    middle = t**2 * slope / 2
    root = t * math.sqrt(max(0.0, about.second + slope * excess + (t * slope / 2) ** 2))
    low = -at_null if excess < at_null else middle - root  # where |δ|² is 0, Var T is `second`
    high = at_null if excess < -at_null else middle + root
    return value + low, value + high


def of_share(share: float, n: int) -> tuple[float, float]:
    """Of a share of n items: covers at least 95 %, and more of few items, of which there are few shares."""
    hits = round(share * n)
    low = 0.0 if hits == 0 else _where(lambda p: 1 - _at_most(hits - 1, n, p) > TAIL)
    high = 1.0 if hits == n else _where(lambda p: _at_most(hits, n, p) <= TAIL)
    return min(low, share), max(high, share)


def of_median(values: np.ndarray) -> tuple[float, float]:
    """Of the median of values (n,): covers at least 95 % from six values on; of fewer it spans them all."""
    ordered, n = np.sort(values), len(values)
    rank = int((np.cumsum(_masses(n, 0.5)) <= TAIL).sum())  # P(fewer than so many values lie below the median) <= 2.5 %
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[n - rank])


def least_share(n: int) -> float:
    """The smallest share that n values can promise: that below the lowest of them."""
    return 1 / (n + 1)


def threshold(values: np.ndarray, share: float) -> float:
    """Below it lies this share of fresh values of the same kind, on average over the values (n,) that it is made of.

    The k-th smallest of n values has k / (n + 1) of the distribution below it (Weibull 1939); between two of them it is
    interpolated. The quantile of the values themselves is too high, by 0.5 % of all items at n = 100.
    Raises UsageError for a share below 1 / (n + 1), which no value marks.
    """
    if share < least_share(len(values)):
        raise UsageError(f"{len(values)} values are too few to show where {share:g} of all lie")
    return float(np.quantile(values, share, method="weibull"))


def _where(passed: Callable[[float], bool]) -> float:
    """The p in [0, 1] from which on `passed` holds."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if passed(middle) else (middle, high)
    return (low + high) / 2


def _at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) of a binomial X."""
    return float(_masses(n, p)[: k + 1].sum())


def _masses(n: int, p: float) -> np.ndarray:
    """P(X = k), k = 0 to n, of a binomial X with 0 < p < 1."""
    k = np.arange(n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    return np.exp(logs[n] - logs - logs[::-1] + k * math.log(p) + (n - k) * math.log1p(-p))
