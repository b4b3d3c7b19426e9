"""`as_dataset`: an array, a list, a torch data set; whatever has a length and items by number."""

import numpy as np
import pytest
import torch
from PIL import Image

import simulacra as sim
import simulacra.data as data
from simulacra.errors import DataError, UsageError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)  # channels last
FIRST = PIXELS.transpose(0, 3, 1, 2)


def found(dataset: data.Dataset) -> set[bytes]:
    return {np.ascontiguousarray(item).tobytes() for split in dataset.splits for item in split.x}


EXPECTED = {np.ascontiguousarray(item).tobytes() for item in FIRST}


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return len(PIXELS)

    def __getitem__(self, i):
        return PIXELS[i], i % 4


class Tables(Pairs):
    def __getitem__(self, i):
        small = torch.from_numpy(PIXELS[i, :, :, :1].copy())
        return {"x": Image.fromarray(PIXELS[i]), "label": torch.tensor(i % 4), "small": small, "size": [i / 40, 0.5]}


@pytest.mark.parametrize(
    "given",
    [
        PIXELS,
        FIRST,
        torch.from_numpy(PIXELS),
        PIXELS.astype(np.int64),
        list(PIXELS),
        [torch.from_numpy(item.copy()) for item in FIRST],
        [Image.fromarray(item) for item in PIXELS],
        Pairs(),
        Tables(),
    ],
    ids=["last", "first", "tensor", "int64", "list", "tensors", "pictures", "pairs", "tables"],
)
def test_the_same_pixels_from_whatever_holds_them(given):
    dataset = data.as_dataset(given)
    assert dataset.spec.x == data.Levels((3, 6, 5), 256)
    assert found(dataset) == EXPECTED


def test_labels_and_fields_stay_with_their_items():
    whole = {np.ascontiguousarray(item).tobytes(): i for i, item in enumerate(FIRST)}
    pairs, tables = data.as_dataset(Pairs()), data.as_dataset(Tables())
    assert pairs.spec.condition == {"label": data.ClassLabel(4)}
    assert tables.spec.condition == pairs.spec.condition | {
        "small": data.Levels((1, 6, 5), 256),
        "size": data.Real((2,)),
    }
    for split in tables.splits:
        index = [whole[np.ascontiguousarray(item).tobytes()] for item in split.x]
        assert split.field("label").tolist() == [i % 4 for i in index]
        assert (split.field("small")[:, 0] == PIXELS[index][..., 0]).all()
        assert split.field("size")[:, 0] == pytest.approx([i / 40 for i in index])
    assert (pairs.test.x == tables.test.x).all()
    assert (pairs.name, tables.name) == ("pairs", "tables")


@pytest.mark.parametrize(
    ("given", "x"),
    [
        (np.random.default_rng(0).normal(size=(30, 2)), data.Real((2,))),
        (np.random.default_rng(0).normal(size=(30, 5, 2)).tolist(), data.Real((5, 2))),
        (np.random.default_rng(0).normal(size=(30, 2)).tolist(), data.Real((2,))),  # lists of two numbers are no pairs
        ([(row, 1) for row in np.random.default_rng(0).normal(size=(30, 7))], data.Real((7,))),
        (np.random.default_rng(0).random((30, 5, 5, 2)), data.Real((2, 5, 5))),
        (np.random.default_rng(0).random((30, 4, 4)) > 0.5, data.Levels((1, 4, 4), 2)),
    ],
)
def test_real_numbers_series_and_bits(given, x):
    dataset = data.as_dataset(given)
    assert dataset.spec.x == x
    assert sum(map(len, dataset.splits)) == 30


def test_the_same_items_have_the_same_fingerprint():
    assert data.as_dataset(PIXELS).fingerprint == data.as_dataset(list(FIRST)).fingerprint
    assert data.as_dataset(PIXELS).fingerprint == data.as_dataset(PIXELS[::-1]).fingerprint
    assert data.as_dataset(PIXELS).fingerprint != data.as_dataset(PIXELS[:-1]).fingerprint


def test_data_sets_names_and_paths_are_taken_as_they_are(tmp_path):
    digits = data.load("digits")
    assert data.as_dataset(digits) is digits
    assert data.as_dataset("digits").fingerprint == digits.fingerprint
    np.save(tmp_path / "x.npy", PIXELS)
    assert data.as_dataset(tmp_path / "x.npy").spec.shape == (3, 6, 5)


def test_verbs_take_them(tmp_path):
    """A torch data set with a picture as its condition, from `fit` to `score`."""
    small = {"width": 4, "layers": 2, "kernel": 3, "steps": 2, "batch": 8}
    sim.fit("gated-pixelcnn", Tables(), tmp_path / "run", condition=("label", "small", "size"), **small)
    assert sim.score(tmp_path / "run", Tables()).kind == "exact"
    assert sim.score(tmp_path / "run", Tables()).n == 4


class Lying(Pairs):
    def __getitem__(self, i):
        return {"x": PIXELS[i]} | ({"size": 1.0} if i else {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "an array or a sequence of items is needed, not int"),
        (iter([1]), "sequence of items is needed, not list_iterator"),
        ({"x": PIXELS}, "a table of arrays is a data set by simulacra.data.from_arrays"),
        ([], "the sequence holds no items"),
        (np.zeros((0, 3)), "with N >= 1"),
        ([1, 2, 3], "items of a sequence are arrays, not single numbers"),
        (np.arange(9), "not single numbers"),
        ([np.zeros(3), np.zeros(4)], r"x: items have different shapes, \(3,\), \(4,\)"),
        ([{"label": 1}], "x among them"),
        (Lying(), "x among them; some have others"),
        ([(item, item) for item in PIXELS], r"a label is one integer, .*\(6, 5, 3\): give items as tables"),
        ([(item, "a") for item in PIXELS], "label must hold 40 integers"),
        ([(item, -1) for item in PIXELS], "label must hold 40 integers >= 0"),
        (PIXELS.astype(np.int64) + 300, r"x: item 0 has values 3\d\d\.\.5\d\d; the grid is 0\.\.255 at most"),
        (PIXELS.astype(complex), "x holds complex128"),
        (np.zeros((5, 8, 8, 8), np.uint8), "neither"),
        (np.full((9, 2), np.nan), "nan of item 0"),
        (["a", "b"], "x"),
        ([None, None], "'x' is an array of numbers, not NoneType"),
        (np.ones((30, 4), np.uint8), "1 distinct training item cannot be split"),
    ],
)
def test_what_is_no_data_set_is_said_in_one_line(given, message):
    with pytest.raises((UsageError, DataError), match=message) as refused:
        data.as_dataset(given)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 250
