"""Files are whole or not at all, and only regular ones of a known size are read."""

import os
import tracemalloc
from pathlib import Path

import pytest

from simulacra.errors import WriteError
from simulacra.files import (
    holds,
    open_regular,
    parse_json,
    read_regular,
    sweep,
    temporary_beside,
    write_atomically,
    write_folder,
)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def strange(tmp_path) -> dict[str, Path]:
    """What is there under a path and is no regular file."""
    found = {name: tmp_path / name for name in ("folder", "pipe", "device", "link")}
    found["folder"].mkdir()
    os.mkfifo(found["pipe"])
    found["device"].symlink_to("/dev/zero")
    found["link"].symlink_to("nowhere")
    return found


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link"])
def test_what_is_no_regular_file_is_not_opened_and_not_waited_for(strange, kind):
    with pytest.raises(OSError, match=r"no regular file|No such file"):
        open_regular(strange[kind])


def test_no_more_memory_is_taken_than_a_file_has(tmp_path):
    """A reader of Python's own sets aside what it is asked for: gigabytes, for a chunk that claims them."""
    (tmp_path / "x").write_bytes(bytes(10**5))
    tracemalloc.start()
    try:
        with open_regular(tmp_path / "x") as file:
            assert (len(file.read(1)), len(file.read(1 << 32)), file.read(1 << 32)) == (1, 10**5 - 1, b"")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_it_may_be_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match=r"1,099,511,627,776 bytes, and 100 are the limit"):
        read_regular(tmp_path / "sparse", 100)
    (tmp_path / "small").write_bytes(b"small")
    assert read_regular(tmp_path / "small", 5) == b"small"
    assert holds(tmp_path / "small", b"small")
    assert not holds(tmp_path / "small", b"smaller")
    assert not holds(tmp_path / "sparse", b"small")
    assert not holds(tmp_path / "missing", b"small")


@pytest.mark.parametrize("text", [b'{"a": 1, "a": 2}', b'"\\ud800"', b'{"\\udcff": 1}', b"[" * 10**5, b"\xff", b"{"])
def test_json_that_is_none_is_one_kind_of_error(text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_only_our_own_leftovers_are_swept(tmp_path, strange):
    theirs = [tmp_path / name for name in (".notes.tmp", ".run.json.12.tmp", ".simulacra-mine.tmp", "folder/.x.tmp")]
    for path in theirs:
        path.write_text("mine")
    (tmp_path / ".build.tmp").mkdir()
    ours = [temporary_beside(tmp_path / "run.json"), temporary_beside(tmp_path / "folder" / "x")]
    ours[0].write_text("half")
    ours[1].mkdir()
    (ours[1] / "000000.png").write_text("half")
    sweep(tmp_path)
    assert not any(path.exists() for path in ours)
    assert all(path.read_text() == "mine" for path in theirs)
    assert (tmp_path / ".build.tmp").is_dir()


def test_a_folder_takes_the_place_of_another_at_once(tmp_path):
    write_folder(tmp_path / "out", [("0.png", b"0"), ("a/1.png", b"1")])
    assert contents(tmp_path / "out") == {"0.png": b"0", "a/1.png": b"1"}
    write_folder(tmp_path / "out", [("2.png", b"2")])
    assert contents(tmp_path / "out") == {"2.png": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_folder(tmp_path / "out", [("0.png", b"0")])

    def files():
        yield "1.png", b"1"
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match="No space left on device; nothing was written"):
        write_folder(tmp_path / "out", files())
    with pytest.raises(WriteError, match="nothing was written"):
        write_folder(tmp_path / "out", [("1.png", b"1"), ("./1.png", b"other")])  # one file, twice
    assert contents(tmp_path) == {"out/0.png": b"0"}


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path):
    write_atomically(tmp_path / ("x" * 255), b"x")
    assert contents(tmp_path) == {"x" * 255: b"x"}
