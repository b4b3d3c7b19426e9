"""The same command continues: bitwise, whatever stopped the run before, and however roughly."""

import json
import os
import random
import signal
import time
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file
from small import before_step, dataset, same, saved_weights, small_arguments, stripes, suited, trained_in_steps

import simulacra as sim
from simulacra import registry
from simulacra.errors import ModelFileError, UsageError
from simulacra.training import Interrupted, Observer, Verdict
from simulacra.training import fit as fit_with

OPTIONS = {"steps": 9, "batch": 8, "every": 4, "warmup": 3, "seed": 5, "ema": 0.9}


def send(number: int):
    return lambda: os.kill(os.getpid(), number)


def fit(out, entry=None, observers=(), **options):
    entry = entry or registry.find("vae")
    data = dataset(suited(entry, "grey-labelled"))
    arguments = small_arguments(entry) | OPTIONS | options
    return sim.fit(entry.name, data, out, condition=list(data.spec.condition), observers=observers, **arguments)


def last_state(run) -> dict[str, torch.Tensor]:
    return load_file(sorted((run / "checkpoints").glob("step-*"))[-1] / "state.safetensors")


def metrics(run) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_equal_runs(one, other) -> None:
    assert same(saved_weights(one), saved_weights(other))
    assert same(last_state(one), last_state(other))
    assert metrics(one) == metrics(other)
    names = [sorted(path.name for path in (run / "samples").glob("*")) for run in (one, other)]
    assert names[0] == names[1]
    for name in names[0]:
        assert (one / "samples" / name).read_bytes() == (other / "samples" / name).read_bytes()


@pytest.mark.parametrize("entry", trained_in_steps(), ids=lambda entry: entry.name)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, entry):
    """Before a validation, at one, and after one; every weight, moment, figure and picture."""
    fit(tmp_path / "whole", entry)
    for step in (1, 3, 6):
        with (
            pytest.raises(Interrupted, match=f"stopped at step {step + 1} and saved"),
            before_step(step, send(signal.SIGTERM)),
        ):
            fit(tmp_path / "parts", entry)
    fit(tmp_path / "parts", entry)
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_exit_code_tells_the_signal_and_the_handlers_are_put_back(tmp_path, number, code):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as interrupted, before_step(2, send(number)):
        fit(tmp_path / "run")
    assert interrupted.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.fixture
def listening():
    """Ctrl-C interrupts, as on a terminal: a shell lets the commands that it starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_a_second_ctrl_c_stops_at_once_and_costs_only_the_steps_since_the_last_checkpoint(tmp_path):
    def twice():
        signal.raise_signal(signal.SIGINT)  # at once and in this thread: two that wait for a busy process become one
        signal.raise_signal(signal.SIGINT)

    fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt), before_step(6, twice):
        fit(tmp_path / "run")
    fit(tmp_path / "run")
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_other_seeds_give_other_weights(tmp_path):
    fit(tmp_path / "one")
    fit(tmp_path / "two", seed=6)
    assert not same(saved_weights(tmp_path / "one"), saved_weights(tmp_path / "two"))


def test_a_larger_budget_continues_a_finished_run(tmp_path):
    fit(tmp_path / "long", steps=12)
    fit(tmp_path / "run", steps=8)
    fit(tmp_path / "run", steps=12)
    assert same(last_state(tmp_path / "run"), last_state(tmp_path / "long"))


def test_a_finished_run_is_returned_without_a_step(tmp_path, monkeypatch):
    first = fit(tmp_path / "run")
    record = (tmp_path / "run" / "run.json").read_bytes()

    def never(*_):
        raise AssertionError("a step was taken")

    monkeypatch.setattr("simulacra.training.loop.Loop.step", never)
    again = fit(tmp_path / "run")
    assert same(again.state_dict(), first.state_dict())
    assert (tmp_path / "run" / "run.json").read_bytes() == record
    assert not again.training


@pytest.mark.parametrize("file", ["state.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, file, harm):
    fit(tmp_path / "whole")
    fit(tmp_path / "run", steps=8)
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    assert newest.name == "step-00000008"
    path = newest / file
    content = path.read_bytes()
    if harm == "flip":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif harm == "truncate":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()
    said = []
    listener = Observer()
    listener.said = said.append
    fit(tmp_path / "run", observers=[listener])
    assert any("is continued at step 4" in line for line in said)
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_when_every_checkpoint_is_damaged_nothing_is_trained_over_them(tmp_path):
    fit(tmp_path / "run")
    model = saved_weights(tmp_path / "run")
    for folder in (tmp_path / "run" / "checkpoints").glob("step-*"):
        (folder / "state.json").write_bytes(b"{}")
    with pytest.raises(ModelFileError, match=r"does not match its manifest"):
        fit(tmp_path / "run", steps=20)
    assert same(saved_weights(tmp_path / "run"), model)


def leave_litter(run) -> None:
    """What a kill between two system calls leaves behind."""
    litter = run / "checkpoints" / ".writing-step-00000007"
    litter.mkdir()
    (litter / "state.json").write_bytes(b"{")
    (run / "model" / ".simulacra-0123456789abcdef.tmp").write_bytes(b"half of the weights")
    (run / ".simulacra-0123456789abcdef.tmp").write_bytes(b"{")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "val')


def test_leftovers_of_a_crash_are_swept(tmp_path):
    fit(tmp_path / "whole")
    with pytest.raises(Interrupted), before_step(5, send(signal.SIGTERM)):
        fit(tmp_path / "run")
    leave_litter(tmp_path / "run")
    fit(tmp_path / "run")
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")
    left = [path for path in (tmp_path / "run").rglob("*") if ".tmp" in path.name or path.name.startswith(".writing")]
    assert left == []


def test_a_run_killed_while_its_first_file_was_written_begins_again(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / ".simulacra-0123456789abcdef.tmp").write_bytes(b"{")
    fit(tmp_path / "run")
    fit(tmp_path / "whole")
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_old_checkpoints_are_removed_and_two_stay(tmp_path):
    fit(tmp_path / "run", every=2)
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert names == ["step-00000008", "step-00000009"]
    assert (tmp_path / "run" / "checkpoints" / "latest").read_text() == names[-1]


def in_a_process_of_its_own(what) -> int:
    """Fork, so that it need not import torch again; returns the process id."""
    if (child := os.fork()) == 0:
        try:
            what()
        finally:
            os._exit(0)
    return child


def test_kill_9_at_any_moment_leaves_a_run_that_loads_and_continues_bitwise(tmp_path):
    """Saved after every step, so that most kills fall into the writing of files."""
    options = {"steps": 60, "every": 1, "patience": 0, "device": "cpu"}  # CUDA does not survive a fork
    fit(tmp_path / "whole", **options)
    run, rng, killed = tmp_path / "run", random.Random(0), 0
    for _ in range(8):
        child = in_a_process_of_its_own(lambda: fit(run, **options))
        time.sleep(rng.uniform(0.02, 0.2))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if (run / "model" / "weights.safetensors").exists():
            sim.load(run)
    assert killed >= 3
    fit(run, **options)
    assert_equal_runs(tmp_path / "whole", run)


def test_patience_stops_and_keeps_the_best_weights(tmp_path):
    """Validations of 3, 2, 2.5, 2.2, ...: with a patience of 2 the run stops at the fourth, and the second is kept."""
    script = [3.0, 2.0, 2.5, 2.2, 1.0, 0.5]

    def scripted(model, data, seed):
        steps = len(sorted((tmp_path / "run" / "samples").glob("*"))) if (tmp_path / "run" / "samples").exists() else 0
        return Verdict("valid_bits_per_dim", script[steps])

    def judged(steps, patience):
        options = small_arguments(registry.find("vae")) | OPTIONS | {"every": 3, "steps": steps, "patience": patience}
        data = dataset(suited(registry.find("vae"), "grey-labelled"))
        return fit_with("vae", data, tmp_path / "run", condition="label", judge=scripted, **options)

    fit(tmp_path / "short", steps=6, every=3, schedule="constant")
    model = judged(steps=100, patience=2)
    record = json.loads((tmp_path / "run" / "run.json").read_bytes())["finished"]
    assert (record["stopped_by"], record["steps"], record["best_step"]) == ("patience", 12, 6)
    best = load_file(tmp_path / "short" / "checkpoints" / "step-00000006" / "state.safetensors")
    assert same(model.state_dict(), {name: best[f"averaged.{name}"] for name in model.state_dict()})
    assert "at step 6" in (tmp_path / "run" / "model" / "card.md").read_text()
    assert same(judged(steps=100, patience=2).state_dict(), model.state_dict())


def test_the_model_that_is_kept_is_the_best_on_validation(tmp_path):
    """Not scripted: over-fitting a few items at a high learning rate."""
    data = stripes(n=16)
    sim.fit(
        "vae",
        data,
        tmp_path / "run",
        latent=2,
        network="dense:hidden=32,dropout=0.1",
        steps=60,
        every=5,
        learning_rate=0.05,
        batch=8,
    )
    figures = [line["valid_bits_per_dim"] for line in metrics(tmp_path / "run") if "valid_bits_per_dim" in line]
    record = json.loads((tmp_path / "run" / "run.json").read_bytes())["finished"]
    assert record["valid_bits_per_dim"] == min(figures)
    kept = sim.score(tmp_path / "run", data, "valid").bits_per_dim
    assert kept == pytest.approx(min(figures), abs=1e-5)


def made_in_format_2(run, recipe: dict, preset: str | None = None) -> None:
    record = json.loads((run / "run.json").read_text())
    record["model"] |= {"format": 2, "model": recipe, "preset": preset}
    (run / "run.json").write_text(json.dumps(record))


def test_a_run_of_the_format_before_is_continued_where_tensors_keep_their_names(tmp_path):
    entry, whole, run = registry.find("ladder-vae"), tmp_path / "whole", tmp_path / "run"
    fit(whole, entry)
    with pytest.raises(Interrupted), before_step(3, send(signal.SIGTERM)):
        fit(run, entry)
    arguments = json.loads((run / "run.json").read_text())["model"]["model"]["ladder-vae"]
    del arguments["objective"]
    made_in_format_2(run, {"ladder-vae": arguments | {"beta": 1.0, "kl_warmup": 500, "free_bits": 0.0}})
    fit(run, entry)
    assert_equal_runs(whole, run)


def test_a_run_of_the_format_before_is_refused_where_they_do_not(tmp_path):
    entry = registry.find("pixelcnn")
    fit(tmp_path, entry)
    network = json.loads((tmp_path / "run.json").read_text())["model"]["model"]["raster"]["network"]
    made_in_format_2(tmp_path, network)
    with pytest.raises(UsageError, match=r"made with other settings: model .pixelcnn there, raster now"):
        fit(tmp_path, entry, steps=12)


def test_a_run_whose_configuration_became_a_terabyte_of_nothing_goes_on(tmp_path):
    """All of it was read, to see whether it had changed."""
    fit(tmp_path / "run", steps=4, every=2)
    os.truncate(tmp_path / "run" / "model" / "config.json", 1 << 40)
    tracemalloc.start()
    try:
        fit(tmp_path / "run", steps=6, every=2)
        assert tracemalloc.get_traced_memory()[1] < 1 << 26
    finally:
        tracemalloc.stop()
    assert sim.load(tmp_path / "run").trained_steps == 6
