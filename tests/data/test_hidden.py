"""Hidden labels: equally many of each class stay, by the seed alone; nothing else changes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulacra.data.hidden import HIDDEN, hide_labels, labelled_items
from simulacra.errors import UsageError


@given(st.lists(st.integers(0, 3), min_size=4, max_size=80), st.integers(0, 9), st.data())
def test_classes_take_turns(label, seed, data):
    """No class that has an item left has two fewer than another."""
    label = np.array(label)
    kept = labelled_items(label, 4, data.draw(st.integers(4, len(label))), seed)
    shown, held = np.bincount(label[kept], minlength=4), np.bincount(label, minlength=4)
    assert (np.diff(kept) > 0).all()
    left = shown < held
    assert shown.max() - min(shown[left], default=shown.max()) <= 1


def test_more_labels_only_add_items_and_other_seeds_draw_others():
    label = np.random.default_rng(0).integers(0, 10, 500)
    few, many = labelled_items(label, 10, 30, 1), labelled_items(label, 10, 200, 1)
    assert set(few) < set(many)
    assert (few == labelled_items(label, 10, 30, 1)).all()
    assert set(few) != set(labelled_items(label, 10, 30, 2))


def test_the_training_items_keep_their_pixels_and_few_labels_and_the_examiner_keeps_his(digits):
    few = hide_labels(digits, "label", 20, 0)
    labelled = few.train.field("label") != HIDDEN
    assert few.train.x is digits.train.x
    assert np.bincount(few.train.field("label")[labelled]).tolist() == [2] * 10
    assert (few.train.field("label")[labelled] == digits.train.field("label")[labelled]).all()
    assert (few.valid.field("label") == HIDDEN).all()
    assert few.test is digits.test
    assert (digits.train.field("label") >= 0).all()


def test_numbers_of_labels_that_cannot_be(digits):
    for labels in (0, 9, len(digits.train) + 1):
        with pytest.raises(UsageError, match=rf"cannot keep {labels:,} labels.*1,\d\d\d training items.*10 classes"):
            hide_labels(digits, "label", labels, 0)
    with pytest.raises(UsageError, match=r"'labl'.*'label'"):
        hide_labels(digits, "labl", 20, 0)
    everything = hide_labels(digits, "label", len(digits.train), 0)
    assert (everything.train.field("label") == digits.train.field("label")).all()
