"""The bound of a divergence by a probe, and the variety of samples: known distributions, and what collapses."""

import math

import numpy as np
import pytest

from simulacra import data
from simulacra.data import DataSpec
from simulacra.evaluation.probe import LOG2, jensen_shannon
from simulacra.evaluation.variety import variety
from simulacra.fields import Levels, Real

PLANE = DataSpec(Real((2,)))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(n: int, mean: float = 0.0, seed: int = 0) -> np.ndarray:
    return rng(seed).normal(mean, 1.0, (n, 2)).astype(np.float32)


# The probe


def test_of_two_equal_distributions_the_bound_is_about_zero():
    for seed in range(2):
        found = jensen_shannon(PLANE, normal(401, seed=seed), normal(401, seed=100 + seed), rng(seed))
        assert found.low <= 0.005
        assert found.bound <= 0.03
        assert 134 <= found.n <= 400


def test_of_two_that_do_not_overlap_it_is_log_two_and_never_more():
    found = jensen_shannon(PLANE, normal(300), normal(300, 12.0, seed=1), rng())
    assert LOG2 - 0.01 <= found.bound <= found.high <= LOG2 == pytest.approx(math.log(2))


def test_it_stays_below_the_divergence():
    """JSD of N(0, I) and N((1, 1), I), by quadrature along the line that joins their means."""
    t = np.linspace(-8, 10, 4001)
    p, q = (np.exp(-0.5 * (t - mean) ** 2) / math.sqrt(2 * math.pi) for mean in (0.0, math.sqrt(2)))
    m = (p + q) / 2
    truth = float(0.5 * np.trapezoid(p * np.log(p / m) + q * np.log(q / m), t))
    found = jensen_shannon(PLANE, normal(900), normal(900, 1.0, seed=1), rng())
    assert 0.5 * truth < found.bound
    assert found.low < truth


def test_fine_structure_of_few_dimensions_is_seen():
    """Eight narrow modes against a ring without any: no small network tells them apart in so few steps."""
    angle = rng(3).uniform(0, 2 * np.pi, 401)
    even = 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng(4).normal(0, 0.02, (401, 2))
    assert jensen_shannon(PLANE, ring(401, 8).astype(np.float32), even.astype(np.float32), rng()).low > 0.2


def test_it_is_of_images_too():
    spec = DataSpec(Levels((1, 8, 8), 17))
    digits = np.asarray(data.load("digits").train.x)[rng().permutation(1258)[:120]]
    noise = rng(1).integers(0, 17, digits.shape).astype(np.uint8)
    assert jensen_shannon(spec, digits, noise, rng()).bound > 0.6
    assert jensen_shannon(spec, digits[:60], digits[60:], rng()).low == 0


# Variety


def ring(n: int, modes: int, seed: int = 0, spread: float = 0.02) -> np.ndarray:
    angle = rng(seed).integers(0, modes, n) * 2 * np.pi / 8
    return 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng(seed + 1).normal(0, spread, (n, 2))


@pytest.mark.parametrize("modes", [1, 2, 4, 8])
def test_of_some_equally_frequent_modes_it_is_their_share(modes):
    found = variety(ring(600, 8), ring(600, modes, seed=5))
    assert found.ratio == pytest.approx(modes / 8, rel=0.1)
    assert found.low < modes / 8 * 1.05
    assert found.high > modes / 8 * 0.95


def test_a_generator_of_one_point_has_none_and_noise_more_than_all():
    digits = np.asarray(data.load("digits").train.x)[rng().permutation(1258)[:300]]
    assert variety(digits[:150], np.repeat(digits[:1], 150, 0)).high < 0.05
    alike = variety(digits[:150], digits[150:])
    assert alike.low <= 1 <= alike.high
    assert variety(digits[:150], rng().integers(0, 17, (150, 1, 8, 8))).low > 2


def test_the_interval_covers_the_ratio_of_equal_distributions():
    hits = 0
    for seed in range(60):
        found = variety(normal(80, seed=seed), normal(80, seed=1000 + seed))
        hits += found.low <= 1 <= found.high
    assert hits >= 51  # 57 of 60 on average


def test_one_item_for_each_class_is_a_collapse():
    digits = data.load("digits").train
    rows = np.sort(rng().permutation(1258)[:400])
    x, y = np.asarray(digits.x)[rows], np.asarray(digits.field("label"))[rows]
    of_class = np.stack([x[y == k][0] for k in range(10)])
    without, within = variety(x, of_class[y]), variety(x, of_class[y], y)
    assert within.high < 0.15
    assert within.ratio < without.ratio
    assert len(within.each) == 10
    assert max(within.each) < 0.5


def test_it_does_not_depend_on_the_unit():
    one, other = ring(200, 8), ring(200, 3, seed=5)
    assert variety(100 * one, 100 * other).ratio == pytest.approx(variety(one, other).ratio)
