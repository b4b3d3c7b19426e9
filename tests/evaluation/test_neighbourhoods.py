"""Precision, recall, density, coverage and the 1-NN test against their definitions, and where values are known."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from simulacra.evaluation import agreement
from simulacra.evaluation.neighbourhoods import FIGURES, Distances, K, p_value, with_intervals


def by_definition(real: np.ndarray, fake: np.ndarray, k: int = K) -> list[float]:
    """In plain loops; neighbours are those of scikit-learn, of which the first is the item itself."""
    radius, other = (NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k] for x in (real, fake))
    apart = np.array([[np.linalg.norm(a - b) for b in fake] for a in real])
    n, m = apart.shape
    both, label = np.concatenate([real, fake]), np.arange(n + m) < n
    nearest = NearestNeighbors(n_neighbors=2).fit(both).kneighbors(both)[1][:, 1]
    return [
        np.mean([any(apart[i, j] <= radius[i] for i in range(n)) for j in range(m)]),
        np.mean([any(apart[i, j] <= other[j] for j in range(m)) for i in range(n)]),
        sum(apart[i, j] <= radius[i] for i in range(n) for j in range(m)) / (k * m),
        np.mean([any(apart[i, j] <= radius[i] for j in range(m)) for i in range(n)]),
        (label == label[nearest]).mean(),
    ]


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_figures_are_their_definitions(shift):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(60, 3)), rng.normal(shift, 0.7, size=(60, 3))
    assert Distances.between(real, fake).figures() == pytest.approx(by_definition(real, fake), abs=1e-9)


def test_of_equal_gaussians_in_a_thousand_dimensions_precision_is_low_and_coverage_is_not():
    """The values of Naeem et al. 2020, table 1; precision and recall are 0.48 of 10,000 items, and more of fewer."""
    real, fake = np.random.default_rng(0).normal(size=(2, 1500, 1000))
    precision, recall, density, coverage, nearest = Distances.between(real, fake).figures()
    assert 0.45 < precision < 0.68
    assert 0.45 < recall < 0.68
    assert density == pytest.approx(1, abs=0.2)
    assert coverage == pytest.approx(1 - 2.0**-K, abs=0.015)
    assert nearest == pytest.approx(0.5, abs=0.03)


def test_figures_move_as_samples_lose_modes_blur_and_memorise():
    rng = np.random.default_rng(0)
    centres = 6 * rng.normal(size=(5, 8))

    def drawn(n: int, modes: int = 5) -> np.ndarray:
        return centres[rng.integers(modes, size=n)] + rng.normal(size=(n, 8))

    real = drawn(300)
    good, dropped, far, blurred = drawn(300), drawn(300, 2), drawn(300) + 3, 0.3 * drawn(300)
    copied = real[rng.integers(15, size=300)] + 1e-3 * rng.normal(size=(300, 8))
    of = {
        name: dict(zip(FIGURES, Distances.between(real, fake).figures(), strict=True))
        for name, fake in (("good", good), ("dropped", dropped), ("far", far), ("blurred", blurred), ("copied", copied))
    }
    assert of["dropped"]["precision"] > of["good"]["precision"] - 0.05
    assert of["dropped"]["recall"] < 0.6 * of["good"]["recall"]
    assert of["dropped"]["coverage"] < 0.6 * of["good"]["coverage"]
    assert of["far"]["precision"] < 0.2 * of["good"]["precision"]
    assert of["blurred"]["density"] < 0.2 * of["good"]["density"]
    assert of["copied"]["precision"] == 1
    assert of["copied"]["recall"] < 0.2
    assert all(of[name]["nearest_neighbour_test"] > 0.65 for name in ("far", "blurred", "copied", "dropped"))


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_intervals_cover_the_mean_over_fresh_items(shift):
    rng, draws = np.random.default_rng(0), []
    for _ in range(120):
        real, fake = rng.normal(size=(2, 100, 4))
        draws.append(list(with_intervals(real, fake + np.array([shift, 0, 0, 0]), rng)))
    values, low, high = np.array(draws).transpose(2, 0, 1)
    covered = ((low <= values.mean(0)) & (values.mean(0) <= high)).mean(0)
    assert (covered > 0.89).all()
    assert (covered[2::2] < 0.995).all()  # density and 1-NN, which are no shares of few items near 1


def test_the_p_value_is_uniform_at_the_null_and_small_elsewhere():
    rng = np.random.default_rng(0)
    values = np.array([p_value(*rng.normal(size=(2, 40, 2)), rng) for _ in range(100)])
    assert (values <= 0.05).mean() < 0.12
    assert 0.35 < values.mean() < 0.65
    real, fake = rng.normal(size=(2, 40, 2))
    assert p_value(real, fake + 2, rng) <= 0.005


def test_recall_within_classes_sees_what_recall_of_all_does_not():
    """Every class at its mean: samples agree with their conditions and have no diversity within them."""
    rng, classes = np.random.default_rng(0), np.arange(200) % 4
    centres = 10 * rng.normal(size=(4, 3))
    real, same = (centres[classes] + rng.normal(size=(200, 3)) for _ in range(2))
    means = centres[classes] + 0.01 * rng.normal(size=(200, 3))
    good = agreement.with_interval(Distances.between(real, same), classes, rng)
    poor = agreement.with_interval(Distances.between(real, means), classes, rng)
    assert good[0] > 0.8
    assert poor[0] < 0.1
    assert good[1] <= good[0] <= good[2]
    assert good[3].keys() == {0, 1, 2, 3}
    swapped = agreement.recall_within(Distances.between(real, same[::-1]), classes)[0]
    assert swapped < 0.1  # items of other classes do not count
