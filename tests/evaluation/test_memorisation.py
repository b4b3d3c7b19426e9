"""Copies of training items are found; fresh real items are not taken for copies."""

import numpy as np
import pytest

from simulacra.evaluation import memorisation
from simulacra.evaluation.memorisation import Neighbours, near_copies, nearest_training_items


def pixels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 17, (n, 1, 4, 4)).astype(np.uint8)


def brute_force(x: np.ndarray, train: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    gaps = (x[:, None].astype(np.float64) - train[None].astype(np.float64)) * scale
    distances = np.sqrt((gaps.reshape(len(x), len(train), -1) ** 2).sum(-1))
    return distances.min(1), distances.argmin(1)


def test_the_nearest_item_is_that_of_a_full_search():
    x, train = pixels(30, 0), pixels(200, 1)
    found = nearest_training_items(x, train, 17)
    distance, _ = brute_force(x, train, 1 / 16)
    np.testing.assert_allclose(found.distance, distance, atol=1e-5)
    own = np.sqrt((((x - train[found.index].astype(float)) / 16) ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(own, distance, atol=1e-9)  # ties may be broken either way


def test_continuous_items_are_not_scaled():
    rng = np.random.default_rng(0)
    x, train = rng.normal(size=(20, 2)).astype(np.float32), rng.normal(size=(100, 2)).astype(np.float32)
    found = nearest_training_items(x, train, None)
    distance, index = brute_force(x, train, 1.0)
    np.testing.assert_allclose(found.distance, distance, atol=1e-3)
    assert (found.index == index).all()


@pytest.mark.parametrize("chunk", [1, 7, 50, 199, 200])
def test_chunks_change_nothing(monkeypatch, chunk):
    x, train = pixels(30, 0), pixels(200, 1)
    whole = nearest_training_items(x, train, 17)
    monkeypatch.setattr(memorisation, "CHUNK", chunk)
    parts = nearest_training_items(x, train, 17)
    np.testing.assert_allclose(parts.distance, whole.distance, atol=1e-6)
    assert (parts.index == whole.index).all()  # the first of equals, whatever the chunk


def test_copies_are_flagged_each_with_its_original(digits):
    train, held_out = np.asarray(digits.train.x), np.asarray(digits.test.x)
    copies = nearest_training_items(train[100:200], train, 17)
    assert copies.distance.max() < 1e-3
    np.testing.assert_array_equal(train[copies.index], train[100:200])
    assert near_copies(copies, nearest_training_items(held_out, train, 17)) == 1


def test_a_share_of_copies_is_found_to_be_that_share(digits):
    train, held_out = np.asarray(digits.train.x), np.asarray(digits.test.x)
    floor = nearest_training_items(held_out, train, 17)
    mixed = np.concatenate([train[:50], np.asarray(digits.valid.x)[:150]])
    assert near_copies(nearest_training_items(mixed, train, 17), floor) == pytest.approx(0.25, abs=0.05)


def test_held_out_items_are_near_copies_of_themselves_in_one_case_of_a_hundred(digits):
    found = nearest_training_items(np.asarray(digits.test.x), np.asarray(digits.train.x), 17)
    assert near_copies(found, found) == pytest.approx(0.01, abs=0.006)


def test_items_far_from_everything_are_no_copies():
    held_out = Neighbours(np.linspace(1, 2, 100), np.zeros(100, int))
    assert near_copies(Neighbours(np.full(10, 5.0), np.zeros(10, int)), held_out) == 0
