"""Pictures of one's own as the data of a command: one file, a folder of one or two, files of few items."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra.cli import main
from simulacra.errors import DataError, UsageError

SEARCHED = "ignore:.*found by search:simulacra.errors.SimulacraWarning"
pytestmark = pytest.mark.filterwarnings(SEARCHED)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Test digits as pictures in white on black, and in other sizes and colours."""
    folder, items = tmp_path_factory.mktemp("pictures"), sim.data.load("digits").test.x
    bright = np.rint(np.asarray(items[:4, 0]) * (255 / 16)).astype(np.uint8)
    for name, count in (("one", 1), ("two", 2), ("four", 4)):
        (folder / name).mkdir()
        for i in range(count):
            Image.fromarray(bright[i]).save(folder / name / f"{i}.png")
    Image.fromarray(bright[0]).resize((20, 24)).save(folder / "large.png")
    Image.fromarray(bright[0]).convert("RGB").save(folder / "colour.png")
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "vae"
    small = ["--steps", "2", "--latent", "2", "--network", "dense:hidden=8"]
    assert main(["fit", "vae", "digits", "--condition", "label", *small, "--out", str(out)]) == 0
    return out


def digit(i: int) -> np.ndarray:
    return np.asarray(sim.data.load("digits").test.x[i])


@pytest.mark.parametrize("model", ["vae", "dcgan"])
def test_a_picture_is_an_item_for_models_with_encoders_and_for_those_that_search(
    runs, pictures, printed, tmp_path, model
):
    run, file = runs[model], pictures / "one" / "0.png"
    printed("encode", run, file, "--out", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as codes:
        assert len(codes["z"]) == 1
        expected = sim.encode(sim.load(run), digit(0)[None])
        np.testing.assert_allclose(codes["mean"], expected["mean"], atol=1e-5)
    assert "1 item above its reconstruction" in printed("reconstruct", run, file, "--out", tmp_path / "pair.npz")
    with np.load(tmp_path / "pair.npz") as pair:
        assert (pair["x"][0] == digit(0)).all()
    assert "before, reconstructed and after" in printed(
        "edit", run, file, "--dim", "0=1", "--out", tmp_path / "edit.png"
    )


def test_a_folder_of_two_pictures_is_a_walk_between_them(runs, pictures, printed, refused, tmp_path):
    walk = tmp_path / "walk.npz"
    printed("interpolate", runs["vae"], pictures / "two", "--rows", "1", "--steps", "2", "--out", walk)
    ends = sim.reconstruct(sim.load(runs["vae"]), np.stack([digit(0), digit(1)]))
    with np.load(walk) as found:
        assert sorted(map(bytes, found["x"])) == sorted(map(bytes, np.asarray(ends)))
    said = refused("interpolate", runs["vae"], pictures / "one" / "0.png", "--rows", "1")
    assert "1 walk between two items need" in said


@pytest.mark.parametrize("command", ["encode", "reconstruct", "score"])
def test_what_needs_no_split_takes_one_item_or_two(runs, pictures, printed, tmp_path, command):
    for source, count in ((pictures / "one", 1), (pictures / "two", 2)):
        printed(
            command, runs["vae"], source, *([] if command == "score" else ["--out", tmp_path / f"{command}{count}.npz"])
        )
    np.save(tmp_path / "few.npy", np.stack([digit(0), digit(1)]))
    printed(
        command, runs["vae"], tmp_path / "few.npy", *([] if command == "score" else ["--out", tmp_path / "few.npz"])
    )


def test_few_items_are_scored_all_of_them(runs, pictures, printed, tmp_path):
    np.save(tmp_path / "few.npy", np.stack([digit(0), digit(1)]))
    found = json.loads(printed("score", runs["vae"], tmp_path / "few.npy", "--json"))
    assert (found["n"], found["split"]) == (2, "test")
    assert sim.score(sim.load(runs["vae"]), np.stack([digit(0), digit(1)])).n == 2
    one = json.loads(printed("score", runs["vae"], pictures / "one" / "0.png", "--json"))
    assert one["n"] == 1


def test_few_items_have_no_other_split(runs, pictures, refused):
    for command in ("encode", "reconstruct", "score"):
        assert "too few to split" in refused(command, runs["vae"], pictures / "two", "--split", "train")


def test_few_items_cannot_be_learnt_from(pictures, refused, tmp_path):
    assert "cannot be split" in refused("fit", "vae", pictures / "two", "--out", tmp_path / "run", code=1)
    assert "single image" in refused("fit", "vae", pictures / "large.png", "--out", tmp_path / "run", code=1)
    with pytest.raises(DataError, match="cannot be split"):
        sim.data.load(pictures / "one")


@pytest.mark.parametrize("command", ["encode", "reconstruct", "interpolate", "score"])
def test_another_size_or_colour_is_refused_with_the_flag_that_mends_it(runs, pictures, refused, command):
    said = refused(command, runs["vae"], pictures / "large.png")
    assert "8×8 grey" in said
    assert "20×24" in said
    assert "--resize 8" in said
    assert "--resize 8" in refused(command, runs["vae"], pictures / "colour.png")
    assert "none for this vae" in refused(command, runs["vae"], pictures / "large.png", "--resize", "16")


def test_and_the_flag_mends_it(runs, pictures, printed, tmp_path):
    for name in ("large.png", "colour.png"):
        printed("reconstruct", runs["vae"], pictures / name, "--resize", "8", "--out", tmp_path / "pair.npz")
    with np.load(tmp_path / "pair.npz") as pair:
        assert (pair["x"][0] == digit(0)).all()


def test_a_picture_of_which_a_model_needs_the_label(labelled, pictures, printed, refused, tmp_path):
    file = pictures / "one" / "0.png"
    assert "label" in refused("reconstruct", labelled, file)
    printed("reconstruct", labelled, file, "--label", "3", "--out", tmp_path / "pair.npz")
    with np.load(tmp_path / "pair.npz") as pair:
        expected = sim.reconstruct(sim.load(labelled), digit(0)[None], {"label": 3})
        assert (pair["x"][1] == np.asarray(expected)[0]).all()
    printed("encode", labelled, pictures / "two", "--label", "3", "--out", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["label"].tolist() == [3, 3]
    assert "have their own label" in refused("reconstruct", labelled, "digits", "--label", "3")


def test_in_python_too(runs, labelled, pictures):
    file = pictures / "one" / "0.png"
    model = sim.load(labelled)
    assert sim.reconstruct(model, file, {"label": 3}).shape == (1, 1, 8, 8)
    assert sim.encode(model, file, condition={"label": 3})["label"].tolist() == [3]
    with pytest.raises(UsageError, match="label"):
        sim.encode(model, file)
