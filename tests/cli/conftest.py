"""Runs of the three models, trained for a few steps, that the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulacra.cli import main

TINY = {
    "vae": ["--network", "dense:hidden=8", "--latent", "2"],
    "gated-pixelcnn": ["--width", "4", "--layers", "2", "--kernel", "3"],
    "dcgan": ["--width", "4", "--latent", "4"],
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run folder of each model on `digits`, the PixelCNN's conditioned on the label."""
    folder = tmp_path_factory.mktemp("runs")
    for model, small in TINY.items():
        condition = ["--condition", "label"] if model == "gated-pixelcnn" else []
        assert main(["fit", model, "digits", "--steps", "3", "--out", str(folder / model), *small, *condition]) == 0
    return {model: folder / model for model in TINY}


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused: with this exit code, nothing on stdout, one or two lines on stderr."""

    def run(*words: str | Path, code: int = 2) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert 1 <= len(err.strip().splitlines()) <= 2
        assert "Traceback" not in err
        return err

    return run


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed; returns what it printed on stdout."""

    def run(*words: str | Path) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return run
