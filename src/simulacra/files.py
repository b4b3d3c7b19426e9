"""Files, whole or not at all: written so that a crash leaves the old one or the new one, read as if they were hostile.

A path that a stranger gives may lead to a device or a pipe that never ends, or to a sparse file of a terabyte. So only
regular files are opened, and what is read at once has a size that is known before.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from simulacra.errors import WriteError

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_MUCH = 1 << 16  # bytes
_TEMPORARY = re.compile(r"\.simulacra-[0-9a-f]{16}\.tmp")


# Reading


class _Regular(io.BufferedReader):
    """A reader sets aside as many bytes as it is asked for: here no more than the file still has.

    Decoders ask for what a header claims, which may be gigabytes.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MUCH:
            size = min(size, max(0, size_of(self) - self.tell()))
        return super().read(size)


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file, opened for reading; raises OSError for a folder, a pipe, a device, and does not wait for them."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'a device')}, and no regular file", str(path))
        return _Regular(io.FileIO(handle, "rb"))
    except BaseException:
        os.close(handle)
        raise


def size_of(file: IO[bytes]) -> int:
    """Bytes of a file that `open_regular` opened."""
    return os.fstat(file.fileno()).st_size


def read_regular(path: Path, most: int) -> bytes:
    """All of a regular file of at most `most` bytes; raises OSError for a larger one, as `open_regular` does."""
    with open_regular(path) as file:
        if (size := size_of(file)) > most:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, and {most:,} are the limit", str(path))
        return file.read(size)


def holds(path: Path, content: bytes) -> bool:
    """Whether a regular file has exactly this content; no more than that is read of a larger one."""
    try:
        return read_regular(path, len(content)) == content
    except OSError:
        return False


def finite(value: Any) -> Any:
    """A record with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_json(content: bytes, halves: bool = False) -> Any:
    """What JSON says; raises ValueError, too, for a name given twice, half a character, and nesting without end.

    halves: these ("\\ud800") are let through: names of files hold in them the bytes that are no UTF-8.
    """
    try:
        record = json.loads(content, object_pairs_hook=_unique_keys)
        if not halves:
            json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text in it holds half a character") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return record


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a name is given twice")
    return record


# Writing


def temporary_beside(path: Path) -> Path:
    """A name in the same folder for what is being written; `sweep` knows such names, and nobody else makes them."""
    return path.with_name(f".simulacra-{secrets.token_hex(8)}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether `temporary_beside` made the name."""
    return _TEMPORARY.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left in a folder and below it; whatever cannot be removed stays."""
    for path in folder.rglob(".simulacra-*.tmp"):
        if is_temporary(path) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif is_temporary(path):
            with contextlib.suppress(OSError):
                path.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step that survives a crash: temporary file, fsync, rename, fsync."""
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteError(f"cannot write {path}: {error.strerror}; what was there before is untouched") from error


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Files under their names, which may have folders in them, in a folder that takes the place of `path`.

    What `path` held before is removed, but only when all is written: whoever calls decides first whether it may go.
    Raises WriteError, with everything as it was, where that fails.
    """
    path = Path(os.path.realpath(path))  # of a link what it leads to is replaced
    new, old = temporary_beside(path), temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        for name, content in files:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            with (new / name).open("xb") as file:
                file.write(content)
        _take_the_place(new, path, old)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror}; nothing was written") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _take_the_place(new: Path, path: Path, old: Path) -> None:
    """Rename `new` to `path`, what lies there to `old`; or back, where that fails."""
    if not path.exists():
        new.rename(path)
        return
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Raises WriteError where the file cannot be written; what was there before stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], comment: bytes = b"") -> None:
    """A compressed .npz with all arrays by name, or a .npy with the array "x" alone, as the ending of the path says.

    comment: of the archive, in which NumPy takes no interest.
    """
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, arrays["x"], allow_pickle=False)
    else:
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.comment = comment
    write_bytes(path, buffer.getvalue())
