"""How often the 95 % intervals of `evaluate`, `score` and `classify` hold what they are about, by simulation.

Data sets are drawn again and again, each with its figure and interval; what an interval is about is the mean of the
figure over all of them, or the population's own value where that is known. Cases are at the null (the model is the
data, codes know nothing), weak and strong, of few and many items and dimensions. Of each: the share of intervals that
hold it, the standard error of this share, the shares that lie below and above it, and how many data sets there were.
Target: 0.95 ± 0.015, of shares and medians at least 0.95.

    python benchmarks/coverage.py
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from record import conclude, parser

from simulacra.evaluation import aggregate, disentanglement, intervals
from simulacra.evaluation.anomaly import auroc
from simulacra.evaluation.estimators import LogMean
from simulacra.evaluation.fidelity import frechet_distance, frechet_distances
from simulacra.evaluation.kernels import gaussian, mmd, mmd_spread
from simulacra.evaluation.representation import Encoded

Z = 1.959964

Drawn = tuple[float, float, float]
"""A figure of one simulated data set, and its interval."""


@dataclass(frozen=True)
class Case:
    """`draw` makes the figure of a fresh data set, `truth` is what its interval is about: None for the mean of all."""

    name: str
    draw: Callable[[np.random.Generator], Drawn]
    count: int
    truth: float | None = None

    def row(self, rng: np.random.Generator, count: int) -> dict[str, float]:
        value, low, high = np.array([self.draw(rng) for _ in range(count)]).T
        about = value.mean() if self.truth is None else self.truth
        below, above = float((high < about).mean()), float((low > about).mean())
        share = 1 - below - above
        error = math.sqrt(share * (1 - share) / count)
        return {"covers": share, "standard error": error, "below": below, "above": above, "data sets": count}


# Distances of samples from items: two sets of n items with d features


def features(n: int, d: int, shift: float, falling: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means are `shift` apart; if `falling`, deviations fall as 1, 1/2, 1/3, ..., and only the first mean differs."""
    scale = 1 / np.arange(1, d + 1) if falling else np.ones(d)
    a, b = rng.normal(size=(2, n, d)) * scale
    b[:, : 1 if falling else d] += shift
    return a, b


def frechet(n: int, d: int, shift: float, falling: bool, rng: np.random.Generator) -> Drawn:
    a, b = features(n, d, shift, falling, rng)
    spread = intervals.spread(functools.partial(frechet_distances, a, b), n, rng)
    value = frechet_distance(a, b)
    return value, *intervals.of_distance(value, spread)


def gaussian_mmd(n: int, d: int, shift: float, falling: bool, rng: np.random.Generator) -> Drawn:
    a, b = features(n, d, shift, falling, rng)
    width = 1.5 * math.sqrt(float(a.var(0).sum()))  # about the median distance of two items
    value = mmd(a, b, gaussian(width))
    return value, *intervals.of_distance(value, mmd_spread(a, b, gaussian(width)))


SETS = ((60, 1, False), (60, 4, False), (400, 4, False), (200, 16, False), (200, 16, True), (640, 64, True))


def distances() -> Iterator[Case]:
    for name, draw, count in (("frechet_distance", frechet, 600), ("kernel_mmd", gaussian_mmd, 1000)):
        for n, d, falling in SETS:
            times = count if n < 100 else count // 2 if d < 64 else count // 12
            for kind, far in (("null", 0.0), ("weak", 1.2), ("medium", 3.0), ("strong", 7.0)):
                shift = far * math.sqrt(2 / n)  # so many standard errors of the difference of two means
                of = functools.partial(draw, n, d, shift, falling)
                where = ", along the first" if falling else ""
                yield Case(f"{name}, n = {n}, d = {d}{where}, {kind}", of, times)


# Codes of all items against the prior


def of_codes(gap: aggregate.Gap, n: int, d: int, far: float, discrete: bool, rng: np.random.Generator) -> Drawn:
    z, w = rng.normal(far, 1 - far / 2, size=(n, d)), rng.normal(size=(n, d))
    if discrete:
        z, w = (z > 0).astype(np.float64), (w > 0).astype(np.float64)
    spread = intervals.spread(lambda rows: gap(z, w, rows, rows), n, rng)
    return spread.distance, *intervals.of_distance(spread.distance, spread)


def gaps() -> Iterator[Case]:
    kinds = (
        ("covariances", aggregate._of_covariances, False),
        ("variances", aggregate._of_variances, False),
        ("bits", aggregate._of_bits, True),
    )
    for name, gap, discrete in kinds:
        for n, d in ((60, 2), (400, 8)):
            for kind, far in (("null", 0.0), ("weak", 2 / math.sqrt(n)), ("strong", 0.8)):
                draw = functools.partial(of_codes, gap, n, d, far, discrete)
                yield Case(f"aggregate_gap of {name}, n = {n}, d = {d}, {kind}", draw, 300 if n < 100 else 100)


# Factors in codes: two numbers, one of a factor with 3 values and one of 4, under noise, and one of noise alone

FACTORS = (3, 4)


def encoded(n: int, known: float, rng: np.random.Generator) -> Encoded:
    v = np.stack([rng.integers(count, size=n) for count in FACTORS], axis=1)
    codes = np.concatenate([known * v, np.zeros((n, 1))], axis=1) + rng.normal(size=(n, 3))
    return Encoded(codes, "codes", rng.normal(size=(n, 3)), {"a": v[:, 0], "b": v[:, 1]}, n)


def of_axes(name: str, n: int, known: float, rng: np.random.Generator) -> Drawn:
    train, test = encoded(n, known, rng), encoded(n, known, rng)
    v, v_test = (np.stack(list(part.fields.values()), axis=1) for part in (train, test))
    if name == "mutual_information_gap":
        found = disentanglement._of_information(test, v_test, "", rng)
    elif name == "separated_attribute_predictability":
        found = disentanglement._of_trees(train, test, v, v_test, "", rng)
    else:
        found = disentanglement._of_forests(train, test, v, v_test, "", rng, int(rng.integers(2**31)))
    measure = found[name]
    return measure.value, measure.low, measure.high


def axes() -> Iterator[Case]:
    counts = {"mutual_information_gap": 400, "separated_attribute_predictability": 300}
    counts |= {f"dci_{name}": 60 for name in ("disentanglement", "completeness", "informativeness")}
    for name, count in counts.items():
        kinds = {"null": 0.0, "weak": 0.5, "strong": 2.0} if count > 100 else {"weak": 0.5}  # forests take long
        for kind, known in kinds.items():
            yield Case(f"{name}, n = 100, {kind}", functools.partial(of_axes, name, 100, known), count)
        if count > 100:
            yield Case(f"{name}, n = 1000, strong", functools.partial(of_axes, name, 1000, 2.0), count // 4)


# Means, shares, medians, and errors that are printed after a ±


def mean(n: int, skewed: bool, rng: np.random.Generator) -> Drawn:
    nats = rng.gamma(2.0, 0.5, size=n) if skewed else rng.normal(1.0, 1.0, size=n)
    value, error = float(nats.mean()), float(nats.std(ddof=1)) / math.sqrt(n)
    return value, *intervals.about(value, error, n - 1)


def share(n: int, p: float, rng: np.random.Generator) -> Drawn:
    found = rng.binomial(n, p) / n
    return found, *intervals.of_share(found, n)


def median(n: int, rng: np.random.Generator) -> Drawn:
    values = rng.exponential(size=n)
    return float(np.median(values)), *intervals.of_median(values)


def importance(k: int, sigma: float, rng: np.random.Generator) -> Drawn:
    """log of the mean of k log-normal weights, whose mean is 1; their effective sample size is about k exp(-σ²)."""
    weights = LogMean(1)
    weights.add(torch.from_numpy(rng.normal(-(sigma**2) / 2, sigma, size=(k, 1))))
    found = weights.estimate("importance")
    value, error = found.log_prob.item(), found.standard_error.item()
    return value, value - Z * error, value + Z * error


def ranks(n: int, shift: float, rng: np.random.Generator) -> Drawn:
    found = auroc(rng.normal(size=n), rng.normal(shift, 1.0, size=n))
    return found.value, found.value - Z * found.standard_error, found.value + Z * found.standard_error


def others() -> Iterator[Case]:
    for n in (10, 100, 1000):
        for kind, skewed in (("normal", False), ("skewed", True)):
            yield Case(f"nats, n = {n}, {kind}", functools.partial(mean, n, skewed), 4000, 1.0)
    for n in (30, 1000):
        for p in (0.01, 0.3):
            yield Case(
                f"share (accuracy, errors, near_copies), n = {n}, p = {p}", functools.partial(share, n, p), 2000, p
            )
        yield Case(f"neighbour_distance, n = {n}", functools.partial(median, n), 2000, math.log(2))
    for sigma in (0.5, 1.5, 3.0):
        size = max(1.0, 1000 * math.exp(-(sigma**2)))
        name = f"± 1.96 errors of log p by 1000 weights, effective sample size about {size:.3g}"
        yield Case(name, functools.partial(importance, 1000, sigma), 2000, 0.0)
    for kind, shift in (("null", 0.0), ("strong", 2.0)):
        truth = 0.5 * math.erfc(-shift / 2)
        yield Case(f"± 1.96 errors of an AUROC, n = 100, {kind}", functools.partial(ranks, 100, shift), 2000, truth)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", default="", help="cases whose names contain this")
    args = options.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, dict[str, float]] = {}
    for number, case in enumerate([*distances(), *gaps(), *axes(), *others()]):
        if args.only in case.name:
            figures[case.name] = case.row(np.random.default_rng([0, number]), 2 if args.smoke else case.count)
            print(f"{case.name}: {figures[case.name]['covers']:.3f}", flush=True)
    conclude("coverage", figures, smoke=args.smoke or bool(args.only), seeds=[0], notes="95 % intervals")


if __name__ == "__main__":
    main()
