"""Slow runs: saved and validated by the clock, and ended in time, the last validation included."""

import json
from types import SimpleNamespace

import pytest
from small import SPECS, dataset

from simulacra.training import Observer, Verdict, clock, fit

OPTIONS = {"latent": 2, "network": "dense:hidden=8", "batch": 8, "patience": 0}


class Hours(Observer):
    """Time passes with every training step and every validation alone; notes what happened after which step."""

    def __init__(self, monkeypatch, a_step: float, a_validation: float) -> None:
        self.now, self.a_step, self.a_validation = 0.0, a_step, a_validation
        self.validations, self.checkpoints = [], []
        monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr("simulacra.training.loop.Loop.step", self.slowly(fit.__globals__["Loop"].step))

    def slowly(self, step):
        def stepped(*args):
            self.now += self.a_step
            return step(*args)

        return stepped

    def __call__(self, model, data, seed):
        self.now += self.a_validation
        return Verdict("valid_distance", -self.now)

    def validated(self, at, model, verdict):
        self.validations.append(at.step)

    def saved(self, at, folder):
        self.checkpoints.append(at.step)

    def fit(self, out, **options):
        fit("vae", dataset(SPECS["grey"]), out, judge=self, observers=[self], **(OPTIONS | options))
        return json.loads((out / "run.json").read_text())["finished"]


def test_a_slow_run_is_saved_every_five_minutes_and_validated_every_ten(monkeypatch, tmp_path):
    slow = Hours(monkeypatch, a_step=100, a_validation=5)
    slow.fit(tmp_path / "run", steps=14)
    assert slow.validations == [6, 12, 14]
    assert slow.checkpoints == [0, 3, 6, 9, 12, 14]


def test_a_number_of_steps_between_validations_is_kept_to(monkeypatch, tmp_path):
    slow = Hours(monkeypatch, a_step=100, a_validation=5)
    slow.fit(tmp_path / "run", steps=14, every=10)
    assert slow.validations == [10, 14]


def test_a_fast_run_does_not_depend_on_the_clock(monkeypatch, tmp_path):
    fast = Hours(monkeypatch, a_step=0.1, a_validation=0.1)
    fast.fit(tmp_path / "run", steps=14)
    assert (fast.validations, fast.checkpoints) == ([14], [0, 14])


@pytest.mark.parametrize("a_validation", [1, 40])
def test_minutes_include_the_last_validation(monkeypatch, tmp_path, a_validation):
    timed = Hours(monkeypatch, a_step=4, a_validation=a_validation)
    timed.fit(tmp_path / "run", minutes=4, every=20)
    assert timed.validations[-1] > 20
    assert 200 <= timed.now <= 240 + 4
    steps = timed.validations[-1]
    again = Hours(monkeypatch, a_step=4, a_validation=a_validation)
    again.fit(tmp_path / "run", minutes=4, every=20)
    assert (again.now, again.validations) == (0, [])  # it is finished
    assert steps == json.loads((tmp_path / "run" / "run.json").read_text())["finished"]["steps"]
