"""A run of an autoencoder at the command line: what it can do it does, what it cannot do is said with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulacra.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autoencoder") / "run"
    words = ["fit", "autoencoder", "digits", "--steps", "3", "--network", "dense:hidden=8,layers=2"]
    assert main([*words, "--out", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("flags", [(), ("--label", "3"), ("--n", "0")])
def test_sample_says_that_there_is_no_distribution_whatever_else_is_wrong(refused, run, flags):
    output = refused("sample", run, *flags)
    assert "autoencoder cannot sample: it has no distribution" in output
    assert "fit a vae, aae or dcgan" in output
    assert not (run / "samples.png").exists()


def test_score_says_that_an_error_is_no_probability(refused, run):
    output = refused("score", run, "digits")
    assert "error of a reconstruction" in output
    assert "`simulacra encode` gives its codes" in output


def test_interpolate_needs_items_for_its_ends(refused, printed, run):
    output = refused("interpolate", run)
    assert "no prior" in output
    assert "DATA" in output
    printed("interpolate", run, "digits", "--rows", "2", "--steps", "3")


def test_codes_and_reconstructions_are_to_be_had(printed, run, tmp_path):
    printed("encode", run, "digits", "--out", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as codes:
        assert codes["z"].shape == codes["mean"].shape
        assert (codes["z"] == codes["mean"]).all()
    printed("reconstruct", run, "digits", "--out", tmp_path / "both.png")
    assert (tmp_path / "both.png").exists()


def test_after_fit_only_commands_are_named_that_work(printed, run):
    output = printed(
        "fit", "autoencoder", "digits", "--steps", "3", "--network", "dense:hidden=8,layers=2", "--out", run
    )
    assert "next: simulacra reconstruct" in output
    assert "simulacra sample" not in output


def test_evaluate_without_labels_has_nothing_to_measure_and_says_so(refused, run, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 17, (40, 8, 8), dtype=np.uint8))
    assert "nothing to measure" in refused("evaluate", run, tmp_path / "x.npy", "--levels", "17")


def test_a_prior_that_the_codes_cannot_have(refused, tmp_path):
    out = ["--out", tmp_path / "run"]
    assert "latent = 2" in refused("fit", "aae", "digits", "--prior", "ring", *out)
    assert "'swiss-roll'" in refused("fit", "wae-mmd", "digits", "--prior", "swissroll", *out)
    assert not (tmp_path / "run").exists()
