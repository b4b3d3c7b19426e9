"""What a GAN cannot be trained on, and compositions that make no sense, are refused before anything is written; and a
loss that is no number leaves the run as its last checkpoint has it."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small import before_step, dataset, labels, same, saved_weights

import simulacra as sim
from simulacra.adversarial import GAN
from simulacra.adversarial.games import NonSaturating
from simulacra.data import DataSpec
from simulacra.errors import SimulacraError, TrainingError, UsageError
from simulacra.fields import Levels, Real

IMAGES = DataSpec(Levels((1, 8, 8), 17))
OPTIONS = {"steps": 6, "every": 2, "batch": 8, "warmup": 0}
SMALL = {"generator": "dcgan:width=4", "critic": "dcgan:width=4", "latent": 3}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def former(tmp_path_factory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("former") / "run"
    sim.fit("gan", dataset(IMAGES), folder, **OPTIONS, **SMALL)
    return folder


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("progan", {"batch": 1, "width": 2, "widest": 4}, "batch of 1 has too few: use --batch 2 or more"),
        ("stylegan2", {"batch": 8, "accumulate": 8, "width": 2}, "in 8 parts has too few: use --batch 16 or more"),
        ("gan", {"critic": "progan:width=2", "batch": 1}, "gan compares the items of a batch"),
        ("gan", SMALL | {"game": "wasserstein", "penalties": ()}, "nothing bounds its slope: add --penalties gradient"),
        ("gan", SMALL | {"penalties": "path-length"}, "generator with styles: stylegan or stylegan2"),
        ("gan", SMALL | {"critic": "residual:width=4", "penalties": "clipping"}, "residual:normalise=none"),
        ("gan", SMALL | {"penalties": "information"}, "add --prior structured"),
        ("cgan", {}, "add --condition label"),
        ("biggan", {}, "add --condition label"),
        ("acgan", {}, "add --condition label"),
    ],
)
def test_a_refusal_leaves_no_folder_and_a_former_run_as_it_was(tmp_path, former, model, options, message):
    before = files(former)
    for folder in (tmp_path / "new", former):
        with pytest.raises(UsageError, match=message):
            sim.fit(model, dataset(IMAGES), folder, **(OPTIONS | options))
    assert not (tmp_path / "new").exists()
    assert files(former) == before


@pytest.mark.parametrize("batch", [2, 3])
def test_a_batch_below_a_group_of_the_deviation_is_one_group(tmp_path, batch):
    model = sim.fit("progan", dataset(IMAGES), tmp_path, width=2, widest=4, **(OPTIONS | {"batch": batch, "steps": 2}))
    assert torch.isfinite(torch.from_numpy(sim.sample(model, 2))).all()


@pytest.mark.parametrize("name", ["dcgan", "sngan", "sagan", "wgan-gp", "progan", "stylegan", "stylegan2", "r3gan"])
@pytest.mark.parametrize("spec", [DataSpec(Levels((1, 7, 9), 17)), DataSpec(Real((2,)))])
def test_an_image_that_a_network_cannot_make_is_refused_with_those_that_it_can(tmp_path, name, spec):
    with pytest.raises(UsageError, match=r"images from 8×8 up, not shape \(.*\); try dense, the networks of gan"):
        sim.fit(name, dataset(spec), tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "truncation", "message"),
    [
        ({"prior": "structured", "latent": 14}, 0.5, "for codes of the gaussian prior, not of structured"),
        ({}, -1.0, "truncation must be positive"),
        ({"generator": "stylegan2:width=2,widest=4,mapping=1"}, math.nan, "truncation is a finite number, not nan"),
    ],
)
def test_a_truncation_without_a_meaning_is_refused(arguments, truncation, message):
    model = GAN(IMAGES, **(SMALL | arguments))
    with pytest.raises(SimulacraError, match=message):
        model.sample(2, truncation=truncation)


def test_a_wasserstein_critic_under_spectral_norm_needs_no_penalty():
    GAN(IMAGES, 3, critic="residual:width=2", game="wasserstein").refuse_unless_trainable()


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_loss_that_is_no_number_stops_before_the_update_and_the_same_command_goes_on(tmp_path, monkeypatch, player):
    """Its phase and step are named; the last checkpoint and the saved model are byte for byte those of before."""
    data = dataset(DataSpec(IMAGES.x, labels(3)))
    given = OPTIONS | SMALL | {"game": "non-saturating", "condition": "label"}
    sim.fit("gan", data, tmp_path / "calm", **given)
    kept: dict[str, bytes] = {}

    def break_it():
        kept.update(files(tmp_path / "run"))
        own = getattr(NonSaturating, player)
        monkeypatch.setattr(NonSaturating, player, lambda *scores: own(*scores) * math.nan)

    with before_step(4, break_it), pytest.raises(TrainingError, match=rf"step 4: term '{player}' of {player}_loss"):
        sim.fit("gan", data, tmp_path / "run", **given)
    after = files(tmp_path / "run")
    for name, content in kept.items():
        assert name == "metrics.jsonl" or after[name] == content, name
    monkeypatch.undo()
    sim.fit("gan", data, tmp_path / "run", **given)
    assert same(saved_weights(tmp_path / "run"), saved_weights(tmp_path / "calm"))
    assert same(
        *(load_file(tmp_path / name / "checkpoints/step-00000006/state.safetensors") for name in ("run", "calm"))
    )
