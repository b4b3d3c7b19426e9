"""A run folder that a disk or a person has damaged: the run goes on, or says in a sentence why it cannot."""

import hashlib
import json
import os
import shutil
import signal

import pytest
from small import SPECS, dataset, same, saved_weights

import simulacra as sim
from simulacra.errors import ModelFileError, SimulacraError, UsageError
from simulacra.training import Interrupted, Observer

DATA = dataset(SPECS["grey-labelled"])


def fit(out, steps=4, **options):
    return sim.fit(
        "vae", DATA, out, latent=2, network="dense:hidden=8", batch=8, every=2, steps=steps, patience=0, **options
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    fit(folder / "run")
    fit(folder / "whole", steps=6)
    return folder


@pytest.fixture
def run(sound, tmp_path):
    shutil.copytree(sound / "run", tmp_path / "run")
    return tmp_path / "run"


def continues(run, sound) -> None:
    fit(run, steps=6)
    assert same(saved_weights(run), saved_weights(sound / "whole"))


def test_temporary_files_of_a_user_stay(run, sound):
    """Any `.*.tmp` was removed, and a folder of such a name stopped every later fit."""
    (run / ".notes.tmp").write_text("mine")
    (run / ".work.tmp").mkdir()
    (run / "checkpoints" / ".writing-my-thesis").mkdir()
    continues(run, sound)
    assert (run / ".notes.tmp").read_text() == "mine"
    assert (run / ".work.tmp").is_dir()
    assert (run / "checkpoints" / ".writing-my-thesis").is_dir()


@pytest.mark.parametrize("name", [".lock", "metrics.jsonl", "run.json"])
def test_a_pipe_in_a_run_folder_is_not_waited_for(run, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(SimulacraError, match="it is a pipe, and no regular file"):
        fit(run, steps=6)


def test_a_lock_that_leads_elsewhere_changes_nothing_there(run, sound, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(tmp_path / "mine")
    continues(run, sound)
    assert (tmp_path / "mine").read_text() == "mine"


LINES = [
    b"\xff\xfe",
    b'{"step": "x"}',
    b'{"step": null}',
    b"[1]",
    b"7",
    b'{"step": NaN}',
    b'{"step": 4, "val',
    b"[" * 10**5,
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: repr(line[:12]))
def test_damaged_lines_of_the_log_are_dropped(run, sound, line):
    log = run / "metrics.jsonl"
    before = log.read_bytes()
    log.write_bytes(line + b"\n" + before + line)
    continues(run, sound)
    assert log.read_bytes().startswith(before)


@pytest.mark.parametrize("threads", ["x", -1, 0, 10**9, 1.5, True, [1]], ids=repr)
def test_threads_that_are_no_number_of_threads_are_refused(run, threads):
    record = json.loads((run / "run.json").read_bytes())
    (run / "run.json").write_text(json.dumps(record | {"threads": threads}))
    with pytest.raises(UsageError, match=r"run\.json is damaged: 'threads' is .*no number 1 to"):
        fit(run, steps=6)


def test_a_record_of_another_form_is_told_in_short(run):
    record = json.loads((run / "run.json").read_bytes())
    (run / "run.json").write_text(json.dumps(record | {"model": ["x"] * 10**4}))
    with pytest.raises(UsageError, match="other settings: model") as refusal:
        fit(run)
    assert len(str(refusal.value)) < 800


class Says(Observer):
    def __init__(self):
        self.lines = []

    def said(self, line):
        self.lines.append(line)


def test_falling_back_to_an_older_checkpoint_is_said(run, sound):
    newest = run / "checkpoints" / "step-00000004" / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    says = Says()
    fit(run, steps=6, observers=[says])
    assert [line for line in says.lines if "step-00000004" in line and "going on from the one before it" in line]
    assert [line for line in says.lines if "continued at step 2" in line]
    assert same(saved_weights(run), saved_weights(sound / "whole"))


@pytest.mark.parametrize("state", [{}, {"steps": "x"}, {"best": {"x": 1}}, {"seconds": None}], ids=repr)
def test_a_state_that_no_run_wrote_is_refused(run, state):
    folder = run / "checkpoints" / "step-00000004"
    record = {} if state == {} else json.loads((folder / "state.json").read_bytes()) | state
    (folder / "state.json").write_text(json.dumps(record))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["state.json"] = hashlib.sha256((folder / "state.json").read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match=r"malformed state\.json"):
        fit(run, steps=6)


def test_a_signal_in_the_last_load_is_told_by_the_exit_code(tmp_path):
    class Terminate(Observer):
        def ended(self, at, why):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="is finished") as stop:
        fit(tmp_path / "run", observers=[Terminate()])
    assert stop.value.exit_code == 143
    assert "finished" in json.loads((tmp_path / "run" / "run.json").read_bytes())


@pytest.mark.parametrize("option", [{"patience": -1}, {"warmup": -1}, {"betas": (0.9, 1.5)}], ids=repr)
def test_options_that_training_would_stumble_over_are_refused(tmp_path, option):
    with pytest.raises(UsageError, match=r"must be at least 0"):
        sim.fit("vae", DATA, tmp_path / "run", latent=2, network="dense:hidden=8", **option)
    assert not (tmp_path / "run").exists()


def test_a_model_too_large_to_be_loaded_again_is_refused_before_it_is_built(tmp_path):
    with pytest.raises(UsageError, match=r"'latent' is 100000000, out of bounds: 65536 at most"):
        sim.fit("vae", DATA, tmp_path / "run", latent=100_000_000)
    with pytest.raises(UsageError, match=r"'hidden' is 100000000, out of bounds"):
        sim.fit("vae", DATA, tmp_path / "run", network="dense:hidden=100000000")
