"""A folder of samples is whole or not there, and what else lies in it is not touched."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from simulacra.cli import main


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_of_samples_takes_the_place_of_another(runs, tmp_path):
    for n in (5, 3):
        assert main(["sample", str(runs["vae"]), "-n", str(n), "--out", str(tmp_path / "out")]) == 0
        assert names(tmp_path / "out") == [f"{i:06d}.png" for i in range(n)]
    assert names(tmp_path) == ["out"]


def test_a_folder_with_other_things_is_left_as_it_is(runs, tmp_path, refused, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr("simulacra.sample", lambda *_, **__: pytest.fail("it was drawn first"))
    assert "holds other things" in refused("sample", runs["vae"], "-n", 2, "--out", tmp_path)
    assert "use a .png" in refused("sample", runs["vae"], "-n", 2, "--out", tmp_path / "x.gif")
    assert names(tmp_path) == ["mine.txt"]


def test_a_disk_that_fills_up_leaves_no_pictures(runs, tmp_path, refused, monkeypatch):
    """Half of the pictures stayed, under a message that all was untouched."""
    written, opened = [], Path.open

    def fills_up(path, *mode, **options):
        if path.suffix == ".png" and "xb" in mode:
            written.append(path)
            if len(written) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, *mode, **options)

    monkeypatch.setattr(Path, "open", fills_up)
    message = refused("sample", runs["vae"], "-n", 5, "--out", tmp_path / "out", code=1)
    assert "No space left on device; nothing was written" in message
    assert names(tmp_path) == []


def test_too_little_memory_is_said_as_such(runs, refused, monkeypatch):
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")):
        monkeypatch.setattr("simulacra.sample", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        assert "not enough memory" in refused("sample", runs["vae"], code=1)


@pytest.mark.parametrize("recipe", [{"resize": "x"}, {"resize": [1]}, {"levels": "x"}, {"target": ["x"]}], ids=repr)
def test_a_damaged_recipe_in_the_record_is_passed_over_for_that_of_the_model(runs, printed, tmp_path, recipe):
    run = shutil.copytree(runs["vae"], tmp_path / "run")
    before = printed("score", run, "digits", "--limit", "20", "--json")
    record = json.loads((run / "run.json").read_bytes())
    record["data"]["recipe"] = recipe
    (run / "run.json").write_text(json.dumps(record))
    assert printed("score", run, "digits", "--limit", "20", "--json") == before
