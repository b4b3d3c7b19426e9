"""A run folder: everything that is known of one training, and the door that lets in one process at a time.

runs/<name>/{run.json, metrics.jsonl, samples/, checkpoints/, model/}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from simulacra import migrations
from simulacra.errors import ModelFileError, TrainingError, UsageError
from simulacra.files import is_temporary, open_regular, parse_json, read_regular, sweep, write_atomically
from simulacra.weights import read_json

MAX_LOG = 1 << 30  # bytes of metrics.jsonl
MAX_THREADS = 1 << 12
MAX_SHOWN = 80  # characters of a setting in a message


class RunFolder:
    """The files of a run. The methods write; only the leading process calls them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints, self.samples, self.model = path / "checkpoints", path / "samples", path / "model"

    def record(self) -> dict[str, Any] | None:
        """What `run.json` says, None for a run that has not begun; raises UsageError when it is damaged."""
        try:
            return read_json(self.path / "run.json") if (self.path / "run.json").exists() else None
        except ModelFileError as error:
            raise UsageError(f"{error}; choose another folder with --out") from None

    def write_record(self, record: Mapping[str, Any]) -> None:
        write_atomically(self.path / "run.json", json.dumps(record, indent=2).encode())

    def log(self, entry: Mapping[str, Any]) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop what was logged after the checkpoint from which the run goes on: those steps will be taken again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            kept = [line for line in read_regular(path, MAX_LOG).split(b"\n") if _step_of(line) <= step]
            write_atomically(path, b"".join(line + b"\n" for line in kept))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run folder, and sweep what a crash left in it.

        Raises UsageError for a folder with other things in it, which stays as it is, and TrainingError at once when
        another living process holds it.
        """
        self._refuse_if_foreign()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = _lock_file(self.path / ".lock")
        except OSError as error:
            raise UsageError(
                f"cannot use {self.path} as a run folder: {error.strerror}; choose another with --out"
            ) from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TrainingError(
                    f"another process is training in {self.path}; wait for it, or choose another folder with --out"
                ) from None
            sweep(self.path)  # what a write that was cut off has left
            yield

    def _refuse_if_foreign(self) -> None:
        ours = not self.path.is_dir() or (self.path / "run.json").exists()
        if not ours and any(item.name != ".lock" and not is_temporary(item) for item in self.path.iterdir()):
            raise UsageError(f"{self.path} holds other files and no run; choose an empty folder with --out")


def _lock_file(path: Path) -> IO[bytes]:
    """A regular file that is made where there is none; what lies there is not changed, and a pipe is not waited for."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o666))
    open_regular(path).close()  # raises for what is none
    return path.open("r+b")  # some file systems lock only what may be written


def _step_of(line: bytes) -> float:
    """Of a line of the log; endless for what is none: half a line, cut off by a crash, or a damaged one."""
    try:
        step = parse_json(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf
    return step if isinstance(step, int) else math.inf


def threads_of(path: Path, record: Mapping[str, Any]) -> int | None:
    """The threads that the run in `path` was begun with, None where its record does not say; raises UsageError for
    what is no number of threads."""
    threads = record.get("threads")
    if threads is not None and not (type(threads) is int and 1 <= threads <= MAX_THREADS):
        raise UsageError(
            f"{path / 'run.json'} is damaged: 'threads' is {threads!r:.40}, and no number 1 to {MAX_THREADS}; "
            "set it to the number of threads that the run was begun with"
        )
    return threads


def precision_of(path: Path, record: Mapping[str, Any]) -> str | None:
    """The precision that the run in `path` was begun in, None where its record does not say; raises UsageError for
    what is none."""
    precision = record.get("precision")
    if precision not in (None, "fp32", "bf16"):
        raise UsageError(
            f"{path / 'run.json'} is damaged: 'precision' is {precision!r:.40}, and neither fp32 nor bf16; set it to "
            "the precision that the run was begun in"
        )
    return precision


def unused(path: Path) -> Path:
    """`path` itself, or `path-2`, `path-3`, ... : the first that is not there or empty."""
    candidate, number = path, 1
    while candidate.exists() and any(candidate.iterdir()):
        number += 1
        candidate = path.with_name(f"{path.name}-{number}")
    return candidate


def refuse_if_different(path: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise UsageError with the settings that differ between the run that lies in `path` and the new one."""
    then = {**then, "model": migrations.of_run(then.get("model"), path / "run.json")}
    if differing := list(_differing(then, now, ())):
        listed = ", ".join(f"{key} ({before} there, {after} now)" for key, before, after in differing[:6])
        raise UsageError(
            f"{path} holds a run made with other settings: {listed}. "
            "Use --fresh for a new folder beside it, another --out, or the settings it was made with."
        )


def _differing(then: Any, now: Any, place: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    """(where, what was there, what is now) of whatever is not equal: `model.network.hidden`, 8, 9.

    Parts and models are tables of one name, which says what they are: where the names differ, these are all there is to
    say, and where they do not, they are left out of the place.
    """
    if then == now:
        return
    if not (isinstance(then, Mapping) and isinstance(now, Mapping)):
        yield ".".join(place), _short(then), _short(now)
    elif then.keys() == now.keys() or not len(then) == len(now) == 1:
        named = len(then) == len(now) == 1 and isinstance(next(iter(then.values())), Mapping)
        for key in sorted(then.keys() | now.keys(), key=lambda key: (key != "model", key)):
            inner = place if named or (*place, key) == ("model", "model") else (*place, key)
            yield from _differing(then.get(key), now.get(key), inner)
    else:
        yield ".".join(place), next(iter(then)), next(iter(now))


def _short(value: Any) -> Any:
    """Of a part its name; of what is long the beginning."""
    short = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else value
    return short if len(str(short)) <= MAX_SHOWN else f"{short!s:.{MAX_SHOWN}}…"
