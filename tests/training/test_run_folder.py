"""A run folder belongs to one run and one process, and says what it holds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from small import SPECS, dataset, same, saved_weights

import simulacra as sim
from simulacra import registry
from simulacra.errors import ModelFileError, SimulacraError, TrainingError, UsageError
from simulacra.training import Observer, make_plan, rehearse

DATA = dataset(SPECS["grey-labelled"])


def fit(out, **options):
    return sim.fit(
        "vae",
        DATA,
        out,
        **({"latent": 2, "network": "dense:hidden=8,dropout=0.1", "steps": 4, "batch": 8, "every": 2} | options),
    )


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_holds_what_it_should_and_no_pickle(tmp_path):
    fit(tmp_path / "run")
    names = {name for name in contents(tmp_path / "run") if not name.startswith(("checkpoints", "samples"))}
    assert names == {
        ".lock",
        "run.json",
        "metrics.jsonl",
        "model/config.json",
        "model/weights.safetensors",
        "model/card.md",
    }
    suffixes = {name.rsplit(".", 1)[-1] for name in contents(tmp_path / "run")}
    assert suffixes <= {"json", "jsonl", "safetensors", "md", "png", "lock", "checkpoints/latest"}
    record = json.loads((tmp_path / "run" / "run.json").read_bytes())
    assert record["data"] == {
        "name": "made-up",
        "fingerprint": DATA.fingerprint,
        "recipe": {"resize": None, "levels": None, "target": None},
    }
    assert record["threads"] == torch.get_num_threads()
    assert record["torch"] == str(torch.__version__)
    assert DATA.fingerprint in (tmp_path / "run" / "model" / "card.md").read_text()


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"latent": 3}, r"model\.latent \(2 there, 3 now\)"),
        ({"learning_rate": 0.5}, "options.learning_rate"),
        ({"seed": 9}, "options.seed"),
        ({"batch": 4}, "options.batch"),
        ({"condition": "label"}, "model.spec.condition"),
    ],
)
def test_other_settings_are_refused_by_name_and_change_nothing(tmp_path, changed, key):
    fit(tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(UsageError, match=f"other settings.*{key}"):
        fit(tmp_path / "run", **changed)
    assert contents(tmp_path / "run") == before


def test_other_data_and_another_model_are_refused(tmp_path):
    fit(tmp_path / "run")
    with pytest.raises(UsageError, match=r"data.fingerprint"):
        sim.fit(
            "vae",
            dataset(SPECS["grey"], seed=7),
            tmp_path / "run",
            latent=2,
            network="dense:hidden=8,dropout=0.1",
            steps=4,
            batch=8,
            every=2,
        )
    with pytest.raises(UsageError, match=r"model \(vae there, gan now\), model.preset \(None there, dcgan now\)"):
        sim.fit("dcgan", DATA, tmp_path / "run", steps=4, batch=8, every=2, width=4)


def test_fresh_begins_in_a_new_folder_beside(tmp_path):
    fit(tmp_path / "run")
    before = contents(tmp_path / "run")
    fit(tmp_path / "run", fresh=True, latent=3)
    fit(tmp_path / "run", fresh=True, latent=4)
    assert contents(tmp_path / "run") == before
    assert [sim.load(tmp_path / name).latent for name in ("run", "run-2", "run-3")] == [2, 3, 4]


def test_a_second_process_is_refused_while_the_first_lives(tmp_path):
    fit(tmp_path / "run")
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held', flush=True); input()"
    command = [sys.executable, "-c", hold, str(tmp_path / "run" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            before = contents(tmp_path / "run")
            with pytest.raises(TrainingError, match=r"another process is training in"):
                fit(tmp_path / "run", steps=8)
            assert contents(tmp_path / "run") == before
        finally:
            other.kill()
    fit(tmp_path / "run", steps=8)  # the lock of a dead process is no lock


def test_a_folder_with_other_things_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("much work")
    (tmp_path / "thesis" / "model").mkdir()
    before = sorted(path.name for path in (tmp_path / "thesis").rglob("*"))
    with pytest.raises(UsageError, match=r"holds other files and no run"):
        fit(tmp_path / "thesis")
    assert sorted(path.name for path in (tmp_path / "thesis").rglob("*")) == before


def test_checkpoints_of_another_program_are_left_as_they_were(tmp_path):
    (tmp_path / "theirs" / "checkpoints").mkdir(parents=True)
    (tmp_path / "theirs" / "checkpoints" / "epoch=3.ckpt").write_text("theirs")
    with pytest.raises(UsageError, match=r"holds other files and no run"):
        fit(tmp_path / "theirs")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot use .*file as a run folder"):
        fit(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


def test_a_damaged_record_is_refused(tmp_path):
    fit(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_bytes(b"{")
    with pytest.raises(UsageError, match=r"run.json cannot be read"):
        fit(tmp_path / "run")


def test_a_rehearsal_writes_nothing(tmp_path):
    plan = make_plan(
        "vae", DATA, tmp_path / "run", (), False, {"latent": 2, "network": "dense:hidden=8,dropout=0.1", "steps": 4}
    )
    judged = []
    found = rehearse(plan, lambda model, data, seed: judged.append(model.training))
    assert judged == [False]
    assert (found.steps, found.out, found.lines()["would write"]) == (4, *[str(tmp_path / "run")] * 2)
    assert found.seconds == pytest.approx(
        4 * (found.seconds_per_step + found.seconds_per_validation / found.every), 0.2
    )
    json.dumps(found.record())
    assert list(tmp_path.iterdir()) == []


def test_what_may_not_be_meant_is_said(tmp_path):
    class Lines(Observer):
        def __init__(self) -> None:
            self.lines = []

        def said(self, line):
            self.lines.append(line)

    chosen = {"latent": 2, "network": "dense:hidden=8", "steps": 1, "learning_rate": 1e-9}
    many, wide, fine = Lines(), Lines(), Lines()
    sim.fit("vae", DATA, tmp_path / "many", observers=[many], batch=1000, **chosen)
    assert "a batch of 1000 holds some of the" in many.lines[1]
    x = np.linspace(0, 1, 120, dtype=np.float32).reshape(60, 2)
    sim.fit("vae", sim.data.from_arrays(20 * x), tmp_path / "wide", observers=[wide], batch=8, ema=0, **chosen)
    assert "as large as 20" in wide.lines[1]
    sim.fit("vae", sim.data.from_arrays(x), tmp_path / "fine", observers=[fine], batch=8, **chosen)
    assert len(fine.lines) == 1


def test_the_trained_model_is_ready_and_is_what_was_saved(tmp_path):
    model = fit(tmp_path / "run")
    assert not model.training
    assert same(model.state_dict(), sim.load(tmp_path / "run").state_dict())
    assert same(model.state_dict(), sim.load(tmp_path / "run" / "model").state_dict())


def test_a_model_built_by_hand_is_trained_like_a_named_one(tmp_path):
    torch.manual_seed(0)
    model = registry.build("vae", SPECS["grey-labelled"], latent=2, network="dense:hidden=8,dropout=0.1")
    trained = sim.fit(model, DATA, tmp_path / "run", steps=4, batch=8, every=2)
    assert trained.arguments == model.arguments
    assert json.loads((tmp_path / "run" / "run.json").read_bytes())["model"].items() <= model.config().items()


# A full disk


def full(*_):
    raise OSError(28, "No space left on device")


def test_too_little_room_is_noticed_before_a_checkpoint_is_begun(tmp_path, monkeypatch):
    fit(tmp_path / "run")
    fit(tmp_path / "whole", steps=8)
    usage = type("Usage", (), {"total": 100, "used": 99, "free": 1})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(TrainingError, match=r"no room for a checkpoint.*older ones are kept"):
        fit(tmp_path / "run", steps=8)
    monkeypatch.undo()
    fit(tmp_path / "run", steps=8)
    assert same(saved_weights(tmp_path / "run"), saved_weights(tmp_path / "whole"))


@pytest.mark.parametrize("writes", range(0, 26, 2))
def test_a_disk_that_fills_up_at_any_write_costs_no_checkpoint(tmp_path, monkeypatch, writes):
    """Whatever was being written, the message is ours, and with room again the run ends as if nothing had been."""

    fit(tmp_path / "whole", steps=6)
    fit(tmp_path / "run", steps=2)
    sync, left = os.fsync, [writes]

    def fills_up(handle):
        left[0] -= 1
        return sync(handle) if left[0] >= 0 else full()

    monkeypatch.setattr("os.fsync", fills_up)
    with pytest.raises(TrainingError, match=r"No space left on device"):
        fit(tmp_path / "run", steps=6)
    monkeypatch.undo()
    sim.load(tmp_path / "run")
    fit(tmp_path / "run", steps=6)
    assert same(saved_weights(tmp_path / "run"), saved_weights(tmp_path / "whole"))


def test_a_log_that_cannot_be_written_is_told_in_our_words(tmp_path):
    class FillTheDisk(Observer):
        def logged(self, at, values):
            log = tmp_path / "run" / "metrics.jsonl"
            if not log.is_symlink():
                log.unlink(missing_ok=True)
                log.symlink_to("/dev/full")

    with pytest.raises(SimulacraError, match=r"No space left on device"):
        fit(tmp_path / "run", observers=[FillTheDisk()])


def test_losing_the_model_of_a_finished_run_is_told(tmp_path):
    fit(tmp_path / "run")
    (tmp_path / "run" / "model" / "weights.safetensors").write_bytes(b"gone")
    with pytest.raises(ModelFileError, match=r"weights.safetensors"):
        fit(tmp_path / "run")
