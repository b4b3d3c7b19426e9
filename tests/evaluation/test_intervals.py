"""95 % intervals cover 95 %, and a share promised is the share got: by simulation, from fixed seeds."""

import functools

import numpy as np
import pytest
from scipy import stats

from simulacra.errors import UsageError
from simulacra.evaluation import disentanglement, intervals
from simulacra.evaluation.fidelity import frechet_distance, frechet_distances, kernel_mmd, kernel_mmds
from simulacra.evaluation.representation import Encoded

Draw = tuple[float, float]
"""A figure of one simulated data set, and its standard error."""


def coverage(draws: list[Draw]) -> float:
    """How often the interval holds the mean of the figure over all data sets."""
    values = np.array(draws)[:, 0]
    edges = np.array([intervals.about(value, error) for value, error in draws])
    return float(((edges[:, 0] <= values.mean()) & (values.mean() <= edges[:, 1])).mean())


def distance(name: str, n: int, d: int, shift: float, rng: np.random.Generator) -> Draw:
    """Of n items with d features from n others, whose mean lies `shift` away in every feature."""
    a, b = rng.normal(size=(n, d)), rng.normal(shift, 1.0, size=(n, d))
    if name == "fd":
        return frechet_distance(a, b), intervals.standard_error(functools.partial(frechet_distances, a, b), n, rng)
    return kernel_mmd(a, b, 2.0), intervals.standard_error(functools.partial(kernel_mmds, a, b, 2.0), n, rng)


@pytest.mark.parametrize(("name", "n", "d", "count"), [("fd", 60, 4, 400), ("mmd", 60, 4, 1000)])
def test_an_interval_of_a_distance_covers_its_mean(name, n, d, count):
    rng = np.random.default_rng(0)
    assert coverage([distance(name, n, d, 1.0, rng) for _ in range(count)]) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("name", ["fd", "mmd"])
def test_at_the_floor_it_is_too_wide_and_never_too_narrow(name):
    rng = np.random.default_rng(0)
    assert coverage([distance(name, 60, 4, 0.0, rng) for _ in range(60)]) > 0.96


FACTORS = (3, 4)


def encoded(n: int, noise: float, rng: np.random.Generator) -> Encoded:
    v = np.stack([rng.integers(count, size=n) for count in FACTORS], axis=1)
    codes = np.concatenate([v, np.zeros((n, 1))], axis=1) + noise * rng.normal(size=(n, 3))
    return Encoded(codes, "codes", rng.normal(size=(n, 3)), {"a": v[:, 0], "b": v[:, 1]}, n)


def covered(of_one, count: int, name: str) -> float:
    found = [of_one()[name] for _ in range(count)]
    mean = np.mean([each.value for each in found])
    return float(np.mean([each.low <= mean <= each.high for each in found]))


def test_an_interval_of_the_mutual_information_gap_covers_its_mean():
    rng = np.random.default_rng(1)

    def of_one():
        test = encoded(100, 0.5, rng)
        v = test.fields["b"][:, None]
        return disentanglement._of_information(test, v, "", rng)

    assert covered(of_one, 400, "mutual_information_gap") == pytest.approx(0.95, abs=0.015)


def test_an_interval_of_sap_covers_fresh_training_items_too():
    rng = np.random.default_rng(2)

    def of_one():
        train, test = encoded(60, 0.5, rng), encoded(60, 0.5, rng)
        v, v_test = (np.stack(list(part.fields.values()), axis=1) for part in (train, test))
        return disentanglement._of_trees(train, test, v, v_test, "", rng)

    assert covered(of_one, 40, "separated_attribute_predictability") > 0.935


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
