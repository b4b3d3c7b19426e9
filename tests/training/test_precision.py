"""Which numbers networks are trained with where nobody says: bfloat16 where the device computes in it and it pays."""

import json

import pytest
import torch
from small import dataset, saved_weights

import simulacra as sim
from simulacra import devices
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.training import Observer, make_plan

SMALL, LARGE = dataset(DataSpec(Levels((1, 8, 8), 4))), dataset(DataSpec(Levels((1, 28, 28), 4)))
TINY = {"network": "gated-pixelcnn:width=4,layers=1", "batch": 4, "every": 1, "patience": 0, "device": "cpu"}


@pytest.fixture
def native(monkeypatch):
    """A CPU that computes in bfloat16."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)


def chosen(data, model="raster", **options) -> str:
    given = TINY if model == "raster" else {"device": "cpu"}
    return make_plan(model, data, "unused", (), False, {**given, **options}).runtime().precision


def test_auto_is_bf16_for_large_images_of_models_that_gain_by_it(native):
    assert chosen(LARGE) == "bf16"
    assert chosen(SMALL) == "fp32"
    assert chosen(LARGE, "nade") == "fp32"
    assert chosen(LARGE, precision="fp32") == "fp32"
    assert chosen(SMALL, precision="bf16") == "bf16"


def test_auto_is_fp32_on_a_cpu_that_does_not_compute_in_bf16(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert chosen(LARGE) == "fp32"
    assert chosen(LARGE, precision="bf16") == "bf16"


def test_a_torch_that_cannot_say_is_taken_to_compute_in_fp32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert not devices.computes_in_bf16(torch.device("cpu"))


def fit(out, steps, **options):
    return sim.fit("raster", LARGE, out, steps=steps, **TINY, **options)


def recorded(run) -> dict:
    return json.loads((run / "run.json").read_text())


def test_a_run_goes_on_in_the_precision_that_it_was_begun_in(native, monkeypatch, tmp_path):
    """On a machine of another kind too."""
    fit(tmp_path / "whole", 2)
    fit(tmp_path / "run", 1)
    assert recorded(tmp_path / "run")["precision"] == "bf16"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    fit(tmp_path / "run", 2)
    ours, theirs = saved_weights(tmp_path / "run"), saved_weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert recorded(tmp_path / "run")["precision"] == "bf16"


def test_a_run_whose_record_names_no_precision_goes_on_in_fp32(native, tmp_path):
    """As it was begun, before there was another choice on a CPU."""
    fit(tmp_path, 1, precision="auto")
    record = recorded(tmp_path)
    del record["precision"]
    (tmp_path / "run.json").write_text(json.dumps(record))
    fit(tmp_path, 2)
    assert recorded(tmp_path)["precision"] == "fp32"


def test_a_damaged_precision_is_refused(tmp_path):
    fit(tmp_path, 1)
    (tmp_path / "run.json").write_text(json.dumps(recorded(tmp_path) | {"precision": "fp8"}))
    with pytest.raises(UsageError, match="'precision' is 'fp8', and neither fp32 nor bf16"):
        fit(tmp_path, 2)


def test_what_is_chosen_is_said(native, tmp_path):
    said = []

    class Listening(Observer):
        def said(self, line):
            said.append(line)

    fit(tmp_path, 1, observers=(Listening(),))
    assert "networks in bfloat16" in said[0]
