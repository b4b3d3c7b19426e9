"""95 % intervals cover 95 %, and a share promised is the share got: by simulation, from fixed seeds."""

import functools
import math

import numpy as np
import pytest
from scipy import stats

from simulacra.errors import UsageError
from simulacra.evaluation import disentanglement, intervals
from simulacra.evaluation.fidelity import frechet_distance, frechet_distances
from simulacra.evaluation.kernels import Kernel, cubic, gaussian, mmd, mmd_spread
from simulacra.evaluation.representation import Encoded

Draw = tuple[float, float, float]
"""A figure of one simulated data set, and its interval."""


def coverage(draws: list[Draw], truth: float | None = None) -> float:
    """How often the interval holds the mean of the figure over all data sets, or what the population has."""
    values, low, high = np.array(draws).T
    about = values.mean() if truth is None else truth
    return float(((low <= about) & (about <= high)).mean())


def distance(name: str, n: int, d: int, shift: float, rng: np.random.Generator) -> Draw:
    """Of n items with d features from n others, whose mean lies `shift` away in every feature."""
    a, b = rng.normal(size=(n, d)), rng.normal(shift, 1.0, size=(n, d))
    if name == "fd":
        value, spread = frechet_distance(a, b), intervals.spread(functools.partial(frechet_distances, a, b), n, rng)
    else:
        kernel = cubic if name == "cubic" else gaussian(2.0)
        value, spread = mmd(a, b, kernel), mmd_spread(a, b, kernel)
    return value, *intervals.of_distance(value, spread)


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    ("name", "d", "count"), [("fd", 4, 400), ("mmd", 1, 1500), ("mmd", 4, 1500), ("cubic", 4, 1500)]
)
def test_an_interval_of_a_distance_covers_its_mean_at_the_floor_and_far_from_it(name, d, count, shift):
    rng = np.random.default_rng(0)
    draws = [distance(name, 60, d, shift, rng) for _ in range(count)]
    assert coverage(draws) == pytest.approx(0.95, abs=0.015)


def squares_of_means(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return ((rows @ x / rows.sum(1, keepdims=True)) ** 2).sum(1)


def test_the_spread_of_a_distance_is_that_of_its_second_order():
    """Closed forms of |mean|² of Gaussian items with covariance C: a mean has covariance C / n."""
    rng, n, deviations = np.random.default_rng(0), 50, np.array([2.0, 1.0, 0.5])
    found, values = [], []
    for _ in range(300):
        x = rng.normal(size=(n, 3)) * deviations + [0.0, 0.2, 0.0]
        found.append(intervals.spread(functools.partial(squares_of_means, x), n, rng))
        values.append(found[-1].distance)
    variances = deviations**2
    second, linear = 2 * (variances**2).sum() / n**2, 4 * 0.2**2 * variances[1] / n
    assert np.mean([each.bias for each in found]) == pytest.approx(variances.sum() / n, rel=0.1)
    assert np.mean([each.second for each in found]) == pytest.approx(second, rel=0.1)
    assert np.mean([each.first for each in found]) == pytest.approx(linear + 2 * second, rel=0.15)
    assert np.var(values) == pytest.approx(linear + second, rel=0.25)


@pytest.mark.parametrize("kernel", [gaussian(1.5), cubic], ids=["gaussian", "cubic"])
def test_the_closed_form_of_mmd_is_what_halves_show(kernel):
    rng, n = np.random.default_rng(0), 80
    a = rng.normal(size=(n, 2))
    b = 0.5 * a + rng.normal(0.4, 1.0, size=(n, 2))  # in pairs, as under conditions

    def biased(selections: np.ndarray) -> np.ndarray:
        return np.array([_biased_mmd(a[rows], b[rows], kernel) for rows in selections])

    exact, drawn = mmd_spread(a, b, kernel), intervals.spread(biased, n, rng, pairs=1000)
    for name in ("distance", "bias", "first", "second"):
        assert getattr(exact, name) == pytest.approx(getattr(drawn, name), rel=0.1), name


def _biased_mmd(a: np.ndarray, b: np.ndarray, kernel: Kernel) -> float:
    return float(kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())


def test_an_interval_of_equal_sets_is_their_distance():
    a = np.random.default_rng(0).normal(size=(30, 2))
    value = mmd(a, a, gaussian(1.0))
    assert intervals.of_distance(value, mmd_spread(a, a, gaussian(1.0))) == pytest.approx((value, value), abs=1e-9)


@pytest.mark.parametrize("skewed", [False, True])
def test_an_interval_of_mean_nats_covers_that_of_the_population(skewed):
    rng, n = np.random.default_rng(0), 100
    nats = rng.gamma(4.0, 0.25, size=(4000, n)) if skewed else rng.normal(1.0, 1.0, size=(4000, n))
    draws = [(x.mean(), *intervals.about(x.mean(), x.std(ddof=1) / math.sqrt(n), n - 1)) for x in nats]
    assert coverage(draws, 1.0) == pytest.approx(0.95, abs=0.015)


FACTORS = (3, 4)


def encoded(n: int, noise: float, rng: np.random.Generator) -> Encoded:
    """Each factor is one number of the code, under noise."""
    v = np.stack([rng.integers(count, size=n) for count in FACTORS], axis=1)
    codes = v + noise * rng.normal(size=(n, 2))
    return Encoded(codes, "codes", rng.normal(size=(n, 2)), {"a": v[:, 0], "b": v[:, 1]}, n)


def of_information(rng: np.random.Generator) -> Draw:
    test = encoded(100, 0.5, rng)
    v = np.stack(list(test.fields.values()), axis=1)
    measure = disentanglement._of_information(test, v, "", rng)["mutual_information_gap"]
    return measure.value, measure.low, measure.high


def test_an_interval_of_the_mutual_information_gap_covers_its_mean():
    rng = np.random.default_rng(1)
    assert coverage([of_information(rng) for _ in range(300)]) == pytest.approx(0.95, abs=0.015)


def of_sap(rng: np.random.Generator) -> Draw:
    train, test = encoded(100, 1.0, rng), encoded(100, 1.0, rng)
    v, v_test = (np.stack(list(part.fields.values()), axis=1) for part in (train, test))
    measure = disentanglement._of_trees(train, test, v, v_test, "", rng)["separated_attribute_predictability"]
    return measure.value, measure.low, measure.high


def right_by_means(train: np.ndarray, v: np.ndarray, test: np.ndarray, v_test: np.ndarray) -> np.ndarray:
    """As `_right_by_one`, by the nearest mean of a class in the place of a tree."""
    right = np.empty((train.shape[1], *v_test.shape), bool)
    for k, factor in enumerate(v.T):
        means = np.stack([train[factor == value].mean(0) for value in np.unique(factor)])  # classes from 0 on
        right[:, :, k] = (np.abs(test[:, None] - means).argmin(1) == v_test[:, k, None]).T
    return right


def test_an_interval_of_sap_covers_its_mean_over_fresh_training_and_test_items(monkeypatch):
    """Where a classifier varies smoothly with its items; trees of half of them jump further than those of all do."""
    monkeypatch.setattr(disentanglement, "_right_by_one", right_by_means)
    rng = np.random.default_rng(2)
    assert coverage([of_sap(rng) for _ in range(1200)]) == pytest.approx(0.95, abs=0.015)


def test_an_interval_of_sap_warns_where_no_number_is_the_best():
    """There it covers 3 of 4 codes: see benchmarks/results/coverage.json."""
    for noise, warned in ((0.1, False), (50.0, True)):
        rng = np.random.default_rng(2)
        train, test = encoded(100, noise, rng), encoded(100, noise, rng)
        v, v_test = (np.stack(list(part.fields.values()), axis=1) for part in (train, test))
        measure = disentanglement._of_trees(train, test, v, v_test, "", rng)["separated_attribute_predictability"]
        assert (measure.warning is not None) == warned


def test_an_interval_of_sap_by_trees_is_not_too_narrow():
    rng = np.random.default_rng(2)
    assert coverage([of_sap(rng) for _ in range(20)]) > 0.935


def test_halves_give_the_error_of_a_mean():
    rng, errors = np.random.default_rng(0), []
    for n in (49, 50):
        x = rng.normal(size=n)
        drawn = intervals.standard_error(lambda rows, x=x: rows @ x / rows.sum(1), n, rng, pairs=4000)
        errors.append(drawn / (x.std(ddof=1) / n**0.5))
    assert errors == pytest.approx([1, 1], abs=0.04)
    assert np.isnan(intervals.standard_error(lambda rows: rows.sum(1), 1, rng))


@pytest.mark.parametrize("freedom", [4, 7, 20, 50, 1000])
def test_the_quantile_of_student(freedom):
    assert intervals.student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)


# Shares and medians


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (1, 5), (5, 5), (3, 359), (180, 359), (2, 2000), (0, 1)])
def test_an_interval_of_a_share_is_that_of_clopper_and_pearson(hits, n):
    low = stats.beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = stats.beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    assert intervals.of_share(hits / n, n) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize("n", [5, 20, 359])
@pytest.mark.parametrize("p", [0.001, 0.01, 0.1, 0.5, 0.97])
def test_it_covers_95_percent_whatever_the_share(n, p):
    """By enumeration of the binomial law, and no more than the next hit needs beyond that."""
    edges = np.array([intervals.of_share(k / n, n) for k in range(n + 1)])
    masses = stats.binom.pmf(np.arange(n + 1), n, p)
    covers = masses[(edges[:, 0] <= p) & (p <= edges[:, 1])].sum()
    assert covers >= 0.95
    assert covers < 0.985 or n * p * (1 - p) < 8


@pytest.mark.parametrize("n", [6, 25, 400])
def test_an_interval_of_a_median_covers_whatever_the_distribution(n):
    rng = np.random.default_rng(0)
    edges = np.array([intervals.of_median(x) for x in rng.exponential(size=(2000, n))])
    inside = ((edges[:, 0] <= np.log(2)) & (np.log(2) <= edges[:, 1])).mean()
    assert 0.94 < inside < 0.985


# Thresholds


@pytest.mark.parametrize(("n", "share"), [(199, 0.005), (359, 0.01), (100, 0.01), (40, 0.3)])
def test_a_threshold_lets_the_promised_share_pass(n, share):
    """On average over the values that it is made of; the quantile of the values themselves passes 1.3 to 2 times it."""
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(4000, n))
    passed = np.array([intervals.threshold(row, share) for row in values])  # the share of uniform values below
    error = passed.std() / len(passed) ** 0.5
    assert abs(passed.mean() - share) < 3 * error
    upper = np.array([-intervals.threshold(-row, share) for row in values])
    assert abs((1 - upper).mean() - share) < 3 * error
    assert np.quantile(values, share, axis=1).mean() - share > 3 * error


def test_a_share_that_no_value_marks_is_refused():
    assert intervals.least_share(99) == 0.01
    intervals.threshold(np.arange(99.0), 0.01)
    with pytest.raises(UsageError, match=r"98 values are too few to show where 0\.01 of all lie"):
        intervals.threshold(np.arange(98.0), 0.01)
