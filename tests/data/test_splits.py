import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulacra.data as data
from simulacra.data.splits import SPLITS, Fractions, digests, draw
from simulacra.errors import DataError


def drawn(x, label=None, fractions=Fractions()):  # noqa: B008 (it is frozen)
    return draw({"train": np.arange(len(x))}, digests(x), [] if label is None else [label], fractions)


@given(st.lists(st.integers(0, 20), min_size=3, max_size=200).filter(lambda values: len(set(values)) >= 3))
def test_draw_is_a_partition_without_leaks_for_any_repetition(values):
    x = np.array(values, np.uint8)[:, None]
    order = drawn(x)
    assert sorted(np.concatenate(list(order.values()))) == list(range(len(x)))
    contents = [set(x[order[name], 0]) for name in SPLITS]
    assert all(contents)
    assert sum(map(len, contents)) == len(set(values))  # no value lies in two splits


@given(st.permutations(range(50)))
def test_draw_does_not_see_the_order_of_the_items(permutation):
    x = (np.arange(50, dtype=np.uint8) // 2)[:, None]  # each twice, under two labels
    label = np.arange(50)
    before, after = drawn(x, label), drawn(x[permutation], label[permutation])
    for name in SPLITS:
        assert (label[before[name]] == label[permutation][after[name]]).all()


def test_draw_hits_the_fractions_exactly_without_duplicates():
    order = drawn(np.arange(1000, dtype=np.uint32)[:, None], fractions=Fractions(valid=0.15, test=0.05))
    assert [len(order[name]) for name in SPLITS] == [800, 150, 50]


def test_a_group_larger_than_a_split_goes_to_train():
    """With half the images blank, test must not become half of the data."""
    x = np.concatenate([np.zeros(500, np.uint32), np.arange(1, 501, dtype=np.uint32)])[:, None]
    order = drawn(x)
    assert [len(order[name]) for name in SPLITS] == [800, 100, 100]


def test_official_splits_stay_and_only_the_missing_one_is_drawn():
    x = np.arange(100, dtype=np.uint8)[:, None]
    parts = {"train": np.arange(60), "test": np.arange(60, 100)}
    order = draw(parts, digests(x), [], Fractions())
    assert (order["test"] == np.arange(60, 100)).all()
    assert (len(order["train"]), len(order["valid"])) == (54, 6)


def test_too_few_distinct_items_are_refused():
    with pytest.raises(DataError, match="at least 3"):
        drawn(np.array([[1], [1], [2], [2]], np.uint8))


def test_renaming_the_files_changes_nothing(tmp_path, write_images, pixels):
    one = data.load(write_images(tmp_path / "one", pixels))
    other = data.load(write_images(tmp_path / "other", pixels[::-1]))
    assert one.fingerprint == other.fingerprint
    assert (one.test.x == other.test.x).all()


def test_duplicates_are_counted_and_kept_together(tmp_path, pixels):
    np.save(tmp_path / "twice.npy", np.concatenate([pixels, pixels, pixels[:3]]))
    dataset = data.load(tmp_path / "twice.npy")
    contents = [{item.tobytes() for item in split.x} for split in dataset.splits]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 40
    assert dataset.duplicates == 43
