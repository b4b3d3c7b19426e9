"""A perfect code scores 1, a rotated one less, noise nothing; and nothing depends on the order of its numbers."""

from dataclasses import replace

import numpy as np
import pytest

from simulacra.errors import UsageError
from simulacra.evaluation import disentanglement
from simulacra.evaluation.disentanglement import dci, mutual_information_gap, separated_attribute_predictability
from simulacra.evaluation.representation import Encoded

COUNTS = (3, 4, 5)


def factors(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(count, size=n) for count in COUNTS], axis=1)


def perfect(v: np.ndarray) -> np.ndarray:
    """Every factor in a number of its own, one of them in no order, and a number that knows nothing."""
    unordered = np.array([2.0, -1.0, 0.5, 7.0])[v[:, 1]]
    noise = np.random.default_rng(9).normal(size=len(v))
    return np.stack([v[:, 2] * 1.7, v[:, 0] - 3.0, noise, unordered], axis=1)


def rotated(v: np.ndarray) -> np.ndarray:
    """The same information, standardised first so that no number drowns the others."""
    z = perfect(v)
    z = (z - z.mean(0)) / z.std(0)
    return z @ np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]


def noise(v: np.ndarray) -> np.ndarray:
    return np.random.default_rng(len(v)).normal(size=(len(v), 4))


def scores(code) -> dict[str, float]:
    train, test = factors(1500, 0), factors(800, 1)
    a, b = code(train), code(test)
    found = dci(a, train, b, test)
    return {
        "mig": mutual_information_gap(b, test),
        "disentanglement": found.disentanglement,
        "completeness": found.completeness,
        "informativeness": found.informativeness,
        "sap": separated_attribute_predictability(a, train, b, test),
    }


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    return {code.__name__: scores(code) for code in (perfect, rotated, noise)}


CHANCE = np.mean([1 / count for count in COUNTS])


def test_a_perfect_code_scores_one(found):
    for name in ("mig", "disentanglement", "completeness", "informativeness"):
        assert found["perfect"][name] > 0.97, name
    assert found["perfect"]["sap"] == pytest.approx(1 - CHANCE, abs=0.06)  # the next best number can but guess


def test_noise_scores_nothing(found):
    for name in ("mig", "disentanglement", "completeness", "sap"):
        assert 0 <= found["noise"][name] < 0.06, name
    assert found["noise"]["informativeness"] == pytest.approx(CHANCE, abs=0.05)


def test_a_rotated_code_is_less_disentangled_but_still_knows(found):
    for name in ("mig", "disentanglement", "completeness", "sap"):
        assert found["rotated"][name] < found["perfect"][name] - 0.3, name
    assert found["rotated"]["informativeness"] > CHANCE + 0.3


def test_the_order_scale_and_sign_of_the_numbers_do_not_matter(found):
    order, scale = [2, 0, 3, 1], np.array([1.0, -5.0, 0.01, 300.0])
    again = scores(lambda v: rotated(v)[:, order] * scale)
    for name, value in found["rotated"].items():
        assert again[name] == pytest.approx(value, abs=0.05), name
    assert again["mig"] == pytest.approx(found["rotated"]["mig"], abs=0.01)


def test_mig_is_its_definition():
    """Two coins, known by z_1 and z_2; z_3 knows the first one nine times out of ten."""
    v = np.stack(np.meshgrid([0, 1], [0, 1], range(10), indexing="ij"), axis=-1).reshape(-1, 3)
    blurred = np.where(v[:, 2] == 0, 1 - v[:, 0], v[:, 0])
    codes = np.stack([v[:, 0], v[:, 1], blurred], axis=1).astype(float)
    left = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))  # bits of the coin that z_3 does not know
    assert mutual_information_gap(codes, v[:, :2]) == pytest.approx((left + 1) / 2)
    assert mutual_information_gap(codes[:, :2], v[:, :2]) == pytest.approx(1)


def test_certainty_is_one_less_the_entropy_of_the_shares():
    table = np.array([[2.0, 0, 0], [1, 1, 1], [3, 3, 0], [0, 0, 0]])
    expected = [1, 0, 1 - np.log(2) / np.log(3), 0]
    np.testing.assert_allclose(disentanglement._certainty(table), expected, atol=1e-12)
    weights = np.array([2, 3, 6, 0]) / 11
    assert disentanglement._disentanglement(table) == pytest.approx(float(weights @ expected))


def test_two_factors_in_one_number_are_complete_but_not_disentangled():
    v = factors(1500, 0)[:, :2]
    codes = np.stack([v[:, 0] + 10.0 * v[:, 1], noise(v)[:, 0]], axis=1)
    found = dci(codes, v, codes, v)
    assert found.completeness > 0.95
    assert found.disentanglement < 0.1
    spread = np.stack([v[:, 0] + 0.0, v[:, 0] * -2.0, v[:, 1] + 0.0], axis=1)  # the first factor twice
    assert mutual_information_gap(spread, v) == pytest.approx(0.5, abs=0.01)


def test_codes_the_wrong_way_round_are_refused_and_not_scored():
    v = factors(100, 0)
    for score in (
        lambda z: mutual_information_gap(z, v),
        lambda z: dci(z, v, z, v),
        lambda z: separated_attribute_predictability(z, v, z, v),
    ):
        with pytest.raises(UsageError, match="transposed"):
            score(perfect(v).T)
    with pytest.raises(UsageError, match="factor 1 is 7 for all 100 items"):
        mutual_information_gap(perfect(v), np.stack([v[:, 0], np.full(100, 7)], axis=1))


def test_measures_hold_their_floor_and_an_interval_about_them():
    """Floor: the pixels, which here are noise; the interval covers what other items of the same kind give."""
    parts = []
    for n, seed in ((600, 0), (400, 1)):
        v = factors(n, seed)
        fields = {name: v[:, k] for k, name in enumerate("abc")}
        parts.append(Encoded(perfect(v) + 0.4 * noise(v), "four numbers", np.hstack([noise(v)] * 3), fields, 9000))
    found = disentanglement.measures(*parts, "test")
    assert len(found) == 5
    for name, measure in found.items():
        assert 0 <= measure.low <= measure.value <= measure.high <= 1, name
        assert measure.floor < measure.low, name
        assert measure.n == (600 if name in ("dci_disentanglement", "dci_completeness") else 400)
        assert "four numbers against a, b, c; 600 of 9000 training and 400 of 9000 test items" in measure.protocol
    alone = [replace(part, fields={"a": part.fields["a"]}) for part in parts]
    assert disentanglement.measures(*alone, "test") == {}
