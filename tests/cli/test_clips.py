"""Video on the command line: described, fitted, drawn as a film, and read again."""

import json

import numpy as np
import pytest
from PIL import Image

from simulacra.cli import main


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Six films of ten frames, 12×8 in colour, of noise that is another one in each."""
    folder = tmp_path_factory.mktemp("video") / "films"
    for number in range(6):
        (folder / f"{number}").mkdir(parents=True)
        for t, frame in enumerate(np.random.default_rng(number).integers(0, 256, (10, 8, 12, 3), dtype=np.uint8)):
            Image.fromarray(frame).save(folder / f"{number}" / f"{t:02}.png")
    return folder


@pytest.fixture(scope="module")
def run(films):
    out = films.parent / "run"
    small = ["--network", "dense:hidden=8", "--latent", "2", "--steps", "2"]
    assert main(["fit", "vae", str(films), "--window", "5", "--out", str(out), *small]) == 0
    return out


def test_films_are_explained(films, capsys):
    assert main(["data", str(films), "--window", "5"]) == 0
    told = capsys.readouterr().out
    assert "video: 12 clips of 5 frames from 6 folders of frames" in told
    assert "5×3×8×12, 256 levels" in told
    assert "window 5" in told


def test_samples_are_films(run, capsys):
    assert main(["sample", str(run), "-n", "4", "--out", str(run / "clips.gif")]) == 0
    with Image.open(run / "clips.gif") as image:
        assert image.n_frames == 5
        assert image.width > 2 * 12
    assert main(["sample", str(run), "-n", "3", "--out", str(run / "clips")]) == 0
    assert sorted(path.name for path in (run / "clips").iterdir()) == [f"{i:06d}.gif" for i in range(3)]
    assert main(["sample", str(run), "-n", "3", "--out", str(run / "clips.png")]) == 0
    capsys.readouterr()
    assert main(["data", str(run / "clips"), "--window", "5", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["splits"].values()) == 3


def test_a_run_remembers_its_window(run, films, capsys):
    assert main(["data", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["window"] == 5
    assert main(["score", str(run), str(films), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 2


def test_a_film_of_pictures_is_refused(runs, refused, tmp_path):
    assert "use a .png" in refused("sample", runs["vae"], "-n", 2, "--out", tmp_path / "x.gif")
    assert "a .gif or a folder" not in refused("sample", runs["vae"], "-n", 2, "--out", tmp_path / "x.gif")
    assert "window" in refused("data", "digits", "--window", 4)
