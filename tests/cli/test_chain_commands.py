"""The commands on chains and class-conditional densities: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from small import SPECS, items

from simulacra import data
from simulacra.cli.watch import blocks, fitting
from simulacra.pictures import UNKNOWN, pixels
from simulacra.randomness import some_of


@pytest.fixture
def run(runs):
    return runs["gated-pixelcnn"]


def colours(path) -> dict[tuple[int, ...], int]:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        values, counts = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    return {tuple(value.tolist()): int(count) for value, count in zip(values, counts, strict=True)}


# complete


def test_complete_writes_items_completions_mask_and_nats(printed, run, tmp_path):
    words = ["complete", run, "digits", "--mask", "bottom", "-n", "3", "--samples", "2"]
    output = json.loads(printed(*words, "--out", tmp_path / "c.npz", "--json"))
    arrays = np.load(tmp_path / "c.npz", allow_pickle=False)
    assert {name: array.shape for name, array in arrays.items()} == {
        "x": (3, 1, 8, 8), "completed": (3, 2, 1, 8, 8), "mask": (1, 8, 8), "nats": (3, 2), "nats_truth": (3,)
    }  # fmt: skip
    some = some_of(359, 3, 0, "shown")
    assert (arrays["x"] == data.load("digits").test.x[some]).all()
    assert output["orders"] == 1
    assert (arrays["completed"][:, :, :, :4] == arrays["x"][:, None, :, :4]).all()
    assert (output["unknown"], output["known"], output["unseen"]) == (32, 32, 0)
    assert output["nats"] == pytest.approx(arrays["nats"].mean())
    assert output["nats_truth"] == pytest.approx(arrays["nats_truth"].mean())
    assert "lie after" not in printed(*words, "--out", tmp_path / "c.png")


def test_complete_says_what_was_not_seen(printed, run, tmp_path):
    output = printed("complete", run, "digits", "--mask", "top", "-n", "2", "--out", tmp_path / "c.png")
    assert "of 32 known values 32 (100%) lie after all unknown ones" in output
    assert "orderless-nade" in output
    assert "bits per unknown value" in output


def test_the_picture_marks_the_unknown_part(printed, run, tmp_path):
    np.save(tmp_path / "mask.npy", np.eye(8, dtype=bool))
    printed("complete", run, "digits", "--mask", tmp_path / "mask.npy", "-n", "2", "--out", tmp_path / "c.png")
    assert colours(tmp_path / "c.png")[UNKNOWN] == 2 * 8 * 12 * 12  # two items, eight pixels, each 12 wide
    printed("complete", run, "digits", "-n", "2", "--seed", "1")
    assert (run / "completions.png").exists()


def test_completions_that_cannot_be(refused, runs, run, tmp_path):
    assert "vae cannot complete" in refused("complete", runs["vae"], "digits")
    assert "Did you mean 'bottom'" in refused("complete", run, "digits", "--mask", "botom")
    assert "share above 0" in refused("complete", run, "digits", "--mask", "random:2")
    assert "no sampler 'quick'" in refused("complete", run, "digits", "--sampler", "quick")
    assert "use a .png or a .npz file" in refused("complete", run, "digits", "--out", tmp_path / "c.jpg")
    Image.new("L", (9, 8)).save(tmp_path / "mask.png")
    assert "(8, 9)" in refused("complete", run, "digits", "--mask", tmp_path / "mask.png", code=1)
    Image.new("L", (8, 8)).save(tmp_path / "mask.png")
    assert "nothing is unknown" in refused("complete", run, "digits", "--mask", tmp_path / "mask.png")
    assert "model is for" in refused("complete", run, "ring")
    assert list(tmp_path.iterdir()) == [tmp_path / "mask.png"]


# score --map


def test_a_map_shows_the_most_surprising_items_first(printed, run, tmp_path):
    text = printed("score", run, "digits", "--map", tmp_path / "new" / "map.png", "--limit", "12")
    assert "the 12 most surprising of them" in text
    assert colours(tmp_path / "new" / "map.png")
    same = json.loads(printed("score", run, "digits", "--map", tmp_path / "map.png", "--limit", "12", "--json"))
    assert same["n"] == 12
    assert (tmp_path / "map.png").read_bytes() == (tmp_path / "new" / "map.png").read_bytes()


def test_maps_that_cannot_be(refused, runs, run, tmp_path):
    assert "vae is no chain of conditionals" in refused("score", runs["vae"], "digits", "--map", tmp_path / "map.png")
    assert "use a .png" in refused("score", run, "digits", "--map", tmp_path / "map.npz")


def test_vectors_have_no_map(refused, printed, tmp_path):
    np.savez(tmp_path / "flat.npz", x=data.load("digits").train.x.reshape(-1, 64)[:200])
    printed("fit", "independent", tmp_path / "flat.npz", "--levels", "17", "--out", tmp_path / "run")
    output = refused("score", tmp_path / "run", tmp_path / "flat.npz", "--levels", "17", "--map", tmp_path / "m.png")
    assert "(64,) have no map; use --per-item" in output


# classify


def test_classify_as_json_and_per_item(printed, run, tmp_path):
    words = ["classify", run, "digits", "--limit", "150", "--prior", "train"]
    output = json.loads(printed(*words, "--per-item", tmp_path / "new" / "items.csv", "--json"))
    assert set(output) == {
        "model", "data", "split", "n", "accuracy", "standard_error", "accuracy_low", "accuracy_high",
        "cross_entropy", "prior", "reject", "two_sided",
        "low", "high", "refused", "accuracy_accepted", "foreign",
    }  # fmt: skip
    assert (output["n"], output["prior"], output["reject"], output["high"], output["foreign"]) == (
        150,
        "train",
        0.01,
        None,
        [],
    )
    rows = list(csv.DictReader((tmp_path / "new" / "items.csv").read_text().splitlines()))
    assert list(rows[0]) == ["index", "label", "predicted", "probability", "log_prob", "refused"]
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == pytest.approx(output["accuracy"])
    assert np.mean([float(row["log_prob"]) < output["low"] for row in rows]) == pytest.approx(output["refused"])


def test_foreign_sets_are_named_with_their_share(printed, run, tmp_path):
    noise = np.random.default_rng(0).integers(0, 17, (40, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "noise.npy", noise)
    np.save(tmp_path / "dark.npy", noise // 6)
    output = printed(
        "classify", run, "digits", "--limit", "110", "--foreign", tmp_path / "noise.npy", tmp_path / "dark.npy"
    )
    assert "items of noise" in output
    assert "of 40 items of dark" in output
    assert "accuracy" in output


def test_a_folder_of_foreign_pictures_is_brought_to_size(printed, run, refused, tmp_path):
    for i in range(12):
        (tmp_path / "photos").mkdir(exist_ok=True)
        pixel = np.random.default_rng(i).integers(0, 17, (20, 30), dtype=np.uint8)
        Image.fromarray(pixel).save(tmp_path / "photos" / f"{i}.png")
    output = json.loads(
        printed("classify", run, "digits", "--limit", "110", "--foreign", tmp_path / "photos", "--json")
    )
    assert [(one["name"], one["n"]) for one in output["foreign"]] == [("photos", 12)]


def test_models_that_cannot_classify(refused, runs, run):
    assert "vae has no exact likelihood" in refused("classify", runs["vae"], "digits")
    assert "dcgan has no exact likelihood" in refused("classify", runs["dcgan"], "digits")
    assert "no prior 'flat'" in refused("classify", run, "digits", "--prior", "flat")
    assert "0 <= reject < 1" in refused("classify", run, "digits", "--reject", "2")
    assert "reject = 0 refuses nothing" in refused("classify", run, "digits", "--reject", "0", "--foreign", "digits")
    assert "model is for" in refused("classify", run, "digits", "--foreign", "ring")


# sample --sampler


def test_sample_with_another_sampler_draws_the_same(printed, refused, runs, run, tmp_path):
    for sampler in ("cached", "naive", "fixed-point"):
        printed("sample", run, "-n", "3", "--sampler", sampler, "--out", tmp_path / f"{sampler}.npz")
    drawn = [np.load(tmp_path / f"{sampler}.npz")["x"] for sampler in ("cached", "naive", "fixed-point")]
    assert np.mean(drawn[0] == drawn[1]) > 0.99  # in float32 a rounding may tip a draw
    assert np.mean(drawn[0] == drawn[2]) > 0.99
    assert "leave 'naive' out" in refused("sample", runs["vae"], "--sampler", "naive")
    assert "cached, naive, fixed-point" in refused("sample", run, "--sampler", "quick")


# --watch


@pytest.mark.parametrize("name", ["grey", "colour"])
def test_a_terminal_shows_every_pixel_in_half_a_character(name):
    spec = SPECS[name]
    x = items(spec, 7).numpy()
    image = fitting(x, spec, 40, 30)
    across, height, width = 39 // (spec.shape[2] + 1), *spec.shape[1:]
    assert image.shape[0] <= 30
    assert image.shape[1] <= 40
    for i, pixel in enumerate(pixels(x[:across], spec)):
        left = 1 + i * (width + 1)
        assert (image[1 : 1 + height, left : left + width] == pixel).all()
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=60)
    console.print(blocks(image))
    output = console.file.getvalue()
    assert output.count("▀") == image.shape[1] * -(-image.shape[0] // 2)
    red, green, blue = image[1, 1]
    assert f"48;2;{red};{green};{blue}m▀" in output  # the second row of pixels is the background of the first line


def test_items_larger_than_the_terminal_shrink():
    assert max(fitting(items(SPECS["grey"], 9).numpy(), SPECS["grey"], 6, 6).shape[:2]) <= 6
