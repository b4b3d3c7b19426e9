"""Modes of samples whose modes are known by construction, and the intervals of their count and of their KL."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import simulacra as sim
from simulacra.data.loading import modes_of
from simulacra.data.modes import Centres
from simulacra.evaluation import modes
from simulacra.evaluation.modes import count_interval, kl_interval, of_centres, reverse_kl

SQUARE = Centres(((0.0, 0.0), (0.0, 4.0), (4.0, 0.0), (4.0, 4.0)), 0.1)


def around(rng: np.random.Generator, counts: list[int], std: float = 0.1) -> np.ndarray:
    points = np.repeat(SQUARE.array, counts, axis=0)
    return points + std * rng.normal(size=points.shape)


def test_modes_of_a_mixture_are_counted_from_samples_of_high_quality():
    rng = np.random.default_rng(0)
    between = np.full((100, 2), 2.0)  # of no mode
    found = of_centres(np.concatenate([around(rng, [500, 300, 200, 0], 0.02), between]), SQUARE)
    assert found.counts.tolist() == [500, 300, 200, 0]
    assert found.quality.mean() == pytest.approx(1000 / 1100)
    assert reverse_kl(found.counts) == pytest.approx(stats.entropy([0.5, 0.3, 0.2, 0.0], [0.25] * 4))
    assert reverse_kl(np.zeros(4, int)) == pytest.approx(math.log(4))  # nothing of high quality


def test_the_mixture_itself_has_all_modes_and_the_quality_of_a_gaussian():
    ring = modes_of(sim.data.load("ring"))
    assert isinstance(ring, Centres)
    x, label = sim.data.load("ring").test.x, sim.data.load("ring").test.condition["label"]
    found = of_centres(x, ring)
    assert (found.counts > 0).all()
    assert found.quality.mean() == pytest.approx(1 - math.exp(-4.5), abs=0.01)
    near = np.abs(x[:, None] - ring.array).sum(2).argmin(1)
    assert (near == label).all()  # the modes are numbered as the labels are


@pytest.mark.parametrize(
    ("shares", "n"),
    [([1 / 8] * 8, 2500), ([0.3, 0.3, 0.2, 0.199, 0.001, 0, 0, 0], 1000), ([1 / 400] * 400, 800)],
    ids=["equal", "lost", "many"],
)
def test_intervals_of_modes_cover_their_means(shares, n):
    rng, counted, divergences = np.random.default_rng(0), [], []
    for _ in range(600):
        counts = rng.multinomial(n, shares)
        counted.append(((counts > 0).sum(), *count_interval(counts)))
        divergences.append((reverse_kl(counts), *kl_interval(counts)))
    for draws in (counted, divergences):
        value, low, high = np.array(draws).T
        assert ((low <= value) & (value <= high)).all()
        assert ((low <= value.mean()) & (value.mean() <= high)).mean() > 0.925


def test_of_equal_shares_kl_is_half_of_the_modes_over_the_draws():
    rng = np.random.default_rng(0)
    values = [reverse_kl(rng.multinomial(2600, [0.01] * 100)) for _ in range(400)]
    assert np.mean(values) == pytest.approx(99 / 5200, rel=0.03)


@pytest.fixture(scope="module")
def stacked():
    return sim.data.load("stacked-digits")


@pytest.fixture(scope="module")
def judge(stacked):
    known = modes_of(stacked)
    train = stacked.train.rows(slice(400))
    labels = np.stack([train.field(name) for name in known.fields], 1)
    return modes.Judge(stacked.spec, known, train.x, labels, stacked.test.x)


def test_a_judge_of_channels_counts_combinations(stacked, judge):
    test = stacked.test
    truth = np.stack([test.field(name) for name in judge.modes.fields], 1)
    assert judge.right(test.x, truth) > 0.93
    real = judge.counted(test.x, 0)
    distinct = len(np.unique(truth, axis=0))
    assert (real.counts > 0).sum() == pytest.approx(distinct, rel=0.05)
    assert real.quality.mean() == pytest.approx(0.99, abs=0.01)
    red = judge.counted(np.asarray(test.x)[truth[:, 0] < 2], 0)
    assert (red.counts.reshape(10, 100).sum(1) > 0.05 * red.counts.sum()).tolist() == [True] * 2 + [False] * 8
    assert reverse_kl(red.counts) > reverse_kl(real.counts) + 1
    combined = judge.recombined(test.x, 26_000, 0)
    assert (combined > 0).sum() == 1000
    assert 0.015 < reverse_kl(combined) < 0.05


def test_noise_has_modes_and_no_quality(stacked, judge):
    noise = np.random.default_rng(0).integers(0, 17, (500, 3, 8, 8)).astype(np.uint8)
    assert judge.counted(noise, 0).quality.mean() < 0.02


class OfTwoModes(torch.nn.Module):
    """A sampler of two of eight modes."""

    name = "two"

    def __init__(self, spec):
        super().__init__()
        self.spec, self.device = spec, torch.device("cpu")

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        points = torch.tensor([[2.0, 0.0], [-2.0, 0.0]])[torch.arange(n) % 2]
        return points + 0.02 * torch.randn(n, 2, generator=generator)


def test_evaluate_counts_the_modes_of_a_named_set_and_of_no_other():
    ring = sim.data.load("ring")
    found = sim.evaluate(OfTwoModes(ring.spec.conditioned_on(())), ring, quick=True)
    assert (found["modes"].value, found["modes"].floor) == (2, 8)
    assert found["high_quality"].value == pytest.approx(0.989, abs=0.02)
    assert found["high_quality"].floor == pytest.approx(0.989, abs=0.02)
    assert found["reverse_kl"].value == pytest.approx(math.log(4), abs=0.01)
    assert found["reverse_kl"].low <= math.log(4) <= found["reverse_kl"].high
    assert "modes" not in sim.evaluate(
        OfTwoModes(ring.spec.conditioned_on(())), replace(ring, source="elsewhere"), quick=True
    )
