"""A model in closed form is fitted by the same `fit`, in one pass, into the same kind of run folder."""

import json
from pathlib import Path

import pytest
import torch
from launching import launched, refuse_unless_well
from small import SPECS, dataset, same, saved_weights

import simulacra as sim
from simulacra import registry
from simulacra.autoregressive import Markov
from simulacra.capabilities import ClosedForm, can
from simulacra.errors import TrainingError, UsageError
from simulacra.feed import feed
from simulacra.model import load
from simulacra.training import Observer, Options, make_plan, rehearse
from simulacra.training.onepass import OnePass
from simulacra.training.options import OF_ONE_PASS

TESTS = Path(__file__).parents[1]
DATA = dataset(SPECS["grey-labelled"], (70, 20, 12))
CLOSED = [entry.name for entry in registry.models() if can(entry.model, ClosedForm)]
every_closed = pytest.mark.parametrize("name", CLOSED)
WITHOUT_MEANING = {
    "steps": 3, "epochs": 1.0, "minutes": 1.0, "learning_rate": 0.1, "betas": (0.9, 0.9), "weight_decay": 0.1,
    "schedule": "cosine", "warmup": 3, "clip": 1.0, "ema": 0.5, "every": 3, "patience": 2, "precision": "fp32",
    "skip": 1.0, "accumulate": 2, "augment": ("flip",),
}  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def expected(name: str) -> dict[str, torch.Tensor]:
    """The state of a model that has counted the training split in one batch."""
    model = registry.build(name, DATA.spec.conditioned_on("label"))
    model.estimate([feed(DATA.train, slice(None), model.spec, torch.device("cpu"))])
    return model.state_dict()


def test_there_are_such_models():
    assert {"independent", "markov"} <= set(CLOSED)


@every_closed
@pytest.mark.parametrize("batch", [1, 32, 500])
def test_a_run_holds_the_estimate_from_all_training_items_whatever_the_batch(tmp_path, name, batch):
    model = sim.fit(name, DATA, tmp_path / "run", condition="label", batch=batch)
    assert same(model.state_dict(), expected(name))
    assert same(saved_weights(tmp_path / "run"), expected(name))
    assert not model.training


def test_the_folder_is_that_of_a_run(tmp_path):
    sim.fit("markov", DATA, tmp_path / "run")
    names = {name for name in contents(tmp_path / "run") if not name.startswith("checkpoints")}
    assert names == {
        ".lock",
        "run.json",
        "metrics.jsonl",
        "model/config.json",
        "model/weights.safetensors",
        "model/card.md",
        "samples/step-00000001.png",
        "health.json",
        "health.png",
    }
    finished = json.loads((tmp_path / "run" / "run.json").read_bytes())["finished"]
    assert (finished["stopped_by"], finished["steps"]) == ("closed form", 1)
    (line,) = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    bits = sim.score(tmp_path / "run", DATA, "valid").bits_per_dim
    assert line["epoch"] == 1
    assert line["valid_bits_per_dim"] == finished["valid_bits_per_dim"] == pytest.approx(bits, abs=1e-6)
    assert "closed form" in (tmp_path / "run" / "model" / "card.md").read_text()


def test_the_same_call_again_returns_the_finished_run(tmp_path, monkeypatch):
    first = sim.fit("markov", DATA, tmp_path / "run")
    before = contents(tmp_path / "run")
    monkeypatch.setattr(Markov, "estimate", lambda *_: pytest.fail("it was estimated again"))
    again = sim.fit("markov", DATA, tmp_path / "run", batch=7)  # the batch decides nothing
    assert same(again.state_dict(), first.state_dict())
    assert contents(tmp_path / "run") == before


def test_two_runs_are_equal_and_other_settings_are_not_the_same_run(tmp_path):
    for name in ("one", "two"):
        sim.fit("markov", DATA, tmp_path / name)
    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    for file in ("model/weights.safetensors", "model/config.json", "samples/step-00000001.png"):
        assert one[file] == two[file]
    with pytest.raises(UsageError, match=r"other settings.*model.smoothing"):
        sim.fit("markov", DATA, tmp_path / "one", smoothing=2.0)


def test_a_pass_that_was_killed_is_made_again(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Markov, "estimate", killed)
        with pytest.raises(KeyboardInterrupt):
            sim.fit("markov", DATA, tmp_path / "run", condition="label")
    load(tmp_path / "run")  # what lies there can be loaded, and knows nothing yet
    sim.fit("markov", DATA, tmp_path / "run", condition="label")
    assert same(saved_weights(tmp_path / "run"), expected("markov"))


def test_a_model_that_was_removed_comes_back_from_the_checkpoint(tmp_path):
    sim.fit("markov", DATA, tmp_path / "run", condition="label")
    (tmp_path / "run" / "model" / "weights.safetensors").unlink()
    sim.fit("markov", DATA, tmp_path / "run", condition="label")
    assert same(saved_weights(tmp_path / "run"), expected("markov"))


def test_a_model_built_by_hand_is_fitted_like_a_named_one(tmp_path):
    model = Markov(DATA.spec.conditioned_on("label"))
    assert same(sim.fit(model, DATA, tmp_path / "run").state_dict(), expected("markov"))


def test_every_option_either_has_a_meaning_or_is_refused(tmp_path):
    assert WITHOUT_MEANING.keys() | set(OF_ONE_PASS) == Options.__dataclass_fields__.keys()
    for name, value in WITHOUT_MEANING.items():
        for model in ("independent", Markov(DATA.spec.conditioned_on("label"))):
            with pytest.raises(UsageError, match=f"closed form.*'{name}' would change nothing"):
                sim.fit(model, DATA, tmp_path / "run", **{name: value})
    with pytest.raises(UsageError, match=r"no option 'memry'. Did you mean 'memory'"):
        sim.fit("markov", DATA, tmp_path / "run", memry=2)
    assert not (tmp_path / "run").exists()
    sim.fit("independent", DATA, tmp_path / "run", steps=None, device="cpu")  # None leaves a default alone


def test_a_dry_run_tells_of_the_pass_and_writes_nothing(tmp_path):
    plan = make_plan("independent", DATA, tmp_path / "run", (), False, {})
    found = rehearse(plan)
    assert (found.parameters, found.items, found.steps, found.first_loss) == (1024, 70, 1, {})
    assert "one pass" in found.lines()["the run"]
    assert same(plan.model.state_dict(), registry.build("independent", DATA.spec.conditioned_on(())).state_dict())
    assert list(tmp_path.iterdir()) == []


def test_an_estimate_that_is_not_finite_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Markov, "estimate", lambda self, batches: self.log_masses.fill_(torch.nan))
    with pytest.raises(TrainingError, match="estimate of 'log_masses' is not finite"):
        sim.fit("markov", DATA, tmp_path / "run")
    assert torch.isfinite(load(tmp_path / "run").log_masses).all()


def test_observers_see_the_pass(tmp_path):
    seen = []

    class Listener(Observer):
        def validated(self, at, model, verdict):
            seen.append((at.step, at.epoch, verdict.name))

        def ended(self, at, why):
            seen.append((at.step, why))

    sim.fit("independent", DATA, tmp_path / "run", observers=[Listener()])
    assert seen == [(1, 1.0, "valid_bits_per_dim"), (1, "closed form")]


def test_a_restored_pass_is_the_pass():
    model = OnePass(Markov(DATA.spec.conditioned_on("label")))
    model.fitted.load_state_dict(expected("markov"))
    other = OnePass(Markov(DATA.spec.conditioned_on("label")))
    other.restore(1, model.tensors())
    assert other.steps == 1
    assert same(other.tensors(), model.tensors())


SCRIPT = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from small import SPECS, dataset
import simulacra as sim

model = sim.fit("markov", dataset(SPECS["grey-labelled"], (70, 20, 12)), sys.argv[1], condition="label")
assert not model.training
"""


def test_two_ranks_are_one(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    done = launched(tmp_path / "train.py", tmp_path / "two")
    refuse_unless_well(done)
    assert same(saved_weights(tmp_path / "two"), expected("markov"))
    assert json.loads((tmp_path / "two" / "run.json").read_bytes())["world_size"] == 2
