"""Pictures: what stands where, and that every row and column says what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra.data import ClassLabel, DataSpec, LabelMap, Levels, Real
from simulacra.derived import Derived
from simulacra.fields import Tokens
from simulacra.pictures import conditioned_picture, draws_each, labelled, rows_picture, sheet, shows_conditions
from simulacra.randomness import some_of

X = Levels((1, 4, 4), 2)
RNG = np.random.default_rng(0)
FIELDS = {
    "label": ClassLabel(3, ("a", "b", "c")),
    "small": Levels((1, 2, 2), 5),
    "photo": Real((3, 4, 4)),
    "map": LabelMap(3, (4, 4)),
    "down": Derived.from_words("down:factor=2", X),
    "numbers": Real((3,)),
}
LINE = (128, 128, 128)


def tiles_of(image: Image.Image, rows: int, columns: int) -> np.ndarray:
    """The tiles (rows, columns, h, w, 3) of a sheet in the lower right corner of a picture, at any scale."""
    pixels = np.asarray(image)
    scale = next(k for k in range(1, 200) if tuple(pixels[-k - 1, -k - 1]) != LINE)
    body = pixels[::-1][::scale, :, :][:, ::-1][:, ::scale][::-1, ::-1]
    return np.stack(
        [
            [body[-(rows - r) * 5 - 1 :][1:5][:, -(columns - c) * 5 - 1 :][:, 1:5] for c in range(columns)]
            for r in range(rows)
        ]
    )


def values(name: str, n: int) -> np.ndarray:
    own = FIELDS[name].own if isinstance(FIELDS[name], Derived) else FIELDS[name]
    shape, dtype = next(iter(own.columns(name).values()))
    return (
        RNG.uniform(-1, 1, (n, *shape)).astype(dtype) if dtype.kind == "f" else RNG.integers(0, 2, (n, *shape), dtype)
    )


def items(n: int) -> np.ndarray:
    return RNG.integers(0, 2, (n, 1, 4, 4), dtype=np.uint8)


def test_a_row_for_each_condition_which_stands_in_front_of_its_draws():
    spec, x, small = DataSpec(X, {"small": FIELDS["small"]}), items(6), RNG.integers(0, 5, (2, 1, 2, 2), dtype=np.uint8)
    image = conditioned_picture(x, {"small": small.repeat(3, axis=0)}, spec)
    tiles = tiles_of(image, 2, 4)
    for row in range(2):
        bright = np.rint(small[row, 0] * (255 / 4)).astype(np.uint8)
        assert (tiles[row, 0, ..., 0] == bright.repeat(2, 0).repeat(2, 1)).all()  # at the size of x
        for draw in range(3):
            assert (tiles[row, 1 + draw, ..., 0] == 255 * x[3 * row + draw, 0]).all()


def test_words_stand_in_front_of_their_draws_and_the_item_that_has_them_behind():
    spec = DataSpec(X, {"caption": Tokens(("a", "red", "one"), 40)})
    x, truth, tokens = items(4), items(2).repeat(2, axis=0), np.full((4, 40), -1)
    tokens[:2, :3], tokens[2:, :1] = (0, 1, 2), 0
    image = conditioned_picture(x, {"caption": tokens}, spec, truth)
    tiles = tiles_of(image, 2, 3)
    for row in range(2):
        assert (tiles[row, :2, ..., 0] == 255 * x[2 * row : 2 * row + 2, 0]).all()
        assert (tiles[row, 2, ..., 0] == 255 * truth[2 * row, 0]).all()
    without = conditioned_picture(x, {"caption": np.full((4, 40), -1)}, spec, truth)
    assert image.width > without.width
    tokens[:2] = 1  # forty words in several lines
    assert conditioned_picture(x, {"caption": tokens}, spec, truth).width < 3 * image.width


def test_draws_of_one_condition_that_do_not_fit_go_on_below():
    spec, x = DataSpec(X, {"small": FIELDS["small"]}), items(7)
    image = conditioned_picture(x, {"small": np.zeros((7, 1, 2, 2), np.uint8)}, spec)
    tiles = tiles_of(image, 3, 4)  # 7 draws, 3 to a row
    assert (tiles[:, 0] == 0).all()  # the condition in front of each row
    assert (tiles[2, 1, ..., 0] == 255 * x[6, 0]).all()
    assert (tiles[2, 2:] == 255).all()


@pytest.mark.parametrize(("name", "pictured"), [(name, name not in ("label", "numbers")) for name in FIELDS])
def test_every_kind_of_picture_is_shown_and_other_conditions_are_not(name, pictured):
    spec, x = DataSpec(X, {name: FIELDS[name]}), items(4)
    assert shows_conditions(spec) is pictured
    assert draws_each(spec, 16) == (4 if pictured else 1)
    image = conditioned_picture(x, {name: values(name, 4)}, spec)
    if pictured:
        assert (tiles_of(image, 4, 2)[:, 1, ..., 0] == 255 * x[:, 0]).all()
    else:
        assert image.size == sheet(np.zeros((4, 4, 4, 3), np.uint8), 2).size  # as without a condition


def test_what_has_no_caption_has_no_margin_and_a_heading_is_whole():
    rows = items(3)[None]
    body = sheet(np.zeros((3, 4, 4, 3), np.uint8), 3)
    bare = rows_picture(rows, DataSpec(X), (), ("before", "reconstructed", "after"))
    assert (bare.width, bare.height - body.height) == (body.width, 32)
    captioned = rows_picture(rows, DataSpec(X), ("item",), ())
    assert captioned.width > body.width
    assert captioned.height == body.height
    long = labelled(body.crop((0, 0, 20, 20)), (1, 1), (), ("a heading that is wider than its column",))
    assert long.width > 250


# Of commands


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_the_pictures_of_a_run_show_what_its_model_is_conditioned_on(tmp_path, printed):
    run = tmp_path / "run"
    words = ["--width", "4", "--layers", "2", "--kernel", "3", "--steps", "2", "--condition", "down:factor=2"]
    printed("fit", "gated-pixelcnn", "digits", *words, "--out", run)
    (trained,) = (run / "samples").iterdir()
    by_rows = sheet(np.zeros((48, 8, 8, 3), np.uint8), 8)  # 6 conditions, each in front of 6 draws and the truth
    assert size_of(trained) == (by_rows.width, by_rows.height + 32)
    printed("sample", run, "digits", "-n", "9", "--out", tmp_path / "x.png")
    by_rows = sheet(np.zeros((15, 8, 8, 3), np.uint8), 5)
    assert size_of(tmp_path / "x.png") == (by_rows.width, by_rows.height + 32)
    test = sim.data.load("digits").test.x
    for each in (1, 2):
        printed(
            "sample", run, "digits", "-n", "4", *(["--each", each] if each > 1 else []), "--out", tmp_path / "x.npz"
        )
        drawn = test[some_of(len(test), 4 // each, "shown")].astype(float)
        expected = drawn.reshape(-1, 1, 4, 2, 4, 2).mean((3, 5)).repeat(each, 0)
        with np.load(tmp_path / "x.npz") as written:
            assert (written["down"] == np.floor(expected + 0.5)).all()
