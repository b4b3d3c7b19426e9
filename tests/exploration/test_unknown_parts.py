"""A mask says which part is unknown: by name, by chance, or from a file that is looked at before it is believed."""

import numpy as np
import pytest
from PIL import Image

from simulacra.data import DataSpec, Levels
from simulacra.errors import DataError, UsageError
from simulacra.exploration import mask_of

GREY, COLOUR, VECTOR = (DataSpec(Levels(shape, 4)) for shape in ((1, 5, 8), (3, 5, 8), (6,)))


@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
def test_halves_are_complements_and_hold_all_channels(spec):
    for one, other in (("top", "bottom"), ("left", "right")):
        assert (mask_of(one, spec) ^ mask_of(other, spec)).all()
        assert mask_of(one, spec).any()
        assert mask_of(one, spec).shape == spec.shape
    assert mask_of("top", spec)[:, :2].all()
    assert mask_of("right", spec)[:, :, 4:].all()


def test_the_centre_is_symmetric_and_half_as_wide():
    even = mask_of("centre", DataSpec(Levels((1, 8, 12), 2)))[0]
    assert even.sum() == 4 * 6
    for spec in (GREY, COLOUR, DataSpec(Levels((1, 28, 28), 2))):
        mask = mask_of("centre", spec)
        assert (mask == mask[:, ::-1, ::-1]).all()
        assert not mask[:, 0].any()


def test_a_random_share_is_exact_and_of_whole_pixels():
    mask = mask_of("random:0.3", COLOUR, seed=1)
    assert mask[0].sum() == 12
    assert (mask == mask[:1]).all()
    assert (mask == mask_of("random:0.3", COLOUR, seed=1)).all()
    assert (mask != mask_of("random:0.3", COLOUR, seed=2)).any()
    assert mask_of("random:1", GREY).all()


def test_a_vector_has_a_left_and_a_right():
    assert mask_of("left", VECTOR).tolist() == [True] * 3 + [False] * 3
    assert mask_of("random:0.5", VECTOR).sum() == 3
    assert not mask_of("top", VECTOR).any()


def test_files_hold_what_is_unknown(tmp_path):
    wanted = np.random.default_rng(0).random((5, 8)) < 0.5
    Image.fromarray(np.where(wanted, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    np.save(tmp_path / "truths.npy", wanted)
    np.save(tmp_path / "numbers.npy", wanted.astype(np.int64))
    for name in ("mask.png", "truths.npy", "numbers.npy"):
        assert (mask_of(str(tmp_path / name), COLOUR) == wanted).all()
    own = np.random.default_rng(1).random((3, 5, 8)) < 0.5
    np.save(tmp_path / "channels.npy", own)
    assert (mask_of(str(tmp_path / "channels.npy"), COLOUR) == own).all()
    np.save(tmp_path / "vector.npy", np.eye(6)[2])
    assert mask_of(str(tmp_path / "vector.npy"), VECTOR).tolist() == [False, False, True, False, False, False]


def test_words_that_are_no_mask():
    with pytest.raises(UsageError, match=r"no mask 'centr'. Did you mean 'centre'"):
        mask_of("centr", GREY)
    for share in ("0", "1.5", "-1", "half", "nan", ""):
        with pytest.raises(UsageError, match="share above 0 and up to 1"):
            mask_of(f"random:{share}", GREY)
    with pytest.raises(UsageError, match=r"no mask file nowhere\.png"):
        mask_of("nowhere.png", GREY)


def test_files_that_are_no_mask(tmp_path):
    np.save(tmp_path / "wide.npy", np.zeros((8, 5), bool))
    with pytest.raises(DataError, match=r"has the shape \(8, 5\).*\(5, 8\)"):
        mask_of(str(tmp_path / "wide.npy"), GREY)
    np.save(tmp_path / "grey.npy", np.full((5, 8), 0.5))
    with pytest.raises(DataError, match="other values than 0"):
        mask_of(str(tmp_path / "grey.npy"), GREY)
    for name in ("text.png", "text.npy"):
        (tmp_path / name).write_text("no mask")
        with pytest.raises(DataError, match="cannot be read as a mask"):
            mask_of(str(tmp_path / name), GREY)
