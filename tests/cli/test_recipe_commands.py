"""The data of a run, as commands read them: its recipe on other data, and without DATA its own again."""

import json

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra.cli import main
from simulacra.data import Recipe


def fill(folder, n=80, side=(13, 10), seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for i in range(n):
        Image.fromarray(rng.integers(0, 200, side, np.uint8)).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """(a run, its folder of pictures) of which the pictures were brought to 6×6 pixels."""
    place = tmp_path_factory.mktemp("own")
    pictures, run = fill(place / "pictures"), place / "run"
    small = ["--width", "4", "--layers", "2", "--kernel", "3", "--steps", "2"]
    words = ["fit", "gated-pixelcnn", str(pictures), "--resize", "6", "--out", str(run), *small]
    assert main([*words, "--condition", "down:factor=2"]) == 0
    plain = place / "plain"
    assert main([*words[:5], "--out", str(plain), *small]) == 0
    return run, plain, pictures


def test_commands_without_data_read_those_of_the_run(own, printed):
    run, plain, pictures = own
    for each in (run, plain):
        assert printed("score", each, "--json") == printed("score", each, pictures, "--json")
        printed("complete", each, "-n", "2", "--samples", "1")
        printed("evaluate", each, "--json")
    printed("neighbours", plain, "-n", "2")


def test_commands_read_other_folders_by_the_recipe_of_the_run(own, printed, tmp_path):
    run, plain, _ = own
    other = fill(tmp_path / "other", side=(20, 31), seed=1)
    for verb in ("score", "evaluate", "complete"):
        printed(verb, run, other, "--json")
    printed("sample", run, other, "-n", "3")  # under what is made of the test items
    assert json.loads(printed("score", plain, other, "--split", "all", "--json"))["n"] == 80


def test_a_picture_of_ones_own_is_edited_as_the_recipe_of_the_run_makes_it(printed, refused, tmp_path):
    own, out = fill(tmp_path / "own", side=(13, 10)), tmp_path / "e.npz"
    small = ["--steps", "2", "--network", "dense:hidden=4", "--latent", "2"]
    printed("fit", "vae", own, "--resize", "8", "--out", tmp_path / "run", *small)
    other = fill(tmp_path / "other", 5, side=(21, 17), seed=1)
    expected = sim.data.load(other, resize=8).split("all").x
    printed("edit", tmp_path / "run", other / "00.png", "--dim", "0=1", "--out", out)
    assert (expected == np.load(out)["x"][0, 0]).all((1, 2, 3)).any()
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "colour.png")
    words = ("edit", tmp_path / "run", tmp_path / "colour.png", "--dim", "0=1", "--out", out)
    assert "add --resize to bring it to the colours of the model" in refused(*words)
    printed(*words, "--resize")


def test_values_of_a_picture_are_levels_where_those_of_the_data_were(printed, tmp_path):
    """A folder whose pixels are levels 0 to 16, as `--levels 17` says of it."""
    rng, own, out = np.random.default_rng(0), tmp_path / "own", tmp_path / "e.npz"
    own.mkdir()
    for i in range(30):
        Image.fromarray(rng.integers(0, 17, (8, 8), np.uint8)).save(own / f"{i}.png")
    small = ["--steps", "2", "--network", "dense:hidden=4", "--latent", "2"]
    printed("fit", "vae", own, "--levels", "17", "--out", tmp_path / "run", *small)
    printed("edit", tmp_path / "run", own / "3.png", "--dim", "0=1", "--out", out)
    values = np.asarray(Image.open(own / "3.png"))
    assert (np.load(out)["x"][0, 0, 0] == values).all()
    Image.fromarray(np.rint(values * (255 / 16)).astype(np.uint8)).save(tmp_path / "bright.png")  # as samples are
    printed("edit", tmp_path / "run", tmp_path / "bright.png", "--dim", "0=1", "--out", out)
    assert (np.load(out)["x"][0, 0, 0] == values).all()


def test_levels_say_what_values_are_on_and_change_none(capsys, tmp_path):
    x = np.random.default_rng(0).integers(0, 5, (30, 4, 4), np.uint8)
    np.save(tmp_path / "x.npy", x)
    read = sim.data.load(tmp_path / "x.npy", levels=9).split("all").x[:, 0]
    assert sorted(map(bytes, read)) == sorted(map(bytes, x))
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the values are levels 0 to INT - 1: none is rescaled" in shown


def test_data_of_a_run_are_described_with_their_recipe(own, printed):
    run, _, pictures = own
    line = f"  recipe       resize 6×6 ({Recipe((6, 6)).digest})"
    text = printed("data", run)
    assert line in text
    assert str(pictures) in text
    assert json.loads(printed("data", run, "--json"))["recipe"]["resize"] == [6, 6]
    assert "as they are" in printed("data", "digits")


def test_pictures_are_compressed_as_they_are_or_as_the_recipe_makes_them(own, printed, refused, tmp_path):
    _, plain, pictures = own
    text = refused("compress", plain, pictures, "--out", tmp_path / "x.sim")
    assert "--split all compresses what the recipe of the run makes of them" in text
    made = json.loads(
        printed("compress", plain, pictures, "--split", "all", "--out", tmp_path / "x.sim", "--limit", "3", "--json")
    )
    assert made["n"] == 3
    assert json.loads(printed("compress", plain, "--out", tmp_path / "y.sim", "--json"))["n"] >= 1


def test_a_run_whose_data_are_gone_says_so(printed, refused, tmp_path):
    pictures, run = fill(tmp_path / "in"), tmp_path / "run"
    printed("fit", "independent", pictures, "--resize", "6", "--out", run)
    pictures.rename(tmp_path / "moved")
    assert "in" in refused("score", run)
    printed("score", run, tmp_path / "moved")


# What figures are made of


def test_a_density_is_printed_in_nats_and_as_a_density(printed, tmp_path):
    run = tmp_path / "run"
    fitted = printed("fit", "rnade", "ring", "--steps", "2", "--hidden", "4", "--out", run)
    assert "nats of an item's density" in fitted
    text = printed("score", run)
    assert "bits/dim" not in text
    assert "nats per item, -log density in the units of the data (exact)" in text
    record = json.loads(printed("score", run, "--per-item", tmp_path / "each.csv", "--json"))
    assert record["measure"] == "density"
    assert record["bits_per_dim"] is None
    assert (tmp_path / "each.csv").read_text().splitlines()[0] == "index,nats"
    assert "bits_per_dim" not in json.loads(printed("evaluate", run, "--quick", "--json"))


def test_compress_says_what_its_bits_are_made_of(printed, runs, tmp_path):
    score = json.loads(printed("score", runs["gated-pixelcnn"], "digits", "--json"))
    words = ("compress", runs["gated-pixelcnn"], "digits", "--out", tmp_path / "x.sim")
    made = json.loads(printed(*words, "--json"))
    assert sum(made["parts"].values()) == pytest.approx(made["bits_per_dim"], abs=1e-9)
    assert made["parts"]["items"] == pytest.approx(score["bits_per_dim"], abs=1e-5)
    assert made["parts"]["classes"] == pytest.approx(np.log2(10) / 64)
    assert abs(made["parts"]["coding"]) < 0.01
    text = printed(*words)
    assert f"{made['parts']['items']:.4f} the items (-log2 p(x); what `score` says of them)" in text
    assert f"{np.log2(10) / 64:.4f} their classes + " in text
    bound = printed("compress", runs["vae"], "digits", "--limit", "9", "--out", tmp_path / "y.sim")
    assert "-ELBO / ln 2, a bound" in bound
