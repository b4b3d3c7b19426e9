"""What the commands print and write: the JSON is a contract, the files are what they claim to be."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from PIL import Image

from simulacra import data
from simulacra.cli import COMMANDS, main
from simulacra.randomness import some_of


def test_help_lists_every_command(printed):
    output = printed("--help")
    assert all(command in output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with contextlib.suppress(SystemExit):
        main([command, "--help"])
    assert "usage: simulacra " + command in capsys.readouterr().out


def test_help_of_fit_is_the_schema_of_the_model(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "vae", "--help"])
    output = capsys.readouterr().out
    assert "--latent INT" in output
    assert "coordinates of a code z (default: 20)" in output


def test_data_tells_what_was_understood(printed):
    output = json.loads(printed("data", "digits", "--json"))
    assert output["shape"] == [1, 8, 8]
    assert output["levels"] == 17
    assert sum(output["splits"].values()) == 1797
    assert "17 levels" in printed("data", "digits")


def test_score_of_a_density_is_exact_and_of_a_vae_a_bound(printed, runs):
    exact = json.loads(printed("score", runs["gated-pixelcnn"], "digits", "--json"))
    bound = json.loads(printed("score", runs["vae"], "digits", "--samples", "3", "--json"))
    assert set(exact) == {
        "model", "data", "split", "n", "kind", "measure", "nats", "bits_per_dim", "standard_error", "samples",
        "estimator", "monte_carlo_error", "effective_sample_size", "warning",
    }  # fmt: skip
    assert (exact["kind"], exact["samples"], exact["n"]) == ("exact", None, 359)
    assert (bound["kind"], bound["samples"]) == ("bound", 3)
    assert exact["bits_per_dim"] == pytest.approx(exact["nats"] / (64 * np.log(2)))


def test_score_says_which_estimator_and_how_many_of_its_draws_count(printed, runs, refused):
    words = ["score", runs["vae"], "digits", "--limit", "8", "--samples", "6"]
    assert "importance, K = 6" in printed(*words)
    output = printed(*words, "--estimator", "ais", "--temperatures", "3")
    assert "bound, ais, K = 6" in output
    assert "median effective sample size" in output
    record = json.loads(printed(*words, "--estimator", "prior", "--json"))
    assert (record["kind"], record["estimator"]) == ("bound", "prior")
    assert 1 <= record["effective_sample_size"] <= 6
    assert "samples >= 1, not 0" in refused("score", runs["vae"], "digits", "--samples", "0")
    assert "nothing to estimate" in refused("score", runs["gated-pixelcnn"], "digits", "--estimator", "elbo")


def test_per_item_scores_average_to_the_score(printed, runs, tmp_path):
    scored = json.loads(printed("score", runs["vae"], "digits", "--per-item", tmp_path / "new" / "items.csv", "--json"))
    items = np.genfromtxt(tmp_path / "new" / "items.csv", delimiter=",", names=True)
    assert len(items) == scored["n"]
    assert items["nats"].mean() == pytest.approx(scored["nats"], abs=1e-4)


def test_evaluate_gives_each_figure_its_interval_floor_and_protocol(printed, runs):
    measures = json.loads(printed("evaluate", runs["dcgan"], "digits", "--json"))
    assert next(iter(measures)) == "frechet_distance_learned"
    distances = {f"{each}_{of}" for each in ("frechet_distance", "frechet_position") for of in ("learned", "random")}
    assert distances | {"frechet_distance", "precision", "classifier_test"} < measures.keys()
    for measure in measures.values():
        assert set(measure) == {"value", "low", "high", "floor", "n", "kind", "protocol", "warning", "note"} | {
            "baseline",
            "control",
            "ceiling",
        }
    assert len({measure["protocol"].rpartition("; protocol ")[2] for measure in measures.values()}) == len(measures)
    distance = measures["frechet_distance"]
    assert distance["low"] < distance["value"] < distance["high"]
    assert 0 < distance["floor"] < distance["value"]  # three steps of training are worse than real digits


def test_a_models_own_options_of_a_draw_are_given_by_name(printed, refused, runs, tmp_path):
    def drawn(*options: str) -> np.ndarray:
        printed("sample", runs["dcgan"], "-n", "20", "--out", tmp_path / "x.npz", *options)
        return np.load(tmp_path / "x.npz")["x"]

    narrow = drawn("--option", "truncation=0.01")
    assert narrow.std(0).mean() < 0.5 * drawn().std(0).mean()
    standing = drawn("--option", "standing=32", "truncation=0.01")
    assert np.array_equal(drawn("--option", "truncation=0.01", "--option", "standing=32"), standing)
    assert not np.array_equal(standing, narrow)
    run = runs["dcgan"]
    assert "truncation is a number, not 'low'" in refused("sample", run, "--option", "truncation=low")
    assert "NAME=VALUE, such as truncation=0.5" in refused("sample", run, "--option", "truncation")
    assert "is given twice" in refused("sample", run, "--option", "standing=1", "standing=2")
    assert "Did you mean 'truncation'" in refused("sample", run, "--option", "truncate=1")
    assert "no sampling option 'truncation'" in refused("sample", runs["vae"], "--option", "truncation=1")


def test_samples_as_picture_array_and_folder(printed, runs, tmp_path):
    for out in ("grid.png", "x.npz", "folder"):
        printed("sample", runs["gated-pixelcnn"], "-n", "12", "--label", "3", "--out", tmp_path / out)
    arrays = np.load(tmp_path / "x.npz", allow_pickle=False)
    assert (arrays["x"].shape, arrays["x"].dtype) == ((12, 1, 8, 8), np.uint8)
    assert arrays["x"].max() <= 16
    assert (arrays["label"] == 3).all()
    singles = sorted((tmp_path / "folder").glob("*.png"))
    assert len(singles) == 12
    with Image.open(singles[0]) as single:
        assert np.array_equal(np.asarray(single), np.rint(arrays["x"][0, 0] * (255 / 16)))
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.format == "PNG"


def test_what_sample_writes_is_a_data_set(printed, runs, tmp_path):
    printed("sample", runs["gated-pixelcnn"], "-n", "40", "--out", tmp_path / "x.npz")
    again = data.load(tmp_path / "x.npz", levels=17)
    assert again.spec.shape == (1, 8, 8)
    assert again.spec.condition["label"].count == 10  # without --label all classes in turn
    printed("sample", runs["gated-pixelcnn"], "-n", "40", "--label", "3", "--out", tmp_path / "x.npz")
    assert (
        data.load(tmp_path / "x.npz").spec == data.load("digits").spec
    )  # 17 levels and ten classes, whatever is drawn


def test_codes_reconstructions_and_walks(printed, runs, tmp_path):
    printed("encode", runs["vae"], "digits", "--out", tmp_path / "codes.npz")
    codes = np.load(tmp_path / "codes.npz", allow_pickle=False)
    assert codes["z"].shape == codes["mean"].shape == (359, 2)
    assert np.array_equal(codes["label"], data.load("digits").test.condition["label"])
    printed("reconstruct", runs["vae"], "digits", "-n", "5", "--out", tmp_path / "again.npz")
    pairs = np.load(tmp_path / "again.npz")["x"]
    assert np.array_equal(pairs[:5], data.load("digits").test.x[some_of(359, 5, 0, "shown")])
    printed("interpolate", runs["dcgan"], "--rows", "2", "--steps", "5", "--out", tmp_path / "walk.npz")
    assert np.load(tmp_path / "walk.npz")["x"].shape == (10, 1, 8, 8)


def test_the_same_fit_again_is_finished_already(printed, runs):
    words = [
        "fit",
        "dcgan",
        "digits",
        "--steps",
        "3",
        "--out",
        runs["dcgan"],
        "--width",
        "4",
        "--latent",
        "4",
        "--json",
    ]
    before = (runs["dcgan"] / "model" / "weights.safetensors").read_bytes()
    assert json.loads(printed(*words))["steps"] == 3
    assert (runs["dcgan"] / "model" / "weights.safetensors").read_bytes() == before


def test_fresh_leaves_the_old_run_alone(printed, runs):
    words = ["fit", "dcgan", "digits", "--steps", "2", "--out", runs["dcgan"], "--width", "4", "--latent", "4"]
    before = (runs["dcgan"] / "run.json").read_bytes()
    assert json.loads(printed(*words, "--fresh", "--json"))["run"].endswith("dcgan-2")
    assert (runs["dcgan"] / "run.json").read_bytes() == before


def test_a_flag_of_several_parts_may_be_repeated(printed, tmp_path):
    words = ["fit", "gan", "digits", "--steps", "1", "--generator", "dense:hidden=4", "--critic", "dense:hidden=4"]
    found = []
    for name, penalties in (
        ("once", ["--penalties", "r1:weight=2", "r2"]),
        ("twice", ["--penalties", "r1:weight=2", "--penalties", "r2"]),
    ):
        printed(*words, *penalties, "--out", tmp_path / name)
        found.append(json.loads((tmp_path / name / "model" / "config.json").read_text())["model"]["gan"]["penalties"])
    assert found[0] == found[1]
    assert len(found[0]) == 2
    printed(*words, "--game", "non-saturating", "--penalties", "--out", tmp_path / "none")
    config = json.loads((tmp_path / "none" / "model" / "config.json").read_text())
    assert config["model"]["gan"]["penalties"] == []


def test_dry_run_writes_nothing(printed, tmp_path):
    output = printed("fit", "vae", "digits", "--dry-run", "--out", tmp_path / "run")
    assert "parameters" in output
    assert list(tmp_path.iterdir()) == []


def test_the_demo_compares_three_models_and_writes_a_report(printed, tmp_path):
    rows = json.loads(printed("demo", "--steps", "2", "--out", tmp_path, "--json"))
    assert [row["model"] for row in rows] == ["gated-pixelcnn", "vae", "dcgan"]
    assert [row["bits/dim"].split(" ")[-1] for row in rows] == ["(exact)", "(bound)", "none"]
    report = (tmp_path / "report.html").read_text()
    assert "width=device-width" in report
    assert report.count("data:image/png;base64,") >= 8
    assert "http-equiv" not in report
    assert "src='http" not in report
    with Image.open(tmp_path / "samples.png") as sheet:
        assert sheet.width > 1000
