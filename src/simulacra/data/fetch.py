"""Files of the named sets: found in $SIMULACRA_DATA or among earlier downloads, else downloaded and checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from simulacra.data.cache import cache_root
from simulacra.errors import DataError

SHOWN_DIGITS = 12  # of a digest in a message
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Remote:
    """A file at its official source. `digest` is "sha256:..." where verified, else the published "md5:..."."""

    url: str
    digest: str
    note: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def places(set_name: str, *aliases: str) -> list[Path]:
    """The folders that may hold the files of a named set, nearest first; the last is where downloads go."""
    root = os.environ.get("SIMULACRA_DATA")
    local = [Path(root).expanduser() / alias for alias in (set_name, *aliases)] if root else []
    return [*local, cache_root() / "downloads" / set_name]


def find(folders: Iterable[Path], *names: str) -> Path | None:
    """The first of the files (or folders) called so, by folder and then by name."""
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def download(remote: Remote, folder: Path) -> Path:
    """Fetches a file into `folder` and checks it; raises DataError, saying what to put where, if that fails."""
    partial = folder / f".partial-{os.getpid()}-{remote.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(remote.url, timeout=TIMEOUT_SECONDS) as response, partial.open("wb") as file:
            shutil.copyfileobj(response, file)
        _check(partial, remote)
        return partial.replace(folder / remote.name)
    except (OSError, HTTPException) as error:  # a URLError or a timeout is an OSError
        raise DataError(
            f"cannot download {remote.url}: {error}.\n"
            f"Put {remote.name} ({_short(remote.digest)}) into {folder} or $SIMULACRA_DATA/{folder.name}.{remote.note}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _check(path: Path, remote: Remote) -> None:
    algorithm, _, expected = remote.digest.partition(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != expected:
        raise DataError(
            f"{remote.url} sent something else: {_short(f'{algorithm}:{found}')}, expected {_short(remote.digest)}"
        )


def _short(digest: str) -> str:
    """algorithm:hex with as many digits as a person compares."""
    algorithm, _, digits = digest.partition(":")
    return f"{algorithm}:{digits[:SHOWN_DIGITS]}..."
