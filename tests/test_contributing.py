"""What CONTRIBUTING.md shows works as it stands there: copied into files outside the package, and used as it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[1] / "CONTRIBUTING.md"
LEARN = """
import json, sys
import numpy as np
import marginals
import simulacra as sim
from simulacra.errors import UsageError

data = sim.data.load("digits")
model = sim.fit("marginals", data, sys.argv[1], steps=400, learning_rate=0.1)
again = sim.load(sys.argv[1])
try:
    refused = sim.sample(model, 2, condition={"label": 3})
except UsageError as error:
    refused = str(error)
print(json.dumps({
    "bits": sim.score(again, data).bits_per_dim,
    "kind": sim.score(again, data).kind,
    "mean": float(np.abs(sim.sample(again, 2000).mean(0) - data.train.x.mean(0)).max()),
    "refused": refused,
    "contract": bool(sim.checks.contract("marginals")),
}))
"""
COMMANDS = """
import json, sys
from simulacra.cli import main

for words in json.loads(sys.argv[1]):
    assert main(words) == 0, words
"""  # in one process, which imports torch once
Call = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The examples as files; that of a plug-in as the metadata of an installed package."""
    place, text = tmp_path_factory.mktemp("contributing"), DOCUMENT.read_text()
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        if named := re.match(r'"""(\w+\.py)', example):
            (place / named[1]).write_text(example)
    (table,) = re.findall(r"```toml\n.*?\[project.entry-points.\"(.*?)\"\]\n(.*?)```", text, re.DOTALL)
    installed = place / "installed" / "mine-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{table[0]}]\n" + table[1].replace('"', ""))
    return place


@pytest.fixture(scope="module")
def call(folder, own_cache) -> Call:
    """A Python process in that folder, which must succeed, or fail with one of our errors; what it prints."""

    def run(*words: object, path: str = "", fails: bool = False) -> str:
        paths = [*filter(None, [str(folder), path]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
        assert (done.returncode, "Traceback" in done.stderr) == (int(fails), False), done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture(scope="module")
def learnt(call, folder) -> dict:
    return json.loads(call("-c", LEARN, folder / "run"))


def recipe(run: Path) -> dict:
    return json.loads((run / "model" / "config.json").read_text())["model"]


def test_the_model_learns_the_marginals_exactly(learnt):
    assert learnt["kind"] == "exact"
    assert learnt["bits"] == pytest.approx(2.43, abs=0.05)  # counted by hand, with one added everywhere: 2.43
    assert learnt["mean"] < 0.6  # levels


def test_it_keeps_the_contract_and_refuses_a_condition_that_it_was_not_built_with(learnt):
    assert learnt["contract"]
    assert "not conditioned on 'label'" in learnt["refused"]


def test_by_class_it_explains_more(call, folder, learnt):
    words = ["fit", "marginals", "digits", "--condition", "label", "--steps", "400", "--learning-rate", "0.1"]
    fit = ["--import", "marginals", *words, "--out", str(folder / "by-class")]
    printed = call("-c", COMMANDS, json.dumps([fit, ["score", str(folder / "by-class"), "digits", "--json"]]))
    scored = json.loads(printed.splitlines()[-1])
    assert scored["bits_per_dim"] < learnt["bits"] - 0.2  # counted by hand, by class: 2.07


def test_the_preset_is_the_game_that_its_flags_spell(call, folder):
    (shown,) = re.findall(r"`simulacra (fit gan digits .*?)`", DOCUMENT.read_text(), re.DOTALL)
    preset = ["--import", "wgan_dc", "fit", "wgan-dc", "digits", "--steps", "2", "--out", str(folder / "wgan")]
    spelled = [*shown.split(), "--steps", "2", "--out", str(folder / "gan")]
    call("-c", COMMANDS, json.dumps([preset, spelled]))
    assert recipe(folder / "wgan") == recipe(folder / "gan")
    one, other = (json.loads((folder / name / "run.json").read_text())["options"] for name in ("wgan", "gan"))
    assert one == other


def test_an_encoder_of_ones_own_is_trained_saved_and_found_again(call, folder):
    run = str(folder / "patches-run")
    fit = ["--import", "patches", "fit", "vae", "digits", "--network", "patches:width=8", "--out", run, "--steps"]
    call("-c", COMMANDS, json.dumps([[*fit, "5"], ["--import", "patches", "encode", run, "digits"], [*fit, "7"]]))
    assert recipe(folder / "patches-run")["vae"]["network"] == {
        "patches": {"hidden": 400, "layers": 1, "dropout": 0.0, "width": 8}
    }
    assert "import patches" in call("-m", "simulacra", "encode", run, "digits", fails=True)
    assert "step-00000007" in [path.name for path in (folder / "patches-run" / "checkpoints").iterdir()]


def test_a_plug_in_is_there_without_being_imported(call, folder):
    listed = json.loads(call("-m", "simulacra", "models", "--json", path=str(folder / "installed")))
    names = [entry["name"] for entry in listed]
    assert "wgan-dc" in names
    assert "wgan-dc" not in [entry["name"] for entry in json.loads(call("-m", "simulacra", "models", "--json"))]


def test_the_loop_by_hand_makes_a_model_that_every_verb_takes(call, folder):
    assert "frechet" in call("by_hand.py").lower()
    call("-m", "simulacra", "sample", "by-hand", "-n", "10", "--label", "3", "--out", folder / "threes.png")
    assert (folder / "threes.png").stat().st_size > 100
