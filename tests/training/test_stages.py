"""What is trained in stages: phases with shares of the budget of their own."""

import json
import math
import signal
from dataclasses import replace

import pytest
import torch
from small import SPECS, before_step, dataset, same, small_arguments
from torch import nn

import simulacra as sim
from simulacra import registry
from simulacra.model import Model
from simulacra.training import Interrupted
from simulacra.training.loop import Loop
from simulacra.training.observers import Observer
from simulacra.training.options import Options
from simulacra.training.plan import make_plan
from simulacra.training.rehearse import rehearse
from simulacra.training.runtime import Runtime
from simulacra.turns import Phase

HERE = Runtime(torch.device("cpu"), bf16=False)
SPEC = SPECS["grey"]


class Nothing:
    def __getitem__(self, draw: int):
        return torch.zeros(4, *SPEC.shape, dtype=torch.uint8), {}


class Relay(Model):
    """Two numbers, each pulled to 3 in a phase of its own."""

    def __init__(self, spec, begins=(0.0, 0.5), ends=(0.5, 1.0)) -> None:
        super().__init__(spec)
        self.runners = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in begins)
        self.begins, self.ends = begins, ends

    def phases(self):
        legs = zip(self.runners, self.begins, self.ends, strict=True)
        return [Phase(runner, self.pull(runner, i), begin=b, end=e) for i, (runner, b, e) in enumerate(legs)]

    def pull(self, runner, i):
        def loss(turn):
            return {f"leg{i}": ((runner.weight - 3) ** 2).sum()}

        loss.__name__ = f"leg{i}"
        return loss


def loop(model: Model, **options) -> Loop:
    return Loop(model, Options(**({"warmup": 0, "learning_rate": 0.1} | options)), HERE)


def test_a_phase_is_taken_in_its_own_share_of_the_budget_and_no_other():
    training = loop(Relay(SPEC))
    terms = [sorted(training.step(Nothing(), done)) for done in (0.0, 0.25, 0.4999, 0.5, 0.75, 0.9999)]
    assert terms == [["leg0"]] * 3 + [["leg1"]] * 3


def test_who_is_not_due_stays_as_it_is():
    model = Relay(SPEC)
    before = [runner.weight.clone() for runner in model.runners]
    training = loop(model)
    training.step(Nothing(), 0.2)
    assert [torch.equal(r.weight, b) for r, b in zip(model.runners, before, strict=True)] == [False, True]
    after = model.runners[0].weight.clone()
    training.step(Nothing(), 0.7)
    assert torch.equal(model.runners[0].weight, after)
    assert not torch.equal(model.runners[1].weight, before[1])


def test_shares_may_overlap_and_a_step_without_a_due_phase_is_a_step():
    training = loop(Relay(SPEC, (0.2, 0.4), (0.6, 0.8)))
    terms = [sorted(training.step(Nothing(), done)) for done in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert terms == [[], ["leg0"], ["leg0", "leg1"], ["leg1"], []]
    assert training.steps == 5


def test_the_learning_rate_of_a_phase_runs_over_its_own_share():
    """Down a half cosine from `begin` to `end`, after a rise over the phase's own first updates."""
    training = loop(Relay(SPEC, (0.0, 0.5), (0.5, 1.0)), learning_rate=1.0, schedule="cosine", warmup=2)
    rates = []
    for done in (0.0, 0.0, 0.25, 0.5, 0.5, 0.75):
        training.step(Nothing(), done)
        rates.append(training.optimisers[done >= 0.5].param_groups[0]["lr"])
    assert rates == pytest.approx([0.5, 1.0, 0.5, 0.5, 1.0, 0.5])


def test_who_is_trained_in_two_stages_goes_on_at_the_rate_at_which_the_first_one_ended():
    model = Relay(SPEC, (0.0,), (0.5,))
    (first,) = model.phases()
    model.phases = lambda: [first, replace(first, begin=0.5, end=1.0)]
    training = loop(model, learning_rate=1.0, schedule="cosine")
    rates = []
    for done in (0.0, 0.25, 0.499, 0.5, 0.75):
        training.step(Nothing(), done)
        rates.append(training.optimisers[0].param_groups[0]["lr"])
    assert rates == pytest.approx([(1 + math.cos(math.pi * done)) / 2 for done in (0.0, 0.25, 0.499, 0.5, 0.75)])


def test_there_is_nothing_to_judge_before_the_last_stage_has_begun():
    training = loop(Relay(SPEC))
    assert [training.judges(done) for done in (0.0, 0.49, 0.5, 1.0)] == [False, False, True, True]


# A run


def stop() -> None:
    signal.raise_signal(signal.SIGTERM)


class Heard(Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def said(self, line: str) -> None:
        self.lines.append(line)


def fit(out, **options):
    arguments = small_arguments(registry.find("vqvae"))
    chosen = {"steps": 8, "batch": 8, "every": 2, "warmup": 1, "patience": 1, "ema": 0.0} | options
    return sim.fit("vqvae", dataset(SPEC), out, **arguments, **chosen)


def metrics(run) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_in_stages_is_judged_in_the_last_one_only(tmp_path):
    """Patience of one validation: had the first stage been judged, the run would hardly have seen the second."""
    fit(tmp_path, learning_rate=1e-9, patience=2)
    judged = [line["step"] for line in metrics(tmp_path) if "valid_bits_per_dim" in line]
    assert judged == [6, 8]
    assert [line["step"] for line in metrics(tmp_path) if "autoencoder.reconstruction" in line] == [1]


def test_until_then_the_newest_is_the_model(tmp_path):
    with pytest.raises(Interrupted), before_step(3, stop):
        fit(tmp_path, every=2)
    kept = sim.load(tmp_path)
    assert kept.autoencoder.codebooks[0].started
    assert "validation: none" in (tmp_path / "model" / "card.md").read_text()


def test_what_was_judged_is_kept_while_a_larger_budget_is_in_the_first_stage_again(tmp_path):
    fit(tmp_path)
    kept = {each.name: each.read_bytes() for each in (tmp_path / "model").iterdir()}
    with pytest.raises(Interrupted), before_step(13, stop):
        fit(tmp_path, steps=40, progress=(heard := Heard()))
    assert any("by this budget an earlier stage goes on" in line for line in heard.lines)
    assert {each.name: each.read_bytes() for each in (tmp_path / "model").iterdir()} == kept
    assert [line["step"] for line in metrics(tmp_path) if "valid_bits_per_dim" in line][-1] == 8
    fit(tmp_path, steps=40)
    assert json.loads((tmp_path / "run.json").read_text())["finished"]["best_step"] > 20


@pytest.mark.parametrize("step", [2, 4, 5])
def test_stopped_in_either_stage_or_between_them_it_ends_as_if_it_had_not(tmp_path, step):
    whole = fit(tmp_path / "whole")
    with pytest.raises(Interrupted), before_step(step, stop):
        fit(tmp_path / "run")
    assert same(fit(tmp_path / "run").state_dict(), whole.state_dict())


def test_two_steps_are_enough_for_two_stages(tmp_path):
    fit(tmp_path, steps=2, every=1)
    assert [line["step"] for line in metrics(tmp_path) if "valid_bits_per_dim" in line] == [2]


def test_a_rehearsal_sees_every_stage(tmp_path):
    arguments = small_arguments(registry.find("vqvae"))
    found = rehearse(make_plan("vqvae", dataset(SPEC), tmp_path / "run", (), False, {**arguments, "batch": 8}))
    assert {"autoencoder.reconstruction", "prior.codes_4x4"} <= found.first_loss.keys()
    assert all(math.isfinite(value) for value in found.first_loss.values())
    assert 0 < found.seconds_per_step < found.seconds
    assert not (tmp_path / "run").exists()
