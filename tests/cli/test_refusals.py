"""Bad input: one or two clear lines that name what is wrong and how to mend it, and nothing that was there is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra.cli import main
from simulacra.errors import UsageError


def test_unknown_names_suggest_the_nearest(refused):
    assert "'evaluate'" in refused("evalute", "run")
    assert "'vae'" in refused("fit", "vea", "digits")
    assert "'digits'" in refused("fit", "vae", "digit")
    assert "--latnt" in refused("fit", "vae", "digits", "--latnt", "3")


def test_a_flag_that_is_nearly_an_argument_of_a_part(refused):
    """A wrong name may be near an option and an argument of a part; the latter is what `--help` does not list first."""
    assert "--objective elbo:warmup=..." in refused("fit", "vae", "digits", "--kl-warmup", "3")
    assert "--objective elbo:warmup=..." in refused("fit", "vae", "digits", "--kl_warmup=3")
    assert "--network dense:hidden=..." in refused("fit", "vae", "digits", "--hiden", "3")
    assert "--objective elbo:beta=..." in refused("fit", "vae", "digits", "--beta", "3")


def test_unknown_names_may_come_from_outside(refused):
    assert "--import MODULE" in refused("fit", "mine", "digits")
    assert "--import MODULE" in refused("fit", "vae", "digits", "--prior", "mine")


def test_what_a_preset_fixes_is_named_with_the_model_that_leaves_it_open(refused):
    output = refused("fit", "gated-pixelcnn", "digits", "--network", "pixelcnn")
    assert "gated-pixelcnn is raster with its network fixed" in output
    assert "`simulacra fit raster DATA --network gated-pixelcnn:width=32`" in output
    assert "simulacra fit gan DATA --generator dcgan" in refused("fit", "dcgan", "digits", "--generator", "dense")
    with pytest.raises(UsageError, match="gated-pixelcnn is raster with its network fixed"):
        sim.fit("gated-pixelcnn", "digits", network="pixelcnn")


def test_a_folder_without_classes_says_where_labels_come_from(refused, printed, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "pics" / name / f"{i}.png")
    run = tmp_path / "run"
    printed("fit", "independent", tmp_path / "pics", "--condition", "label", "--out", run)
    output = refused("score", run, tmp_path / "pics" / "cat")
    assert "no field 'label'" in output
    assert "a sub-folder for each class" in output
    assert "name the folder above" in output
    printed("score", run, tmp_path / "pics")


def test_a_size_that_does_not_fit_is_mended_by_that_of_the_model(refused, printed, tmp_path):
    rng = np.random.default_rng(0)

    def folder(name, *sides):
        (tmp_path / name).mkdir()
        for i in range(30):
            Image.fromarray(rng.integers(0, 256, sides[i % len(sides)], np.uint8)).save(tmp_path / name / f"{i}.png")
        return tmp_path / name

    run = tmp_path / "run"
    printed("fit", "independent", folder("small", (8, 8)), "--out", run)
    mixed, large = folder("mixed", (21, 17), (30, 30)), folder("large", (21, 17))
    assert "The model is for 1×8×8, 256 levels: --resize 8 brings them to it" in refused("score", run, mixed, code=1)
    assert "(--resize 8 brings them to it)" in refused("score", run, large)
    for each in (mixed, large):
        printed("score", run, each, "--resize", "8")


def test_a_call_without_its_arguments(refused):
    assert "DATA" in refused("fit", "vae")
    assert "RUN" in refused("sample")
    assert "the model comes first" in refused("fit", "--steps", "3")


def test_options_out_of_range(refused, tmp_path):
    for words in (
        ["--steps", "0"],
        ["--latent", "0"],
        ["--ema", "1.5"],
        ["--batch", "-1"],
        ["--latent", "x"],
        ["--warmup", "-5"],
    ):
        assert words[0].strip("-") in refused("fit", "vae", "digits", "--out", tmp_path / "run", *words)
    assert "cuda:9" in refused("fit", "vae", "digits", "--device", "cuda:9", "--out", tmp_path / "run")
    assert "9.5" in refused("fit", "vae", "digits", "--likelihood", "9.5", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_not_there_or_is_something_else(refused, tmp_path):
    assert "simulacra fit" in refused("sample", tmp_path / "nothing")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("two years of work")
    assert "is it a run folder?" in refused("sample", tmp_path / "mine")
    assert "other files" in refused("fit", "vae", "digits", "--out", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "two years of work"


def test_a_run_made_with_other_settings_lists_the_keys(refused, runs):
    output = refused(
        "fit", "vae", "digits", "--steps", "3", "--out", runs["vae"], "--network", "dense:hidden=9", "--latent", "2"
    )
    assert "model.network.hidden (8 there, 9 now)" in output
    assert "latent" not in output
    assert "--fresh" in output


def test_score_of_a_gan_says_why_and_what_instead(refused, runs):
    output = refused("score", runs["dcgan"], "digits")
    assert "no probability" in output
    assert "evaluate" in output


def test_verbs_without_the_ability(refused, runs):
    assert "--limit 16" in refused("encode", runs["dcgan"], "digits")
    assert "no encoder" in refused("encode", runs["gated-pixelcnn"], "digits")
    assert "no decoder" in refused("interpolate", runs["gated-pixelcnn"])


def test_labels_that_do_not_exist(refused, runs):
    assert "0 to 9" in refused("sample", runs["gated-pixelcnn"], "--label", "10")
    assert "not conditioned" in refused("sample", runs["vae"], "--label", "1")
    assert "label" in refused("fit", "vae", "digits", "--condition", "colour")


def test_data_that_do_not_fit_the_model(refused, runs, tmp_path):
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).integers(0, 17, (30, 8, 9), dtype=np.uint8))
    assert "1×8×9" in refused("score", runs["vae"], tmp_path / "wide.npy", "--levels", "17")
    np.save(tmp_path / "bright.npy", np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8))
    assert "--levels" in refused("score", runs["vae"], tmp_path / "bright.npy")
    assert "levels" in refused("data", tmp_path / "bright.npy", "--levels", "17", code=1)
    assert "split" in refused("score", runs["vae"], "digits", "--split", "tset")
    assert "rnade" in refused("fit", "gated-pixelcnn", "ring", "--out", tmp_path / "run")
    assert "sample" in refused("score", runs["vae"], "digits", "--samples", "0")


def test_a_folder_of_mixed_sizes_offers_resize(refused, printed, tmp_path):
    for i in range(12):
        side = 8 if i else 10
        pixels = np.random.default_rng(i).integers(0, 256, (side, side), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    output = refused("fit", "vae", tmp_path, "--out", tmp_path / "run", code=1)
    assert "0.png" in output
    assert "--resize" in output
    assert json.loads(printed("data", tmp_path, "--resize", "8", "--json"))["shape"] == [1, 8, 8]


def test_an_output_that_cannot_be_written(refused, runs, tmp_path):
    assert ".png" in refused("sample", runs["vae"], "--out", tmp_path / "x.jpeg")
    (tmp_path / "file").write_text("mine")
    refused("sample", runs["vae"], "--out", tmp_path / "file" / "x.png", code=1)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_bug_is_one_line_and_debug_shows_where(capsys, monkeypatch):
    monkeypatch.setattr("simulacra.cli.run", lambda command, words: 1 / 0)
    assert main(["models"]) == 1
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        main(["models", "--debug"])
