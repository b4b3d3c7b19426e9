"""`simulacra models`, and `simulacra fit` of a model in closed form."""

import importlib
import json

import pytest

from simulacra import registry
from simulacra.cli import main
from simulacra.data import ClassLabel, DataSpec
from simulacra.fields import Levels


def rows(printed, *words) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(printed("models", *words, "--json"))}


def test_models_as_json(printed):
    listed = rows(printed)
    assert list(listed) == [entry.name for entry in registry.models()]
    assert {"name", "family", "abilities", "parameters", "paper"} == set(listed["vae"])
    assert listed["vae"]["abilities"] == ["Bound", "Weighted", "Sampler", "Encoder", "Decoder", "Prior"]
    assert listed["markov"]["abilities"] == ["Density", "Sampler", "Chain", "Completer", "ClosedForm"]
    assert listed["gated-pixelcnn"]["family"] == "autoregressive"


def test_parameters_are_those_of_the_defaults_on_digits(printed):
    listed = rows(printed)
    assert listed["independent"]["parameters"] == 64 * 16
    assert listed["markov"]["parameters"] == 16 * (1 + 63 * 17)
    vae = registry.build("vae", DataSpec(Levels((1, 8, 8), 17)))
    above = 20 * 21 // 2  # the diagonal too: of the prior's covariance what is on it is a parameter of its own
    assert listed["vae"]["parameters"] == sum(parameter.numel() for parameter in vae.parameters()) - above
    pixelcnn = registry.build("gated-pixelcnn", DataSpec(Levels((1, 8, 8), 17)))
    assert 0 < listed["gated-pixelcnn"]["parameters"] < sum(parameter.numel() for parameter in pixelcnn.parameters())


def test_parameters_for_other_data_and_none_where_a_model_does_not_take_them(printed):
    listed = rows(printed, "--data", "ring")
    assert listed["independent"]["parameters"] is None
    assert listed["vae"]["parameters"] > 0
    table = [line.split("\t") for line in printed("models", "--data", "ring").splitlines()]
    column = table[0].index("parameters")
    shown = {row[0]: row[column] for row in table[1:]}
    assert shown["independent"] == "-"
    assert shown["vae"] == f"{listed['vae']['parameters']:,}"


PLUGIN = """
from simulacra.data import DataSpec
from simulacra.latent import VAE
from simulacra.networks.dense import Dense
from simulacra.registry import register


@register("mine", paper="none")
class Mine(VAE):
    pass


@register("mine-small", paper="none")
def mine_small(spec: DataSpec, latent: int = 2) -> VAE:
    return VAE(spec, latent, network=Dense(hidden=8))


@register("mine-any", paper="none")
def mine_any(spec: DataSpec, latent: int) -> VAE:
    return VAE(spec, latent)
"""


def test_presets_are_listed_with_their_class_and_counted(printed):
    shown = [line.split("\t") for line in printed("models").splitlines()]
    assert shown[0] == ["name", "class", "family", "abilities", "parameters", "paper"]
    row = {line[0]: line for line in shown[1:]}["dcgan"]
    dcgan = registry.build("dcgan", DataSpec(Levels((1, 8, 8), 17)))
    assert row[:3] == ["dcgan", "GAN", "adversarial"]
    assert row[4] == f"{dcgan.free_parameters():,}"
    listed = rows(printed)
    assert listed["dcgan"]["abilities"] == ["Sampler", "Decoder", "Prior", "Inverter"]
    m2 = registry.build("m2", DataSpec(Levels((1, 8, 8), 17), {"label": ClassLabel(10)}))
    assert listed["m2"]["parameters"] == m2.free_parameters()  # which needs a label, and is given that of the data


def test_models_of_a_plugin_are_listed_in_the_family_of_their_class(printed, tmp_path, monkeypatch):
    (tmp_path / "my_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    importlib.import_module("my_plugin")
    listed = rows(printed)
    assert {listed[name]["family"] for name in ("mine", "mine-small", "mine-any")} == {"latent"}
    assert listed["mine-small"]["abilities"] == listed["vae"]["abilities"]
    assert listed["mine"]["parameters"] > listed["mine-small"]["parameters"] > 0
    assert listed["mine-any"]["parameters"] is None  # an argument has no default
    assert "mine-small\tVAE\tlatent" in printed("models")


def test_unknown_data_are_refused(refused):
    assert "'digits'" in refused("models", "--data", "digts")


def test_fitting_in_closed_form_from_the_command_line(printed, tmp_path):
    words = ["fit", "markov", "digits", "--out", tmp_path / "run"]
    output = json.loads(printed(*words, "--json"))
    assert (output["stopped_by"], output["parameters"]) == ("closed form", 16 * (1 + 63 * 17))
    assert "one pass" in printed(*words)
    scores = json.loads(printed("score", tmp_path / "run", "digits", "--json"))
    assert scores["kind"] == "exact"
    assert scores["bits_per_dim"] < 2.35  # of independent pixels: 2.43


def test_options_without_a_meaning_are_not_offered_and_are_refused_with_the_reason(refused, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["fit", "markov", "--help"])
    output = capsys.readouterr().out
    assert all(flag in output for flag in ("--memory", "--smoothing", "--batch", "--seed", "--device"))
    assert not any(flag in output for flag in ("--steps", "--learning-rate", "--ema", "--patience"))
    for words in (["--steps", "3"], ["--learning-rate=0.1"]):
        assert "in one pass" in refused("fit", "markov", "digits", "--out", tmp_path / "run", *words)
    assert "2^46.9" in refused("fit", "markov", "digits", "--memory", "9", "--out", tmp_path / "run")
    assert "rnade" in refused("fit", "independent", "ring", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "flag"), [("vae", "--likelihood PART"), ("ladder-vae", "--clip NUMBER"), ("gan", "--penalties PART ...")]
)
def test_an_argument_that_may_be_left_out_is_described_as_what_it_is_when_given(model, flag, capsys):
    with pytest.raises(SystemExit):
        main(["fit", model, "--help"])
    output = capsys.readouterr().out
    assert flag in output
    assert "None" not in output
