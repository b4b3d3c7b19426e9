"""The verdict: each rule on figures that call for it, runs that end in a known state, and every family."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image
from small import SPECS, dataset, saved_weights, small_model, stripes

import simulacra as sim
from simulacra import registry
from simulacra.cli.health import lines
from simulacra.exploration import Finding
from simulacra.exploration.health.course import Course, Curve, course_of
from simulacra.exploration.health.verdict import LOG2, verdict
from simulacra.training import fit as bare_fit

GAME = small_model(registry.find("gan"), SPECS["grey"])
DENSITY = small_model(registry.find("made"), SPECS["grey"])


def figure(value: float, low: float | None = None, high: float | None = None) -> Finding:
    interval = None if low is None or high is None else (low, high)
    return Finding(value, None, (), "", None, interval)


def run(values: list[float], learning: bool = False, **curves: list[float]) -> Course:
    def curve(of: list[float]) -> Curve:
        return Curve(100 * np.arange(1, len(of) + 1), np.array(of))

    outcome = {"still_learning": learning, "steps": 100 * len(values), "gain_of_last_fifth": 0.1}
    named = {name.replace("_", "."): curve(of) for name, of in curves.items()}
    return Course({"valid_frechet_distance": curve(values), **named}, outcome)


GOOD = {
    "jensen_shannon": figure(0.1, 0.05, 0.15),
    "variety": figure(0.9, 0.8, 1.0),
    "told_apart": figure(0.7, 0.65, 0.75),
    "memorised": figure(0.52, 0.48, 0.56),
    "spread": figure(4.0),
}
FLAT, FALLING = run([1.0, 0.1, 0.1, 0.1, 0.1]), run([3.0, 2.0, 1.0, 0.5, 0.2], learning=True)
APART = {"jensen_shannon": figure(LOG2, 0.68, LOG2), "told_apart": figure(1.0, 0.97, 1.0)}
ALIKE = {"variety": figure(0.1, 0.05, 0.2)}


@pytest.mark.parametrize(
    ("changed", "course", "state"),
    [
        ({}, FLAT, "healthy"),
        ({}, FALLING, "still learning"),
        ({}, run([1.0, 0.5, 0.3]), "still learning"),
        ({"jensen_shannon": figure(0.5, 0.4, 0.6)}, FLAT, "still learning"),
        ({"variety": figure(2.0, 1.8, 2.2)}, FLAT, "still learning"),
        ({"variety": figure(2.0, 1.8, 2.2), "jensen_shannon": figure(0.01, 0.0, 0.02)}, FLAT, "healthy"),
        (APART, run([3.0] * 6), "the critic wins"),
        (APART | ALIKE, run([3.0] * 6), "the critic wins"),
        (APART, FALLING, "still learning"),
        (ALIKE, FLAT, "collapsed"),
        (ALIKE, run([3.0, 2.0, 1.0, 0.5, 0.2], True, variety=[0.1, 0.1, 0.1, 0.1, 0.1]), "collapsed"),
        (ALIKE, run([3.0, 2.0, 1.0, 0.5, 0.2], True, variety=[0.05, 0.1, 0.2, 0.3, 0.4]), "still learning"),
        ({}, run([1.0, 0.1, 0.1, 0.1, 0.1], variety=[0.9, 0.8, 0.5, 0.2, 0.1]), "collapsed"),
        ({"memorised": figure(0.9, 0.85, 0.95)}, FLAT, "the critic memorises"),
        ({"memorised": figure(0.9, 0.85, 0.95)} | ALIKE, FLAT, "the critic memorises"),
        ({}, run([1.0, 0.2, 0.1, 2.0, 3.0]), "does not converge"),
        ({}, run([2.0, 2.1, 1.9, 2.0, 2.1]), "does not converge"),
    ],
)
def test_the_rules_of_a_game(changed, course, state):
    found = verdict(GAME, GOOD | changed, course)
    assert found.state == state
    assert found.reason
    assert bool(found.remedy) == (state != "healthy")


@pytest.mark.parametrize(
    ("findings", "course", "state"),
    [
        ({}, run([3.0, 2.0, 1.5, 1.5, 1.5]), "healthy"),
        ({}, run([3.0, 2.0, 1.0, 0.5, 0.4], learning=True), "still learning"),
        ({}, run([3.0, 2.0, 1.5, 2.0, 2.5]), "overfits"),
        ({"overfit": figure(0.3, 0.2, 0.4)}, FLAT, "overfits"),
        ({"overfit": figure(0.3, -0.2, 0.8)}, FLAT, "healthy"),
        ({}, run([1.0, 2.0, 3.0, 4.0, 5.0]), "does not converge"),
        ({"active_units": replace(figure(0), of=8, advice="wake them")}, FLAT, "posterior collapse"),
        ({}, Course(), "not judged"),
    ],
)
def test_the_rules_of_other_families(findings, course, state):
    assert verdict(DENSITY, findings, course).state == state


@pytest.mark.parametrize("name", ["gan", "dcgan", "r3gan", "wgan-gp", "sngan", "acgan"])
def test_remedies_name_flags_that_the_model_has(name):
    """Of every state, and of each preset with its own arguments."""
    entry = registry.find(name)
    spec = SPECS["grey-labelled"] if name == "acgan" else SPECS["grey"]
    model, known = small_model(entry, spec), {*entry.arguments, *sim.training.Options.__dataclass_fields__}
    for changed in (APART, ALIKE, {"memorised": figure(0.9, 0.85, 0.95)}, {}):
        remedy = verdict(model, GOOD | changed, run([2.0] * 5)).remedy
        own = remedy.split(", or gan with")[0]
        flags = [word.rstrip(",;)") for word in own.split() if word.startswith("--")]
        assert {flag[2:].replace("-", "_") for flag in flags} <= known, remedy


# Runs


SMALL = {"generator": "dense:hidden=32", "critic": "dense:hidden=32", "batch": 32, "every": 70, "seed": 0}


def fitted(tmp_path, **options):
    sim.fit("gan", "ring", tmp_path / "run", **(SMALL | options))
    return json.loads((tmp_path / "run" / "health.json").read_text()), tmp_path / "run"


def test_a_critic_that_learns_twenty_times_as_fast_wins(tmp_path):
    found, folder = fitted(tmp_path, steps=280, game="minimax", critic_rate=20.0, learning_rate=1e-2)
    assert found["verdict"]["state"] == "the critic wins"
    assert "--critic-rate 1" in found["verdict"]["remedy"]
    assert found["findings"]["jensen_shannon"]["value"] > 0.65
    assert found["split"] == "valid"
    logged = course_of(folder).curves
    assert {"gradient.critic", "gradient.generator", "score.generated", "variety", "singular.critic"} <= logged.keys()
    assert len(logged["variety"].steps) == 4
    with Image.open(folder / "health.png") as picture:
        assert picture.width == 1260


def test_the_default_game_of_the_ring_does_not_fail(tmp_path):
    found, _ = fitted(tmp_path, steps=500, learning_rate=5e-3, every=100)
    assert found["verdict"]["state"] in ("healthy", "still learning")
    assert found["findings"]["variety"]["value"] > 0.6


def test_whoever_looks_changes_nothing(tmp_path):
    data = stripes()
    options = {"steps": 4, "every": 2, "generator": "dense:hidden=8", "critic": "dense:hidden=8", "batch": 8}
    sim.fit("gan", data, tmp_path / "seen", **options)
    bare_fit("gan", data, tmp_path / "alone", **options)
    one, other = saved_weights(tmp_path / "seen"), saved_weights(tmp_path / "alone")
    assert all((one[name] == other[name]).all() for name in one)


def test_a_short_run_is_not_judged_and_leaves_no_files(tmp_path):
    sim.fit("gan", stripes(), tmp_path / "run", steps=2, generator="dense:hidden=8", critic="dense:hidden=8")
    assert not (tmp_path / "run" / "health.json").exists()
    found = sim.health(tmp_path / "run", stripes())
    assert found.verdict.state == "not judged"
    assert "2 steps" in found.verdict.reason


# Every family


@pytest.mark.parametrize("name", ["made", "gated-pixelcnn", "vae", "vqvae", "aae", "gan", "markov", "autoencoder"])
def test_every_family_has_a_health(name):
    data = dataset(SPECS["grey"], (40, 20, 25))
    found = sim.health(small_model(registry.find(name), data.spec), data)
    assert found.verdict.state
    assert json.loads(json.dumps(asdict(found)))["verdict"]["state"] == found.verdict.state
    assert lines(found)[0].startswith(f"verdict: {found.verdict.state}")


def test_what_training_items_have_over_held_out_ones(tmp_path):
    """Of a model that knows 12 items by heart, against the likelihoods themselves."""
    data = dataset(SPECS["binary"], (12, 30, 30))
    model = sim.fit("made", data, tmp_path / "run", steps=300, learning_rate=1e-2, hidden=64, every=20, ema=0.9)
    found = sim.health(tmp_path / "run", data)
    nats = [sim.score(model, data, split).bits_per_dim for split in ("train", "test")]
    assert found.findings["overfit"].value == pytest.approx(nats[1] - nats[0], abs=2e-3)
    assert found.verdict.state == "overfits"


# The log


def test_a_log_is_read_as_if_a_stranger_had_written_it(tmp_path):
    lines_of = [
        '{"step": 1, "loss": 2.0}',
        "no line",
        '{"step": "two", "loss": 1.0}',
        '{"step": 3, "loss": NaN, "word": "x"}',
        "[]",
        '{"step": 4, "loss": 1.0}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines_of))
    (tmp_path / "run.json").write_text("{")
    found = course_of(tmp_path)
    assert list(found.curves) == ["loss"]
    assert found.curves["loss"].steps.tolist() == [1, 4]
    assert found.outcome == {}
    assert course_of(tmp_path / "nowhere").curves == {}
