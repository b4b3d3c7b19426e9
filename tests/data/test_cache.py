import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import simulacra.data as data
from simulacra.cli import main
from simulacra.data import build, cache
from simulacra.errors import DataError


def folders(root):
    return sorted((root / "data").iterdir())


@pytest.fixture
def array(tmp_path, pixels):
    np.save(tmp_path / "a.npy", pixels)
    return tmp_path / "a.npy"


def test_splits_are_read_only_views_of_one_file(array, cache):
    dataset = data.load(array)
    for split in dataset.splits:
        assert isinstance(split.x, np.memmap)
        assert not split.x.flags.writeable
    stored = np.load(folders(cache)[0] / "x.npy")
    assert (stored == np.concatenate([split.x for split in dataset.splits])).all()


def test_nothing_is_read_until_it_is_indexed(tmp_path):
    """Opening 256 MB of cache in a fresh process leaves them on the disk."""
    with (tmp_path / "big.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (4096, 256, 256)}
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(4096):
            file.write(i.to_bytes(2, "big") + bytes(65534))
    data.load(tmp_path / "big.npy")
    script = f"""
        import simulacra.data as data
        dataset = data.load({str(tmp_path / "big.npy")!r})
        lines = open("/proc/self/status").read().splitlines()
        print(len(dataset.train), sum(int(l.split()[1]) for l in lines if l.startswith("VmRSS")))
    """
    if not os.path.exists("/proc/self/status"):
        pytest.skip("resident memory is read from /proc")
    printed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(printed[0]) > 3000
    assert int(printed[1]) < 128 * 1024  # kB


def test_a_second_load_reads_no_data_and_is_quick(array, monkeypatch):
    first = data.load(array)
    monkeypatch.setattr(cache, "build", lambda *_: pytest.fail("the cache was built again"))
    start = time.perf_counter()
    assert data.load(array).fingerprint == first.fingerprint
    assert time.perf_counter() - start < 0.05


def test_a_changed_file_is_read_again(array, pixels):
    before = data.load(array)
    np.save(array, pixels[:, ::-1])
    os.utime(array, ns=(0, 0))
    assert data.load(array).fingerprint != before.fingerprint


@pytest.mark.parametrize("name", ["x.npy", "meta.json"])
def test_a_truncated_cache_is_built_again(array, cache, name):
    before = data.load(array)
    damaged = folders(cache)[0] / name
    os.truncate(damaged, damaged.stat().st_size // 2)
    after = data.load(array)
    assert after.fingerprint == before.fingerprint
    assert len(after.train.x) + len(after.valid.x) + len(after.test.x) == 40


def test_leftovers_of_a_killed_builder_are_swept_and_a_live_one_is_not(array, cache):
    dead, alive = cache / "data" / ".building-dead", cache / "data" / ".building-alive"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
        (folder / "spool").write_bytes(b"half")
    for path in (dead / "spool", dead):
        os.utime(path, (0, 0))
    data.load(array)
    assert not dead.exists()
    assert (alive / "spool").exists()


def test_a_builder_killed_at_any_moment_leaves_no_half_cache(array, cache):
    """The process dies as the splits are written; the next load builds them and they are whole."""
    script = f"""
        import os
        import simulacra.data as data
        from simulacra.data import build
        build.sync = lambda file: os._exit(9)
        data.load({str(array)!r})
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)])
    assert killed.returncode == 9
    assert all(folder.name.startswith(".building-") for folder in folders(cache))
    assert sum(map(len, data.load(array).splits)) == 40


def test_two_builders_at_once_agree(array, cache, monkeypatch):
    """While one builds, the other publishes the same cache: the first uses it and leaves nothing behind."""
    real, others = build.build, []

    def overtaken_build(source, folder):
        meta = real(source, folder)
        monkeypatch.setattr("simulacra.data.cache.build", real)
        others.append(data.load(array))
        return meta

    monkeypatch.setattr("simulacra.data.cache.build", overtaken_build)
    assert data.load(array).fingerprint == others[0].fingerprint
    assert len(folders(cache)) == 1


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(array, cache, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 0, 100))
    with pytest.raises(DataError, match=rf"no space in {cache}.* needs 2,400 bytes"):
        data.load(array)
    assert folders(cache) == []


def test_a_disk_that_fills_up_leaves_nothing_behind(array, cache, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build, "sync", full)
    with pytest.raises(DataError, match=rf"no space in {cache}"):
        data.load(array)
    assert folders(cache) == []


def test_a_cache_that_cannot_be_made_names_the_variable(array, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="SIMULACRA_CACHE"):
        data.load(array)


def test_the_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.delenv("SIMULACRA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "simulacra"


def test_the_package_imports_neither_torch_nor_pillow():
    script = "import sys, simulacra.data as d; d.load('digits'); print({'torch', 'PIL'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "set()"


def test_cleaning_removes_data_sets_alone_and_they_are_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))
    before = data.load("digits").fingerprint
    kept = [tmp_path / "cache" / "downloads" / "mnist.gz", tmp_path / "cache" / "data" / "mine" / "note.txt"]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    assert main(["data", "--clean", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["removed"] == 1
    assert found["bytes"] > 1797 * 64
    assert all(path.exists() for path in kept)
    assert main(["data", "--clean"]) == 0
    assert "removed 0 data sets" in capsys.readouterr().out
    assert data.load("digits").fingerprint == before
    assert main(["data", "digits", "--clean"]) == 2
