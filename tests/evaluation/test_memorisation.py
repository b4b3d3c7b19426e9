"""Copies of training items are found; fresh real items are not taken for copies."""

import numpy as np
import pytest

from simulacra.evaluation import memorisation
from simulacra.evaluation.memorisation import near_copies, near_share, nearest_items


def pixels(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 17, (n, 1, 4, 4)).astype(np.uint8)


def brute_force(x: np.ndarray, train: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    gaps = (x[:, None].astype(np.float64) - train[None].astype(np.float64)) * scale
    distances = np.sqrt((gaps.reshape(len(x), len(train), -1) ** 2).sum(-1))
    return distances.min(1), distances.argmin(1)


def test_the_nearest_item_is_that_of_a_full_search():
    x, train = pixels(30, 0), pixels(200, 1)
    found = nearest_items(x, train, 17)
    distance, _ = brute_force(x, train, 1 / 16)
    np.testing.assert_allclose(found.distance, distance, atol=1e-5)
    own = np.sqrt((((x - train[found.index].astype(float)) / 16) ** 2).sum((1, 2, 3)))
    np.testing.assert_allclose(own, distance, atol=1e-9)  # ties may be broken either way


def test_continuous_items_are_not_scaled():
    rng = np.random.default_rng(0)
    x, train = rng.normal(size=(20, 2)).astype(np.float32), rng.normal(size=(100, 2)).astype(np.float32)
    found = nearest_items(x, train, None)
    distance, index = brute_force(x, train, 1.0)
    np.testing.assert_allclose(found.distance, distance, atol=1e-3)
    assert (found.index == index).all()


@pytest.mark.parametrize("chunk", [1, 7, 50, 199, 200])
def test_chunks_change_nothing(monkeypatch, chunk):
    x, train = pixels(30, 0), pixels(200, 1)
    whole = nearest_items(x, train, 17)
    monkeypatch.setattr(memorisation, "CHUNK", chunk)
    parts = nearest_items(x, train, 17)
    np.testing.assert_allclose(parts.distance, whole.distance, atol=1e-6)
    assert (parts.index == whole.index).all()  # the first of equals, whatever the chunk


def test_left_out_no_item_is_its_own_neighbour(monkeypatch):
    x = pixels(60, 0)
    monkeypatch.setattr(memorisation, "CHUNK", 7)
    found = nearest_items(x, x, 17, leave_one_out=True)
    assert (found.index != np.arange(60)).all()
    for i in range(60):
        others = np.delete(x, i, axis=0)
        assert found.distance[i] == pytest.approx(brute_force(x[i : i + 1], others, 1 / 16)[0][0], abs=1e-5)


@pytest.fixture
def parts(digits) -> dict[str, np.ndarray]:
    """Real digits: what was trained on, what was held out, and others that neither contains."""
    return {split.name: np.asarray(split.x) for split in digits.splits}


def share(parts: dict[str, np.ndarray], samples: np.ndarray) -> float:
    return near_copies(samples, parts["train"], parts["test"], 17)


def test_every_copy_is_flagged_and_has_its_original(parts):
    copies = parts["train"][100:200]
    np.testing.assert_array_equal(parts["train"][nearest_items(copies, parts["train"], 17).index], copies)
    assert share(parts, copies) == 1


def test_copies_with_a_little_noise_are_flagged_too(parts):
    noisy = parts["train"][:100].copy()
    noisy[:, 0, 3, 3] ^= 1
    assert share(parts, noisy) > 0.95


def test_a_share_of_copies_is_found_to_be_that_share(parts):
    mixed = np.concatenate([parts["train"][:45], parts["valid"][:135]])
    assert share(parts, mixed) == pytest.approx(0.25, abs=0.05)


def test_fresh_real_items_are_hardly_ever_flagged(parts):
    assert share(parts, parts["valid"]) < 0.05


@pytest.mark.parametrize(("n", "usual"), [(99, 0.01), (250, 0.01), (19, 0.05)])
def test_of_fresh_items_the_share_that_was_said_is_flagged(n, usual):
    """1 % on average over held-out items, or what so few of them can mark."""
    rng, shares = np.random.default_rng(0), []
    train = rng.normal(size=(60, 3))
    for _ in range(400):
        held_out, fresh = rng.normal(size=(2, n, 3))
        shares.append(near_copies(fresh, train, held_out, None))
    assert near_share(n) == pytest.approx(usual)
    assert np.mean(shares) == pytest.approx(usual, abs=3 * np.std(shares) / 20)


def test_a_blur_is_near_to_everything_and_a_copy_of_nothing():
    """Around the mean of items without structure: nearer to a training item than real ones are, repeating none."""
    train, held_out = pixels(400, 0), pixels(100, 1)
    blurred = np.random.default_rng(2).integers(7, 10, (100, 1, 4, 4)).astype(np.uint8)
    usual = nearest_items(held_out, train, 17).distance
    assert np.median(nearest_items(blurred, train, 17).distance) < np.median(usual) - 0.1
    assert near_copies(blurred, train, held_out, 17) < 0.05


def test_items_far_from_everything_are_no_copies(parts):
    noise = np.random.default_rng(0).integers(0, 17, (50, 1, 8, 8)).astype(np.uint8)
    assert share(parts, noise) < 0.05
