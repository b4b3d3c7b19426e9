"""Folders of pairs through the commands: what is found, what a refusal says, and pairs side by side as data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from simulacra.cli import main

N, SIDE = 20, 8
STEPS = ["--steps", "1", "--batch", "4", "--width", "4", "--layers", "1", "--kernel", "3"]


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (N, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture
def beside(tmp_path, pictures):
    """Pairs side by side, of which the right half is the negative of the left one."""
    (tmp_path / "beside").mkdir()
    for i, x in enumerate(pictures):
        Image.fromarray(np.concatenate([x, 255 - x], axis=1)).save(tmp_path / "beside" / f"{i:03}.png")
    return tmp_path / "beside"


@pytest.fixture
def captioned(tmp_path, pictures):
    for i, x in enumerate(pictures):
        for side, own in (("A", x), ("B", 255 - x)):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(own).save(tmp_path / "pairs" / side / f"{i:03}.png")
        (tmp_path / "pairs" / "B" / f"{i:03}.txt").write_text(f"number {i % 3}")
    return tmp_path / "pairs"


def test_wide_pictures_are_said_to_be_pairs_perhaps_and_a_folder_of_them_is_translated_as_pairs(
    beside, printed, tmp_path
):
    said = printed("data", beside)
    assert "all are twice as wide as high; --pairs side-by-side reads each as a pair" in said
    assert "noted" not in printed("data", beside, "--pairs", "side-by-side")
    run = tmp_path / "run"
    words = ["fit", "gated-pixelcnn", beside, "--pairs", "side-by-side", "--condition", "A", "--out", run, *STEPS]
    assert main([str(word) for word in words]) == 0
    printed("translate", run, beside, "--split", "all", "--out", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as written:
        assert written["x"].shape == (N, 1, 1, SIDE, SIDE)
        assert (written["truth"] == 255 - written["input"]).all()


def test_pairs_with_captions_are_fitted_and_what_a_model_needs_and_data_lack_is_named(
    captioned, beside, printed, refused, tmp_path
):
    said = " ".join(printed("data", captioned).split())
    assert "20 pairs of pictures by their names" in said
    assert "caption at most 2 tokens" in said
    run = tmp_path / "run"
    words = ["fit", "gated-pixelcnn", captioned, "--condition", "A", "caption", "--out", run, *STEPS]
    assert main([str(word) for word in words]) == 0
    one = captioned / "A" / "003.png"
    printed("translate", run, one, "--given", "text=number 2", "--out", tmp_path / "y.png")
    assert "'purple' is not in the vocabulary" in refused("translate", run, one, "--given", "text=purple")
    for path in (captioned / "B").glob("*.txt"):
        path.unlink()
    lacking = refused("score", run, captioned)
    assert "conditioned on 'caption', which these test items have not; they have A: name data that have it" in lacking


def test_a_model_without_its_condition_says_which_fields_the_data_have(captioned, refused, tmp_path):
    said = refused("fit", "pix2pix", captioned, "--out", tmp_path / "none")
    assert "give a field that is one" in said
    assert "The fields of pairs: caption, A" in said
    assert not (tmp_path / "none").exists()


def test_a_line_of_captions_that_is_no_json_is_named(tmp_path, beside, refused):
    lines = [json.dumps({"file_name": f"{i:03}.png", "text": "a"}) for i in range(N)]
    lines[4] = lines[4][:-3]
    (beside / "metadata.jsonl").write_text("\n".join(lines))
    assert "metadata.jsonl, line 5 is no JSON" in refused("data", beside, code=1)


def test_a_class_that_is_that_of_no_field_is_answered_with_the_nearest_one(tmp_path, pictures, refused):
    folder, run = tmp_path / "faces", tmp_path / "run"
    folder.mkdir()
    rows = ["image,smile,hat"]
    for i, x in enumerate(pictures):
        Image.fromarray(x).save(folder / f"{i:03}.png")
        rows.append(f"{i:03}.png,{i % 2},{['none', 'cap'][i // 2 % 2]}")
    (folder / "attributes.csv").write_text("\n".join(rows))
    small = ["--generator", "unet:width=4", "--critic", "patch:width=4", "--steps", "1", "--batch", "4"]
    words = ["fit", "stargan", folder, "--condition", "smile", "hat", "--out", run, *small]
    assert main([str(word) for word in words]) == 0
    assert "there is no class 'capp'. Did you mean 'cap'?" in refused(
        "translate", run, folder / "000.png", "--to", "capp"
    )
