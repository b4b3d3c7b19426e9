"""Derived fields: each is the stated function of x, on its grid, and what it is not made of is refused."""

import json

import numpy as np
import pytest
import torch

from simulacra.condition import Condition
from simulacra.data import DataSpec, Split
from simulacra.derived import Derived, Down, Edges, Grey, Mask, Parts
from simulacra.errors import UsageError
from simulacra.feed import feed
from simulacra.fields import ClassLabel, Levels, Real, Tokens
from simulacra.parts import as_part, to_json

GREY, COLOUR, REAL = Levels((1, 6, 8), 17), Levels((3, 6, 8), 256), Real((3, 6, 8))
NAMES = [
    "parts",
    "parts:grid=3,kept=4",
    "parts:loose=true",
    "down",
    "down:factor=3",
    "grey",
    "edges",
    "mask",
    "mask:kind=centre",
    "mask:kind=random,share=0.3",
]


def images(of: Levels | Real, n: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if isinstance(of, Real):
        return rng.normal(size=(n, *of.shape)).astype(np.float32)
    return rng.integers(0, of.levels, (n, *of.shape), dtype=np.uint8)


def numbers(n: int) -> np.ndarray:
    return np.arange(n)


# Down


def test_a_small_picture_holds_the_means_of_squares_by_hand():
    x = np.array([[[[0, 1, 8, 8], [2, 3, 8, 9]]]], np.uint8)
    assert Down(2).field(Levels((1, 2, 4), 17)) == Levels((1, 1, 2), 17)
    found = Down(2).derive(x, numbers(1), Levels((1, 2, 4), 17))
    assert found.tolist() == [[[[2, 8]]]]  # of 0, 1, 2, 3 the mean is 1.5, and halves go up; 8.25 goes down
    assert found.dtype == np.uint8


@pytest.mark.parametrize("of", [GREY, COLOUR, REAL], ids=["grey", "colour", "real"])
@pytest.mark.parametrize("factor", [2, 3, 4, 6])
def test_area_means_are_means_and_rests_are_cut_off(of, factor):
    x = images(of)
    found, field = Down(factor).derive(x, numbers(5), of), Down(factor).field(of)
    rows, columns = 6 // factor, 8 // factor
    assert field.shape == (of.shape[0], rows, columns)
    field.check("small", {"small": found})
    for i in range(rows):
        for j in range(columns):
            square = x[:, :, i * factor : (i + 1) * factor, j * factor : (j + 1) * factor].astype(np.float64)
            expected = square.mean((2, 3))
            exact = expected if isinstance(of, Real) else np.floor(expected + 0.5)
            np.testing.assert_allclose(found[:, :, i, j], exact, rtol=1e-6, atol=1e-6)


def test_a_small_picture_of_one_colour_has_this_colour():
    for level in (0, 7, 16):
        assert (Down(2).derive(np.full((2, 1, 6, 8), level, np.uint8), numbers(2), GREY) == level).all()


# Grey


def test_grey_is_the_stated_brightness():
    pure = np.zeros((4, 3, 1, 1), np.uint8)
    pure[0, 0], pure[1, 1], pure[2, 2], pure[3] = 255, 255, 255, 255
    assert Grey().derive(pure, numbers(4), Levels((3, 1, 1), 256)).ravel().tolist() == [76, 150, 29, 255]
    x = images(COLOUR)
    expected = 0.299 * x[:, :1].astype(float) + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
    assert np.abs(Grey().derive(x, numbers(5), COLOUR) - expected).max() <= 0.5 + 1e-9
    real = images(REAL)
    np.testing.assert_allclose(
        Grey().derive(real, numbers(5), REAL)[:, 0],
        real.transpose(0, 2, 3, 1) @ [0.299, 0.587, 0.114],
        rtol=1e-5,
        atol=1e-6,
    )
    assert Grey().field(COLOUR) == Levels((1, 6, 8), 256)
    assert Grey().field(REAL) == Real((1, 6, 8))


# Edges


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_step_from_dark_to_bright_is_an_edge_on_both_of_its_sides(turned, flip):
    x = np.zeros((1, 1, 8, 8), np.uint8)
    x[..., 4:] = 16
    x = x.swapaxes(2, 3) if turned else x
    x = 16 - x if flip else x
    found = Edges(0.9).derive(x, numbers(1), Levels((1, 8, 8), 17))[0, 0]
    along = found.T if turned else found
    assert along.tolist() == [[0, 0, 0, 1, 1, 0, 0, 0]] * 8  # the whole length of a gradient, at the border too


@pytest.mark.parametrize(("height", "seen"), [(3, 0), (5, 1)])
def test_the_threshold_is_a_share_of_the_highest_step(height, seen):
    """Of 16 levels a quarter is 4: a lower step is none."""
    x = np.zeros((1, 1, 6, 8), np.uint8)
    x[..., 4:] = height
    assert Edges(0.25).derive(x, numbers(1), GREY).max() == seen


def test_edges_of_a_colour_image_are_those_of_its_mean_brightness():
    x = np.zeros((1, 3, 6, 8), np.uint8)
    x[:, 0, :, 4:] = 255  # a third of the whole step
    assert Edges(0.3).derive(x, numbers(1), COLOUR).max() == 1
    assert Edges(0.4).derive(x, numbers(1), COLOUR).max() == 0
    assert Edges().field(COLOUR) == Levels((1, 6, 8), 2)
    assert Edges().derive(np.full((1, 3, 6, 8), 200, np.uint8), numbers(1), COLOUR).max() == 0


# Mask


@pytest.mark.parametrize("kind", ["half", "centre", "random"])
@pytest.mark.parametrize("of", [GREY, COLOUR], ids=["grey", "colour"])
def test_known_pixels_can_be_had_back_and_unknown_ones_cannot(kind, of):
    x = images(of)
    mask = Mask(kind)
    found, field = mask.derive(x, numbers(5), of), mask.field(of)
    assert field == Levels(of.shape, of.levels + 1)
    field.check("known", {"known": found})
    known = found > 0
    assert (found[known] - 1 == x[known]).all()
    assert 0 < known.mean() < 1
    assert (known == known[:, :1]).all()  # all channels of a pixel, or none
    other = images(of, seed=1)
    assert np.array_equal(mask.derive(other, numbers(5), of) > 0, known)  # where, says the mask and not the picture


def test_which_pixels_a_mask_hides():
    x = np.zeros((1, 1, 4, 8), np.uint8)
    assert Mask("half").derive(x, numbers(1), GREY)[0, 0].tolist() == [[1] * 8] * 2 + [[0] * 8] * 2
    assert Mask("centre").derive(x, numbers(1), GREY)[0, 0].tolist() == [
        [1] * 8,
        [1, 1, 0, 0, 0, 0, 1, 1],
        [1, 1, 0, 0, 0, 0, 1, 1],
        [1] * 8,
    ]


def test_a_random_mask_is_a_function_of_the_number_of_the_item_alone():
    x, mask = np.zeros((200, 1, 6, 8), np.uint8), Mask("random", 0.3)
    whole = mask.derive(x, numbers(200), GREY)
    some = np.array([150, 3, 77])
    assert np.array_equal(mask.derive(x[:3], some, GREY), whole[some])
    assert len(np.unique(whole, axis=0)) == 200
    assert (whole == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (Mask("random", 1.0).derive(x, numbers(200), GREY) == 0).all()


# As a field of a condition


@pytest.mark.parametrize("words", NAMES)
def test_a_derivation_is_a_field_of_a_condition_by_its_text(words):
    spec = DataSpec(COLOUR, {"label": ClassLabel(3)}).conditioned_on((words, "label"))
    name, by = words.partition(":")[0], as_part("derivation", words)
    assert list(spec.condition) == [name, "label"]
    assert spec.condition[name] == Derived(by, by.field(COLOUR))
    assert DataSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert f"({words} of x)" in spec.condition[name].describe()


def test_conditioned_on_a_small_picture():
    spec = DataSpec(GREY).conditioned_on(("down:factor=2",))
    assert spec == DataSpec(GREY, {"down": Derived(Down(2), Levels((1, 3, 4), 17))})
    assert to_json(spec.condition["down"])["derived"]["by"] == {"down": {"factor": 2}}


def test_a_field_of_the_data_goes_before_a_derivation_of_its_name():
    own = DataSpec(COLOUR, {"grey": ClassLabel(3)})
    assert own.conditioned_on(("grey",)).condition["grey"] == ClassLabel(3)


def test_its_values_may_be_given_all_the_same():
    field = Derived(Down(2), Levels((1, 3, 4), 17))
    assert field.convert("down", np.full((1, 3, 4), 3), field.is_single(np.zeros((1, 3, 4))))["down"].shape == (
        1,
        1,
        3,
        4,
    )
    with pytest.raises(UsageError, match="'down' is integers 0 to 16: 17 is none"):
        field.convert("down", np.full((1, 3, 4), 17), True)


def split(x: np.ndarray, **columns: np.ndarray) -> Split:
    return Split(x, columns, "train")


def test_feed_derives_it_of_what_is_read_by_the_numbers_of_the_items():
    x = images(GREY, 20)
    spec = DataSpec(GREY).conditioned_on(("mask:kind=random", "down"))
    some = np.array([13, 2, 7])
    read, given = feed(split(x), some, spec, torch.device("cpu"))
    assert np.array_equal(read.numpy(), x[some])
    assert isinstance(given, Condition)
    assert np.array_equal(given["down"].numpy(), Down(2).derive(x[some], some, GREY))
    assert np.array_equal(given["mask"].numpy(), Mask("random").derive(x[some], some, GREY))
    assert np.array_equal(
        feed(split(x), slice(5, 9), spec, torch.device("cpu"))[1]["mask"].numpy(),
        Mask("random").derive(x[5:9], np.arange(5, 9), GREY),
    )


def test_feed_reads_it_where_the_data_hold_it():
    x, stored = images(GREY, 4), np.full((4, 1, 3, 4), 5, np.uint8)
    spec = DataSpec(GREY).conditioned_on(("down",))
    assert (feed(split(x, down=stored), slice(0, 4), spec, torch.device("cpu"))[1]["down"] == 5).all()


# What it is not made of


@pytest.mark.parametrize(
    ("words", "x", "message"),
    [
        ("down", Levels((5,), 4), r"down is made of images \(C, H, W\), and x is 5, 4 levels"),
        ("down", Tokens(("a", "b"), 3), r"down is made of images \(C, H, W\), and x is at most 3 tokens"),
        ("down:factor=1", GREY, "factor of derivation 'down' must be at least 2, not 1"),
        ("down:factor=7", GREY, "down:factor=7 leaves nothing of 6×8 pixels"),
        ("down:factor=-2", GREY, "factor of derivation 'down' must be at least 2, not -2"),
        ("grey", GREY, r"grey is made of colour images \(3, H, W\), and x is 1×6×8, 17 levels"),
        ("grey", Real((2,)), "grey is made of images"),
        ("edges", REAL, "edges are drawn of images on a grid of levels"),
        ("edges:threshold=0", GREY, "threshold of derivation 'edges' must be (positive|at least 0 and below 1)"),
        ("edges:threshold=1", GREY, "threshold of derivation 'edges' must be (positive|at least 0 and below 1)"),
        ("mask", REAL, "mask is for images on a grid of levels"),
        ("mask:share=0", GREY, "share of derivation 'mask' must be positive and at most 1"),
        ("mask:share=1.5", GREY, "share of derivation 'mask' must be positive and at most 1"),
        ("mask:kind=haf", GREY, "kind of derivation 'mask' cannot be 'haf': it is half or centre or random"),
        ("down:fator=2", GREY, "derivation 'down' has no argument 'fator'. Did you mean 'factor'"),
        ("down:factor=two", GREY, "factor of derivation 'down' is an integer, not 'two'"),
    ],
)
def test_what_it_is_not_made_of_is_refused(words, x, message):
    with pytest.raises(UsageError, match=message):
        DataSpec(x).conditioned_on((words,))


def test_a_name_that_is_neither_field_nor_derivation_is_refused():
    with pytest.raises(UsageError, match=r"cannot condition on 'dwon:factor=2'. Did you mean 'down'"):
        DataSpec(GREY).conditioned_on(("dwon:factor=2",))
    with pytest.raises(UsageError, match=r"cannot condition on 'label': these data have no labels"):
        DataSpec(GREY).conditioned_on(("label",))
    with pytest.raises(UsageError, match=r"the condition has two fields 'down': .*down of x.*, .*factor=3 of x"):
        DataSpec(GREY).conditioned_on(("down:factor=2", "down:factor=3"))
    with pytest.raises(UsageError, match=r"cannot condition on 'lable'. Did you mean 'label'"):
        DataSpec(GREY, {"label": ClassLabel(3)}).conditioned_on(("lable",))


# Parts


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_so_many_parts_are_there_and_the_rest_is_unknown(kept):
    x = images(GREY, 40)
    found = Parts(kept=kept).derive(x, numbers(40), GREY)
    cells = (found > 0).reshape(40, 2, 3, 2, 4)
    assert (cells.all((2, 4)) == cells.any((2, 4))).all()  # a part is there as a whole or not at all
    assert (cells.any((2, 4)).sum((1, 2)) == kept).all()
    assert len(np.unique(cells.any((2, 4)).reshape(40, 4), axis=0)) > kept  # not the same ones of each
    assert (found[found > 0] - 1 == x[found > 0]).all()


def test_without_a_number_any_subset_but_none_and_all_occurs():
    there = Parts().derive(images(GREY, 300), numbers(300), GREY) > 0
    counts = there[:, 0, [0, 0, 5, 5], [0, 7, 0, 7]].sum(1)
    assert set(counts.tolist()) == {1, 2, 3}
    assert np.bincount(counts)[1:].min() > 70


def test_loose_parts_are_those_that_were_kept_in_places_of_others():
    x = images(GREY, 60)
    placed, loose = (Parts(kept=2, loose=each).derive(x, numbers(60), GREY) for each in (False, True))

    def parts(of):
        return of.reshape(60, 2, 3, 2, 4).transpose(0, 1, 3, 2, 4).reshape(60, 4, 12)

    for own, other in zip(parts(placed), parts(loose), strict=True):
        assert sorted(map(tuple, own)) == sorted(map(tuple, other))
    assert (placed != loose).any((1, 2, 3)).mean() > 0.8


def test_parts_that_cannot_be_cut_are_refused():
    for words, x, message in (
        ("parts:kept=4", GREY, "at most 3 are kept"),
        ("parts:grid=7", GREY, "6×8 pixels cannot be cut into 7×7"),
        ("parts:grid=4,loose=true", GREY, "4 does not divide 6×8"),
    ):
        with pytest.raises(UsageError, match=message):
            DataSpec(x).conditioned_on(words)
