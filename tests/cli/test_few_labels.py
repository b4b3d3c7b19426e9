"""`simulacra fit --labels` and `simulacra finetune`: what they print, write and refuse."""

from __future__ import annotations

import json

import pytest

TINY = ["--network", "dense:hidden=8", "--latent", "2", "--steps", "3"]


def test_m2_from_few_labels(printed, tmp_path):
    words = ["fit", "m2", "digits", "--condition", "label", "--labels", "20", *TINY, "--out", tmp_path / "run"]
    assert "bits/dim on the validation split without its labels" in printed(*words)
    assert "bits/dim on the validation split without its labels" in (tmp_path / "run/model/card.md").read_text()
    assert json.loads(printed(*words, "--json"))["valid_bits_per_dim"] > 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["labels"] == 20
    measures = json.loads(printed("evaluate", tmp_path / "run", "digits", "--json"))
    assert 0 < measures["classification_error"]["value"] < 1
    assert measures["classification_error"]["n"] == 359
    printed("sample", tmp_path / "run", "-n", "4", "--label", "3", "--out", tmp_path / "x.npz")


def test_finetune_prints_a_table_and_writes_every_draw(printed, runs, tmp_path):
    words = ["finetune", runs["vae"], "digits", "--labels", "20", "50", "--draws", "2", "--steps", "2"]
    words += ["--methods", "probe,scratch", "--out", tmp_path / "new" / "few.json"]
    table = [line.split("\t") for line in printed(*words).splitlines()]
    assert table[0] == ["labels", "method", "test error %", "± over draws", "seconds a draw"]
    assert [row[:2] for row in table[1:]] == [["20", "probe"], ["20", "scratch"], ["50", "probe"], ["50", "scratch"]]
    record = json.loads((tmp_path / "new" / "few.json").read_text())
    again = json.loads(printed(*words, "--json"))
    assert [row["errors"] for row in again["results"]] == [row["errors"] for row in record["results"]]
    assert {key: again[key] for key in ("model", "data", "field", "n", "draws", "seed")} == {
        "model": "vae",
        "data": "digits",
        "field": "label",
        "n": 359,
        "draws": 2,
        "seed": 0,
    }
    assert f"{again['results'][0]['error']:.2f}" == table[1][2]
    assert "validation labels unused" in again["results"][0]["protocol"]


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["--labels", "2000"], "cannot keep 2,000 labels"),
        (["--labels", "5"], "cannot keep 5 labels"),
        (["--draws", "0"], "draws >= 1"),
        (["--methods", "scrach"], "'scratch'"),
        (["--field", "labl"], "'label'"),
        (["--out", "few.csv"], ".json"),
    ],
)
def test_finetune_refuses_before_it_trains(refused, runs, words, output):
    assert output in refused("finetune", runs["vae"], "digits", *words)
    assert not (runs["vae"] / "finetune.json").exists()


def test_models_that_few_labels_are_not_for(refused, runs, tmp_path):
    assert "no encoder" in refused("finetune", runs["dcgan"], "digits")
    out = ["--out", tmp_path / "run"]
    output = refused("fit", "vae", "digits", "--condition", "label", "--labels", "20", *out)
    assert "m2" in output
    assert "--condition label" in refused("fit", "m2", "digits", "--labels", "20", *out)
    assert "cannot keep 9 labels" in refused("fit", "m2", "digits", "--condition", "label", "--labels", "9", *out)
    assert not (tmp_path / "run").exists()
