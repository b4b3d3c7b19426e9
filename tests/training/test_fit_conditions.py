"""Conditions of every kind through `fit`: made of x itself, pictures, attributes, several labels at once."""

import json
import signal

import numpy as np
import pytest
import torch
from small import before_step, same, saved_weights

import simulacra as sim
from simulacra.cli import main
from simulacra.condition import Condition
from simulacra.data import ClassLabel, Dataset, DataSpec, LabelMap, Levels, Real, from_arrays
from simulacra.derived import Down, Grey, Mask
from simulacra.errors import UsageError
from simulacra.feed import feed
from simulacra.training import Interrupted
from simulacra.training.augmentation import Flip
from simulacra.training.batches import Batches
from simulacra.training.runtime import Runtime

PIXELCNN = {"width": 4, "layers": 2, "kernel": 3, "dropout": 0.1}
VAE = {"latent": 2, "network": "dense:hidden=8,dropout=0.1"}
RUN = {"steps": 6, "batch": 8, "every": 3, "warmup": 2, "ema": 0.5}
HERE = Runtime(torch.device("cpu"), bf16=False)


@pytest.fixture(scope="module")
def made() -> Dataset:
    """Images with a small picture, a map, real attributes and two labels."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (60, 1, 8, 8), dtype=np.uint8)
    fields = {
        "small": x[..., ::2, ::2],
        "segments": (x[:, 0] // 3).astype(np.int64),
        "attributes": rng.normal(size=(60, 3)),
        "shade": np.arange(60) % 4,
    }
    kinds = {"small": Levels((1, 4, 4), 9), "shade": ClassLabel(4, ("a", "b", "c", "d"))}
    return from_arrays(x, np.arange(60) % 3, fields=fields, kinds=kinds, levels=9, name="made")


def stopped_and_continued(fit, folder):
    """A run that was stopped after three steps ends as one that was not; returns the model."""
    whole = fit(folder / "whole")
    with pytest.raises(Interrupted), before_step(3, lambda: signal.raise_signal(signal.SIGTERM)):
        fit(folder / "halves")
    again = fit(folder / "halves")
    assert same(saved_weights(folder / "whole"), saved_weights(folder / "halves"))
    assert same(whole.state_dict(), again.state_dict())
    return sim.load(folder / "halves")


CASES = [
    ("gated-pixelcnn", PIXELCNN, ("small",)),
    ("gated-pixelcnn", PIXELCNN, ("segments", "attributes")),
    ("vae", VAE, ("small",)),
    ("vae", VAE, ("segments", "label")),
    ("dcgan", {"latent": 4, "width": 4}, ("attributes", "label", "shade")),
]


@pytest.mark.parametrize(("name", "arguments", "condition"), CASES)
def test_a_model_of_any_condition_is_fitted_resumed_saved_and_sampled(tmp_path, made, name, arguments, condition):
    model = stopped_and_continued(
        lambda out: sim.fit(name, made, out, condition=condition, **arguments, **RUN), tmp_path
    )
    assert model.spec == made.spec.conditioned_on(condition)
    rows = {field: made.test.field(field)[:4] for field in condition}
    drawn = sim.sample(model, 4, condition=rows)
    assert (drawn.shape, drawn.dtype) == ((4, 1, 8, 8), np.uint8)
    assert np.array_equal(drawn, sim.sample(model, 4, condition=rows))
    one = {field: values[0] for field, values in rows.items()}  # one value for all
    assert sim.sample(model, 2, condition=one).shape == (2, 1, 8, 8)
    if name != "dcgan":
        assert np.isfinite(sim.score(model, made).nats)
    with pytest.raises(UsageError, match=f"conditioned on '{condition[0]}'"):
        sim.sample(model, 2, condition={})
    pictures = sorted((tmp_path / "whole" / "samples").glob("*.png"))
    assert pictures  # with the conditions of validation items


def test_a_condition_is_learnt():
    """x is its condition, shifted by one level: a few steps suffice to see that much."""
    rng = np.random.default_rng(0)
    known = rng.integers(0, 2, (400, 1, 4, 4), dtype=np.uint8)
    data = from_arrays(known + 1, fields={"known": known}, levels=3)
    briefly = {"steps": 60, "every": 60, "batch": 32, "warmup": 2, "ema": 0.0, "learning_rate": 0.02}
    model = sim.fit("gated-pixelcnn", data, condition="known", width=8, layers=2, kernel=3, dropout=0.0, **briefly)
    assert sim.score(model, data).bits_per_dim < 0.3  # one bit without the condition


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Made of x itself


def test_a_derived_condition_is_fitted_resumed_and_scored(tmp_path, digits):
    def fit(out):
        return sim.fit("gated-pixelcnn", "digits", out, condition="down:factor=2", **PIXELCNN, **RUN)

    model = stopped_and_continued(fit, tmp_path)
    assert model.spec.condition["down"].by == Down(2)
    scored = sim.score(model, "digits", limit=100)
    assert (scored.kind, scored.n) == ("exact", 100)
    small = Down(2).derive(np.asarray(digits.test.x[:3]), np.arange(3), digits.spec.x)
    assert sim.sample(model, 3, condition={"down": small}).shape == (3, 1, 8, 8)
    by_hand = model.log_prob(torch.from_numpy(digits.test.x[:3].copy()), {"down": small})
    split = digits.test.rows(slice(0, 3))
    assert sim.score_items(model, split) == pytest.approx(-by_hand.detach().double().numpy(), rel=1e-6)


def test_the_run_is_known_by_its_derivation(tmp_path):
    def fit(condition):
        sim.fit("gated-pixelcnn", "digits", tmp_path / "run", condition=condition, **PIXELCNN, **RUN)

    fit("down:factor=2")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["model"]["spec"]["condition"]["down"]["derived"]["by"] == {"down": {"factor": 2}}
    with pytest.raises(UsageError, match=r"model\.spec\.condition.*factor \(2 there, 4 now\)"):
        fit("down:factor=4")
    with pytest.raises(UsageError, match=r"down:factor=9 leaves nothing"):
        fit("down:factor=9")
    with pytest.raises(UsageError, match="grey is made of colour images"):
        fit("grey")


def test_what_is_augmented_is_derived_afterwards(digits):
    """The small picture of a flipped item is the flipped small picture."""
    spec = digits.spec.conditioned_on(("down:factor=2",))
    plain, flipped = (Batches(digits.train, spec, 16, 0, HERE, augment) for augment in ((), (Flip(1.0),)))
    for draw in range(3):
        (x, condition), (turned, other) = plain[draw], flipped[draw]
        assert torch.equal(turned, x.flip(-1))
        assert torch.equal(other["down"], condition["down"].flip(-1))
        assert not torch.equal(other["down"], condition["down"])


def test_what_is_random_in_a_derivation_follows_from_the_number_of_the_item(digits):
    """However the items are batched, on whatever rank; and the augmentation does not change it."""
    spec = digits.spec.conditioned_on(("mask:kind=random",))
    derived = spec.condition["mask"].by
    assert derived == Mask("random")
    whole = feed(digits.train, slice(0, 64), spec, HERE.device)[1]["mask"]
    parts = [feed(digits.train, np.arange(i, i + 8), spec, HERE.device)[1]["mask"] for i in range(0, 64, 8)]
    assert torch.equal(torch.cat(parts), whole)
    mirrored = Batches(digits.train, spec, 32, 0, HERE, (Flip(1.0),))
    x, condition = mirrored[0]
    known = (Batches(digits.train, spec, 32, 0, HERE)[0][1]["mask"] > 0) == (condition["mask"] > 0)
    assert known.all()
    assert torch.equal(condition["mask"][condition["mask"] > 0] - 1, x[condition["mask"] > 0].to(torch.uint8))


def test_values_that_the_data_have_go_before_those_that_could_be_derived(digits):
    spec = digits.spec.conditioned_on(("down",))
    stored = np.full((len(digits.test), 1, 4, 4), 3, np.uint8)
    own = type(digits.test)(digits.test.x, {"down": stored}, "test")
    assert torch.equal(feed(own, slice(0, 2), spec, HERE.device)[1]["down"], torch.from_numpy(stored[:2]))
    stored[1] = 20  # beyond the 17 levels that are derived
    with pytest.raises(UsageError, match="17 levels of 'down', and these data have the value 20"):
        feed(own, slice(0, 2), spec, HERE.device)


def test_colours_from_grey_at_the_command_line(tmp_path, capsys):
    """A PixelCNN that colours pictures is one flag."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, (40, 3, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "colour.npy", x)
    words = ["fit", "gated-pixelcnn", "colour.npy", "--levels", "8", "--condition", "grey", "--out", "run"]
    assert main([*words, "--steps", "3", "--width", "6", "--layers", "2", "--kernel", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid_bits_per_dim"] > 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["recipe"]["levels"] == 8
    model = sim.load("run")
    assert model.spec == DataSpec(Levels((3, 8, 8), 8), {"grey": model.spec.condition["grey"]})
    assert model.spec.condition["grey"].own == Levels((1, 8, 8), 8)
    assert main(["score", "run", "colour.npy", "--json"]) == 0  # the levels are those of the run's data
    assert json.loads(capsys.readouterr().out)["kind"] == "exact"
    grey = Grey().derive(x[:2], np.arange(2), model.spec.x)
    assert sim.sample(model, 2, condition={"grey": grey}).shape == (2, 3, 8, 8)


def test_another_field_is_modelled_on_the_usual_items(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, (40, 1, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "pair.npz", x=x, small=x[..., ::2, ::2])
    words = ["fit", "vae", "pair.npz", "--target", "small", "--condition", "x", "--out", "run", "--latent", "2"]
    assert main([*words, "--network", "dense:hidden=8", "--steps", "2", "--json"]) == 0
    assert sim.load("run").spec == DataSpec(Levels((1, 4, 4), 256), {"x": Levels((1, 8, 8), 256)})
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["recipe"]["target"] == "small"
    assert sim.score("run", "pair.npz").n == sim.score("run").n > 0  # of the target of the run
    capsys.readouterr()
    assert main(["score", "run", "pair.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "bound"
    np.save(tmp_path / "given.npy", x[:30])
    assert main(["sample", "run", "-n", "30", "--given", "x=given.npy", "--out", "drawn.npz"]) == 0
    with np.load("drawn.npz") as drawn:
        assert drawn["x"].shape == (30, 1, 4, 4)
        assert (drawn["condition_x"] == x[:30]).all()
    with pytest.raises(UsageError, match="Did you mean 'small'"):
        sim.data.load("pair.npz", target="smal")


# Labels that nobody knows


def test_hidden_labels_are_refused_for_a_model_that_needs_them_all(tmp_path, digits):
    few = sim.data.hidden.hide_labels(digits, "label", 50, 0)
    with pytest.raises(
        UsageError, match=r"label -1 does not exist: vae does not learn from unlabelled items, and 1,\d\d\d"
    ):
        sim.fit("vae", few, tmp_path / "run", condition="label", **VAE, **RUN)
    assert not (tmp_path / "run").exists()
    sim.fit("vae", few, tmp_path / "run", **VAE, **RUN)  # it never looks at them


@pytest.mark.parametrize("value", [-1, 3])
def test_a_class_that_does_not_exist_is_refused_in_a_verb_however_deep_it_lies(value):
    spec = DataSpec(Levels((1, 4, 4), 5), {"segments": LabelMap(3, (4, 4)), "more": Real((2,))})
    x, segments = np.zeros((2, 1, 4, 4), np.uint8), np.zeros((2, 4, 4), np.int16)
    segments[1, 2, 2] = value
    split = sim.data.Split(x, {"segments": segments, "more": np.zeros((2, 2), np.float32)}, "test")
    with pytest.raises(UsageError, match=f"a map of 3 classes of 'segments', and these data have the value {value}"):
        feed(split, slice(None), spec, HERE.device)
    assert isinstance(feed(split, slice(0, 1), spec, HERE.device)[1], Condition)
