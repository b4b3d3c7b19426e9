"""`simulacra models`, and `simulacra fit` of a model in closed form."""

import json

import pytest

from simulacra import registry
from simulacra.cli import main
from simulacra.data import DataSpec
from simulacra.fields import Levels


def rows(printed, *words) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(printed("models", *words, "--json"))}


def test_models_as_json(printed):
    told = rows(printed)
    assert list(told) == [entry.name for entry in registry.models()]
    assert {"name", "family", "abilities", "parameters", "paper"} == set(told["vae"])
    assert told["vae"]["abilities"] == ["Bound", "Sampler", "Encoder", "Decoder", "Prior"]
    assert told["markov"]["abilities"] == ["Density", "Sampler", "Chain", "Completer", "ClosedForm"]
    assert told["gated-pixelcnn"]["family"] == "autoregressive"


def test_parameters_are_those_of_the_defaults_on_digits(printed):
    told = rows(printed)
    assert told["independent"]["parameters"] == 64 * 16
    assert told["markov"]["parameters"] == 16 * (1 + 63 * 17)
    vae = registry.build("vae", DataSpec(Levels((1, 8, 8), 17)))
    assert told["vae"]["parameters"] == sum(parameter.numel() for parameter in vae.parameters())
    pixelcnn = registry.build("gated-pixelcnn", DataSpec(Levels((1, 8, 8), 17)))
    assert 0 < told["gated-pixelcnn"]["parameters"] < sum(parameter.numel() for parameter in pixelcnn.parameters())


def test_parameters_for_other_data_and_none_where_a_model_does_not_take_them(printed):
    told = rows(printed, "--data", "ring")
    assert told["independent"]["parameters"] is None
    assert told["vae"]["parameters"] > 0
    table = [line.split("\t") for line in printed("models", "--data", "ring").splitlines()]
    column = table[0].index("parameters")
    shown = {row[0]: row[column] for row in table[1:]}
    assert shown["independent"] == "-"
    assert shown["vae"] == f"{told['vae']['parameters']:,}"


def test_unknown_data_are_refused(refused):
    assert "'digits'" in refused("models", "--data", "digts")


def test_fitting_in_closed_form_from_the_command_line(printed, tmp_path):
    words = ["fit", "markov", "digits", "--out", tmp_path / "run"]
    told = json.loads(printed(*words, "--json"))
    assert (told["stopped_by"], told["parameters"]) == ("closed form", 16 * (1 + 63 * 17))
    assert "one pass" in printed(*words)
    scores = json.loads(printed("score", tmp_path / "run", "digits", "--json"))
    assert scores["kind"] == "exact"
    assert scores["bits_per_dim"] < 2.35  # of independent pixels: 2.43


def test_options_without_a_meaning_are_not_offered_and_are_refused_with_the_reason(refused, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["fit", "markov", "--help"])
    told = capsys.readouterr().out
    assert all(flag in told for flag in ("--memory", "--smoothing", "--batch", "--seed", "--device"))
    assert not any(flag in told for flag in ("--steps", "--learning-rate", "--ema", "--patience"))
    for words in (["--steps", "3"], ["--learning-rate=0.1"]):
        assert "in one pass" in refused("fit", "markov", "digits", "--out", tmp_path / "run", *words)
    assert "2^46.9" in refused("fit", "markov", "digits", "--memory", "9", "--out", tmp_path / "run")
    assert "rnade" in refused("fit", "independent", "ring", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("model", ["vae", "ladder-vae"])
def test_an_argument_that_may_be_left_out_is_described_as_what_it_is_when_given(model, capsys):
    with pytest.raises(SystemExit):
        main(["fit", model, "--help"])
    told = capsys.readouterr().out
    assert {"vae": "--components NUMBER", "ladder-vae": "--clip NUMBER"}[model] in told
    assert "None" not in told
