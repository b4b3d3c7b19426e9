"""Observers see what happens, in its order, and change nothing."""

import json
import signal
import time

import pytest
import torch
from small import SPECS, before_step, dataset, same, saved_weights

import simulacra as sim
from simulacra.errors import TrainingError
from simulacra.training import Interrupted, Observer
from simulacra.training.observers import LOGGED_EVERY

DATA = dataset(SPECS["grey"])


def fit(out, *observers, **options):
    chosen = {"latent": 2, "network": "dense:hidden=8,dropout=0.1", "batch": 8, "steps": 6, "every": 3} | options
    return sim.fit("vae", DATA, out, observers=observers, **chosen)


class Notes(Observer):
    """Writes down every call."""

    def __init__(self) -> None:
        self.calls, self.moments, self.values = [], [], []

    def said(self, line):
        self.calls.append("said")

    def logged(self, at, values):
        self.calls.append(f"logged {at.step}")
        self.moments.append(at)
        self.values.append(values)

    def validated(self, at, model, verdict):
        self.calls.append(f"validated {at.step} {verdict.name} {model.training}")

    def saved(self, at, folder):
        self.calls.append(f"saved {at.step} {folder.name}")
        assert (folder / "manifest.json").exists()

    def ended(self, at, why):
        self.calls.append(f"ended {at.step} {why}")


def test_the_calls_and_their_order(tmp_path):
    notes = Notes()
    fit(tmp_path / "run", notes)
    assert notes.calls == [
        "said",
        "saved 0 step-00000000",
        "logged 1",
        "validated 3 valid_bits_per_dim False",
        "saved 3 step-00000003",
        "validated 6 valid_bits_per_dim False",
        "saved 6 step-00000006",
        "ended 6 budget",
    ]
    again = Notes()
    fit(tmp_path / "run", again)
    assert again.calls == ["said", "ended 6 budget"]


def test_what_a_moment_is(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "monotonic", Clock())
    notes = Notes()
    fit(tmp_path / "run", notes)
    assert [at.step for at in notes.moments] == [1, 2, 3, 4, 5, 6]  # a step takes longer than a second
    assert [at.epoch for at in notes.moments] == pytest.approx([8 * step / 40 for step in range(1, 7)])
    assert [at.done for at in notes.moments] == pytest.approx([step / 6 for step in range(6)])
    assert notes.moments[0].left is None
    assert all(at.left > 0 for at in notes.moments[1:])
    figures = [values["reconstruction"] for values in notes.values]
    assert len(set(figures)) == 6
    assert all(isinstance(figure, float) for figure in figures)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3, 6]


class Clock:
    """Goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def test_every_fiftieth_step_is_logged(tmp_path):
    notes = Notes()
    fit(tmp_path / "run", notes, steps=2 * LOGGED_EVERY, every=100, network="dense:hidden=4")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "kl" in line] == [1, LOGGED_EVERY, 2 * LOGGED_EVERY]
    assert [at.step for at in notes.moments if at.step % LOGGED_EVERY == 0] == [LOGGED_EVERY, 2 * LOGGED_EVERY]


def test_a_run_is_the_same_whoever_looks(tmp_path):
    class Curious(Observer):
        def logged(self, at, values):
            torch.randn(5, generator=torch.Generator().manual_seed(1))

    fit(tmp_path / "alone")
    fit(tmp_path / "seen", Curious(), Notes(), Notes())
    assert same(saved_weights(tmp_path / "alone"), saved_weights(tmp_path / "seen"))


def test_an_interrupted_run_says_so(tmp_path):
    notes = Notes()
    with pytest.raises(Interrupted), before_step(3, lambda: signal.raise_signal(signal.SIGTERM)):
        fit(tmp_path / "run", notes)
    assert notes.calls[-2:] == ["saved 4 step-00000004", "ended 4 interrupted"]


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(ValueError("mine"), ValueError), (OSError("no room"), TrainingError)],
)
@pytest.mark.parametrize("where", ["logged", "validated", "saved"])
def test_an_error_of_an_observer_ends_the_run_and_costs_nothing_that_was_saved(tmp_path, raised, seen, where):
    class Broken(Observer):
        pass

    def fail(self, at, *_):
        if at.step >= 3:
            raise raised

    setattr(Broken, where, fail)
    options = {"steps": LOGGED_EVERY, "every": 10}
    with pytest.raises(seen):
        fit(tmp_path / "run", Broken(), **options)
    sim.load(tmp_path / "run")
    fit(tmp_path / "run", **options)
    fit(tmp_path / "whole", **options)
    assert same(saved_weights(tmp_path / "run"), saved_weights(tmp_path / "whole"))
