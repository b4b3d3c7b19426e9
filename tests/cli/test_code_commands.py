"""The commands on codes: what they print, write and refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra import data
from simulacra.cli import main


@pytest.fixture
def run(runs):
    return runs["vae"]


def pictures_of_digits(folder, n: int = 3):
    """The first test digits as picture files, one of them coloured and one of another size."""
    x = data.load("digits").test.x[:n, 0].astype(np.float32)
    for i, pixels in enumerate(np.rint(x * (255 / 16)).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    with Image.open(folder / "0.png") as image:
        image.convert("RGB").save(folder / "colour.png")
        image.resize((20, 30), Image.Resampling.NEAREST).save(folder / "tall.png")
    return folder


def size(path) -> tuple[int, int]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return picture.size


# manifold, traverse, interpolate, neighbours


def test_a_manifold_is_a_plane_of_items(printed, run, tmp_path):
    output = printed("manifold", run, "--side", "4", "--out", tmp_path / "m.npz")
    assert "dimension 0 to the right and 1 upwards" in output
    assert "12.5 % to 87.5 %" in output
    items = np.load(tmp_path / "m.npz")["x"]
    assert (items == sim.manifold(run, side=4).items).all()
    printed("manifold", run, "--side", "4", "--dims", "1", "0", "--out", tmp_path / "m.png")
    width, height = size(tmp_path / "m.png")
    assert width > 12 * (4 * 9 + 1)  # behind the shares of the prior of both dimensions
    assert height == 12 * (4 * 9 + 1) + 32


def test_a_traversal_says_what_its_rows_are_sorted_by(printed, runs, tmp_path):
    output = printed("traverse", runs["vae"], "digits", "--index", "3", "--out", tmp_path / "t.npz")
    assert "2 of 2 dimensions" in output
    assert "KL: nats" in output
    arrays = np.load(tmp_path / "t.npz")
    assert arrays["x"].shape == (2, 9, 1, 8, 8)
    assert sorted(arrays["dims"]) == [0, 1]
    assert (np.diff(arrays["importance"][arrays["dims"]]) <= 0).all()
    assert "change: " in printed("traverse", runs["dcgan"], "--top", "2", "--out", tmp_path / "t.png")
    assert size(tmp_path / "t.png")[1] == 32 + 12 * (2 * 9 + 1)


def test_a_walk_as_a_film_runs_there_and_back(printed, runs, tmp_path):
    words = ["interpolate", runs["vae"], "digits", "--rows", "20", "--steps", "5"]
    printed(*words, "--out", tmp_path / "w.gif")
    with Image.open(tmp_path / "w.gif") as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 8, 0)
        frames = []
        for i in range(8):
            film.seek(i)
            frames.append(np.asarray(film.convert("RGB")))
    for i in (1, 2, 3):
        assert (frames[i] == frames[8 - i]).all()
    assert (frames[0] != frames[4]).any()
    paths = {path: np.load(_walk(printed, words, path, tmp_path))["x"] for path in ("linear", "spherical")}
    assert (paths["linear"][::5] == paths["spherical"][::5]).all()
    default = tmp_path / "default.npz"
    printed(*words, "--out", default)
    assert (np.load(default)["x"] == paths["linear"]).all()


def _walk(printed, words, path, folder):
    out = folder / f"{path}.npz"
    printed(*words, "--path", path, "--out", out)
    return out


def test_neighbours_are_training_items(printed, runs, tmp_path):
    output = printed("neighbours", runs["vae"], "digits", "-n", "4", "--out", tmp_path / "n.npz")
    assert "4 samples above the nearest of 1,258 training items" in output
    arrays, train = np.load(tmp_path / "n.npz"), data.load("digits").train.x
    assert (arrays["x"][1] == train[arrays["index"]]).all()
    assert (arrays["x"][2] == train[arrays["index_by_code"]]).all()
    printed("neighbours", runs["gated-pixelcnn"], "digits", "-n", "4", "--label", "3", "--out", tmp_path / "n.png")
    assert size(tmp_path / "n.png")[1] == 12 * (2 * 9 + 1)


# health


def test_health_has_figures_and_advice(printed, run, tmp_path):
    out = ["--out", tmp_path / "health"]
    found = json.loads(printed("health", run, "digits", "--json", *out))
    assert (found["model"], found["data"], found["split"], found["n"]) == ("vae", "digits", "test", 359)
    assert {"active_units", "kl", "collapsed", "aggregate_gap", "validation", "overfit"} <= found["findings"].keys()
    for finding in found["findings"].values():
        assert set(finding) == {"value", "of", "each", "advice", "warning", "interval"}
    assert set(found["verdict"]) == {"state", "reason", "remedy"}
    assert json.loads((tmp_path / "health" / "health.json").read_text()) == found
    assert size(tmp_path / "health" / "health.png")[0] == 1260
    output = printed("health", run, "digits", "--limit", "50", *out)
    assert "active units" in output
    assert "50 test items" in output
    assert output.startswith("verdict: ")


def test_health_is_of_every_family_and_lies_in_the_run(printed, refused, runs, tmp_path):
    for name in ("dcgan", "gated-pixelcnn"):
        output = printed("health", runs[name], "--limit", "30")
        assert output.startswith("verdict: not judged: trained for 3 steps")
        assert str(runs[name] / "health.png") in output
        assert (runs[name] / "health.json").is_file()
    assert "jensen shannon" in printed("health", runs["dcgan"], "digits", "--split", "valid", "--out", tmp_path)
    (tmp_path / "file").write_text("")
    assert "is no folder" in refused("health", runs["dcgan"], "digits", "--out", tmp_path / "file")


def test_fit_ends_with_a_verdict(printed, tmp_path):
    words = ["digits", "--steps", "2", "--out"]
    small = ["--network", "dense:hidden=8", "--latent", "2"]
    output = printed("fit", "vae", *words, tmp_path / "vae", *small)
    assert "verdict: not judged: trained for 2 steps" in output
    record = printed("fit", "dcgan", *words, tmp_path / "dcgan", "--width", "4", "--latent", "4", "--json")
    assert json.loads(record)["verdict"]["state"] == "not judged"
    output = printed("fit", "vae", "digits", "--steps", "200", "--out", tmp_path / "long", *small)
    assert "active units" in output
    assert (tmp_path / "long" / "health.png").is_file()


# edit and attribute


def test_an_item_and_its_picture_are_edited_alike(printed, run, tmp_path):
    folder = pictures_of_digits(tmp_path)
    moves = ["--dim", "1=+2", "0=-0.5", "--toward", "8=1.5"]
    printed("edit", run, "digits:1", *moves, "--out", tmp_path / "item.npz")
    moves = ["--dim", "1=+2", "--dim", "0=-0.5", "--toward", "8=1.5"]  # each flag by itself
    printed("edit", run, folder / "1.png", *moves, "--data", "digits", "--out", tmp_path / "picture.npz")
    item, picture = (np.load(tmp_path / f"{name}.npz")["x"] for name in ("item", "picture"))
    assert item.shape == (1, 3, 1, 8, 8)
    assert (item[0, 0] == data.load("digits").test.x[1]).all()
    assert (item == picture).all()
    assert (item[0, 2] != item[0, 1]).any()
    assert "changed" in printed("edit", run, "digits:1", *moves, "--out", tmp_path / "e.png")
    assert size(tmp_path / "e.png")[1] == 32 + 12 * 10


def test_a_picture_of_another_kind_is_refused_and_resized_if_asked(printed, refused, run, tmp_path):
    folder = pictures_of_digits(tmp_path)
    out = ["--dim", "0=1", "--out", tmp_path / "e.npz"]
    output = refused("edit", run, folder / "tall.png", *out)
    assert "8×8 grey" in output
    assert "20×30 grey" in output
    assert "--resize" in output
    assert "8×8 colour" in refused("edit", run, folder / "colour.png", *out)
    assert not (tmp_path / "e.npz").exists()
    printed("edit", run, folder / "colour.png", *out, "--resize")
    assert (np.load(tmp_path / "e.npz")["x"][0, 0] == data.load("digits").test.x[0]).all()
    printed("edit", run, folder / "tall.png", *out, "--resize")
    assert np.load(tmp_path / "e.npz")["x"].shape == (1, 3, 1, 8, 8)


def test_an_attribute_in_a_file_edits_as_the_classes_do(printed, refused, runs, tmp_path):
    out = tmp_path / "a.npz"
    output = printed("attribute", runs["vae"], "digits", "--with", "8", "--out", out)
    assert "from all other classes to 8: 2 numbers" in output
    printed("edit", runs["vae"], "digits:0", "--toward", f"{out}=2", "--out", tmp_path / "file.npz")
    printed("edit", runs["vae"], "digits:0", "--toward", "8=2", "--out", tmp_path / "class.npz")
    one, other = (np.load(tmp_path / f"{name}.npz")["x"] for name in ("file", "class"))
    assert (one == other).all()
    printed("attribute", runs["vae"], "digits", "--with", "3", "8", "--without", "5", "--out", out)
    vector = np.load(out)["vector"]
    assert (vector == sim.exploration.attribute_of_classes(runs["vae"], "digits", ["3", "8"], ["5"])).all()


def test_wrong_edits_are_one_line_and_nothing_is_written(refused, runs, tmp_path):
    run, out = runs["vae"], ["--out", tmp_path / "e.png"]
    assert "no dimension 7: those of this code are 0 to 1" in refused("edit", run, "digits:0", "--dim", "7=1", *out)
    assert "3=+2" in refused("edit", run, "digits:0", "--dim", "1", *out)
    assert "a dimension is a number" in refused("edit", run, "digits:0", "--dim", "smile=1", *out)
    assert "no class '12'" in refused("edit", run, "digits:0", "--toward", "12=1", *out)
    assert "nothing to edit" in refused("edit", run, "digits:0", *out)
    assert "0 to 358" in refused("edit", run, "digits:359", "--dim", "0=1", *out)
    assert "no picture" in refused("edit", run, tmp_path / "nothing.png", "--dim", "0=1", *out)
    assert "--limit 16" in refused("edit", runs["dcgan"], "digits:0", "--toward", "3=1", *out)
    (tmp_path / "a.npz").write_bytes(b"no archive")
    assert "not a zip file" in refused("edit", run, "digits:0", "--toward", f"{tmp_path / 'a.npz'}=1", *out, code=1)
    nothing = tmp_path / "nothing.npz"
    assert refused("edit", run, "digits:0", "--toward", f"{nothing}=1", *out, code=1).count("nothing.npz") == 1
    assert "--given label=0" in refused("edit", runs["gated-pixelcnn"], _picture(tmp_path), "--dim", "0=1", *out)
    assert ".png or a .npz" in refused("edit", run, "digits:0", "--dim", "0=1", "--out", tmp_path / "e.jpg")
    assert not (tmp_path / "e.png").exists()


def _picture(folder):
    return pictures_of_digits(folder) / "0.png"


def test_verbs_refuse_before_they_write(refused, runs, tmp_path):
    out = ["--out", tmp_path / "x.png"]
    assert "no decoder" in refused("manifold", runs["gated-pixelcnn"], "--label", "1", *out)
    assert "name the data set" in refused("traverse", runs["vae"], "--index", "2", *out)
    assert "no dimension 5" in refused("manifold", runs["vae"], "--dims", "0", "5", *out)
    assert "no class 'x'" in refused("attribute", runs["vae"], "digits", "--with", "x", "--out", tmp_path / "a.npz")
    assert "--with" in refused("attribute", runs["vae"], "digits", "--out", tmp_path / "a.npz")
    assert ".gif" in refused("interpolate", runs["vae"], "--out", tmp_path / "x.mp4")
    curved = refused("interpolate", runs["vae"], "--path", "curved", *out)
    assert "'linear'" in curved
    assert "None" not in curved
    assert "--dims: it cannot be ['1']. See" in refused("manifold", runs["vae"], "--dims", "1", *out)
    assert "top = 0" in refused("traverse", runs["vae"], "--top", "0", *out)
    assert "steps >= 2" in refused("interpolate", runs["vae"], "--steps", "0", *out)
    assert "their own label" in refused("traverse", runs["vae"], "digits", "--label", "1", *out)
    assert list(tmp_path.iterdir()) == []


# Codes that are found by search, and what is made of draws


def test_codes_of_a_gan_are_found_by_search_and_said_to_be(printed, refused, runs, tmp_path, capsys):
    run, out = runs["dcgan"], tmp_path / "codes.npz"
    found = json.loads(printed("encode", run, "digits", "--limit", "2", "--json", "--out", out))
    assert found["shape"] == [2, 4]
    assert len(found["error"]) == len(found["rejected"]) == 2
    assert set(np.load(out)) == {"z", "mean", "error", "rejected", "label"}
    capsys.readouterr()
    assert main(["edit", str(run), "digits:1", "--dim", "0=1", "--out", str(tmp_path / "e.png")]) == 0
    assert "codes found by search, with a root mean square error of" in capsys.readouterr().err
    tall = pictures_of_digits(tmp_path) / "tall.png"
    assert "--resize" in refused("edit", run, tall, "--dim", "0=1", "--out", tmp_path / "t.png")
    attribute = ["attribute", run, "digits", "--with", "3", "--out", tmp_path / "a.npz"]
    for command in (["encode", run, "digits"], attribute):
        assert "--limit 16" in refused(*command)


def test_concepts_are_added_in_a_picture(printed, refused, runs, tmp_path):
    words = ["arithmetic", runs["vae"], "digits", "--start", "0", "--with", "9", "--without", "4"]
    found = json.loads(printed(*words, "--json", "--out", tmp_path / "a.npz"))
    assert set(found) == {"out", "wanted", "reached", "unmoved", "control", "ceiling"}
    assert found["wanted"] == {"label": 9}
    assert found["ceiling"] > 0.8
    arrays = np.load(tmp_path / "a.npz")
    assert set(arrays) == {"vector", "with", "without", "start", "start+with-without", "control"}
    output = printed(*words, "--each", "3", "--out", tmp_path / "a.png")
    assert "0 + 9 - 4" in output
    assert "of the controls for label 9" in output
    assert size(tmp_path / "a.png")[1] == 32 + 12 * (5 * 9 + 1)
    assert "at least 3" in refused(*words, "--each", "2", "--out", tmp_path / "b.png")
    assert "--start" in refused("arithmetic", runs["vae"], "digits", "--with", "9", "--without", "4")


def test_principal_directions_and_walks_between_classes(printed, refused, runs, tmp_path):
    out = tmp_path / "p.npz"
    output = printed("traverse", runs["dcgan"], "--directions", "principal", "--top", "2", "--out", out)
    assert "2 of 4 principal directions" in output
    assert "share of response" in output
    assert np.load(out)["directions"].shape == (4, 4)
    assert "no condition to go to" in refused("interpolate", runs["dcgan"], "--to", "label=3")
    assert "has no styles" in refused("interpolate", runs["dcgan"], "--path", "styles")
    assert "has no styles" in refused("mix-styles", runs["dcgan"])
