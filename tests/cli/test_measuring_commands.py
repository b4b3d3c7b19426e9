"""Commands that measure and describe, on models that need no training: contracts of their JSON, parts of splits."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from small import randomise, small_model

import simulacra as sim
from simulacra import data, registry
from simulacra.data import DataSpec
from simulacra.evaluation import table

SCORE = ["model", "data", "split", "n", "kind", "measure", "nats", "bits_per_dim", "standard_error", "samples",
         "estimator", "monte_carlo_error", "effective_sample_size", "warning"]  # fmt: skip
CLASSIFY = ["model", "data", "split", "n", "accuracy", "standard_error", "accuracy_low", "accuracy_high",
            "cross_entropy", "prior", "reject", "two_sided", "low", "high", "refused", "accuracy_accepted",
            "foreign"]  # fmt: skip


def saved(folder: Path, name: str, *condition: str) -> Path:
    """A model of digits in its run folder."""
    spec = data.load("digits").spec.conditioned_on(condition)
    sim.save(randomise(small_model(registry.find(name), spec)), folder / "model")
    return folder


@pytest.fixture(scope="module")
def densities(own_cache, tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("density"), "gated-pixelcnn", "label")


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_score_with_a_limit_names_the_items_that_were_drawn(printed, densities, tmp_path):
    arguments = ["score", densities, "digits", "--limit", "12", "--per-item", tmp_path / "items.csv"]
    scored = json.loads(printed(*arguments, "--json"))
    assert list(scored) == SCORE
    assert scored["n"] == 12
    rows = lines(tmp_path / "items.csv")
    index = [int(row["index"]) for row in rows]
    assert index == sorted(set(index))
    assert max(index) >= 12
    whole = sim.score(densities, "digits").per_item
    np.testing.assert_allclose([float(row["nats"]) for row in rows], whole[index], atol=1e-3)
    printed(*arguments, "--seed", "1")
    assert [int(row["index"]) for row in lines(tmp_path / "items.csv")] != index
    text = printed("score", densities, "digits", "--limit", "12", "--map", tmp_path / "map.png")
    assert "the 12 most surprising of them" in text
    assert "12 test items of digits" in text


def test_classify_with_a_limit_names_the_items_that_were_drawn(printed, densities, tmp_path):
    arguments = ["classify", densities, "digits", "--limit", "110", "--per-item", tmp_path / "items.csv", "--json"]
    found = json.loads(printed(*arguments))
    assert list(found) == CLASSIFY
    rows = lines(tmp_path / "items.csv")
    label = data.load("digits").test.condition["label"]
    assert all(int(row["label"]) == label[int(row["index"])] for row in rows)
    assert np.mean([row["label"] == row["predicted"] for row in rows]) == pytest.approx(found["accuracy"])
    assert max(int(row["index"]) for row in rows) >= 110
    printed(*arguments, "--seed", "1")
    assert [row["index"] for row in lines(tmp_path / "items.csv")] != [row["index"] for row in rows]


def test_evaluate_as_json_and_as_a_table(printed, tmp_path, monkeypatch):
    run = saved(tmp_path, "vae")
    measures = json.loads(printed("evaluate", run, "digits", "--split", "valid", "--quick", "--json"))
    assert {"nats", "bits_per_dim", "linear_probe_error", "frechet_distance", "near_copies"} < measures.keys()
    assert all(
        list(each)
        == [
            "value",
            "low",
            "high",
            "floor",
            "n",
            "kind",
            "protocol",
            "warning",
            "note",
            "baseline",
            "control",
            "ceiling",
        ]
        for each in measures.values()
    )
    monkeypatch.setattr(table, "find_spec", lambda package: None if package == "sklearn" else package)
    shown = printed("evaluate", run, "digits", "--split", "valid", "--quick")
    assert "frechet_distance: Fréchet distance in pixel-pca18" in shown
    assert "note: a quick look" in shown
    assert "fidelity_learned, classifier_test left out, it trains a classifier" in shown
    assert "180 samples against all 180 valid items" in shown
    assert "probes, disentanglement left out, it needs sklearn: pip install 'simulacra[eval]'" in shown.splitlines()[-1]


def test_nothing_to_measure_is_refused_with_what_was_left_out(refused, tmp_path, monkeypatch):
    run = saved(tmp_path, "autoencoder")
    monkeypatch.setattr(table, "find_spec", lambda package: None)
    message = refused("evaluate", run, "digits")
    assert "nothing to measure" in message
    assert "pip install 'simulacra[eval]'" in message


def test_data_lists_fields_of_every_kind(printed, refused, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.integers(0, 4, (40, 1, 6, 6)).astype(np.uint8),
        "label": rng.integers(0, 3, 40),
        "weight": rng.normal(size=(40, 2)),
        "small": rng.integers(0, 4, (40, 1, 3, 3)).astype(np.uint8),
    }
    np.savez(tmp_path / "set.npz", **arrays)
    found = json.loads(printed("data", tmp_path / "set.npz", "--levels", "4", "--json"))
    assert set(found["fields"]) == {"label", "weight", "small"}
    assert set(found["classes"]) == {"label"}
    assert sum(row["train"] + row["valid"] + row["test"] for row in found["classes"]["label"]) == 40
    text = printed("data", tmp_path / "set.npz", "--levels", "4")
    for name, description in found["fields"].items():
        assert f"  {name:<12} {description}\n" in text
    target = json.loads(printed("data", tmp_path / "set.npz", "--levels", "4", "--target", "small", "--json"))
    assert target["shape"] == [1, 3, 3]
    assert set(target["fields"]) == {"x", "label", "weight"}
    assert "1×3×3" in printed("data", tmp_path / "set.npz", "--levels", "4", "--target", "small").splitlines()[1]
    assert "Known: " in refused("data", tmp_path / "set.npz", "--target", "larg")


def test_a_model_with_a_picture_as_its_condition_is_scored_and_not_compressed(printed, refused, tmp_path):
    spec = DataSpec(data.load("digits").spec.x).conditioned_on(("down:factor=2",))
    sim.save(randomise(small_model(registry.find("gated-pixelcnn"), spec)), tmp_path / "model")
    assert json.loads(printed("score", tmp_path, "digits", "--limit", "20", "--json"))["kind"] == "exact"
    message = refused("classify", tmp_path, "digits")
    assert "conditioned on down, and Bayes' rule needs p(x | class): fit it with --condition label" in message
    message = refused("compress", tmp_path, "digits", "--out", tmp_path / "x.sim")
    assert "classes alone, and 'down' is 1×4×4" in message
