"""The health of a run as two files: health.json and health.png."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from simulacra.errors import UsageError
from simulacra.exploration.health.findings import Health
from simulacra.exploration.health.picture import health_picture
from simulacra.files import finite, write_atomically
from simulacra.pictures import save_image

JSON, PICTURE = "health.json", "health.png"


def write_health(found: Health, folder: Path, run: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """Write both files into a folder, which is made where there is none; returns where they lie.

    Raises UsageError where the folder is a file.
    """
    refuse_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / JSON, json.dumps(finite(asdict(found)), indent=2, ensure_ascii=False).encode())
    save_image(health_picture(found, run), folder / PICTURE)
    return folder / JSON, folder / PICTURE


def refuse_file(folder: Path) -> None:
    """Raise UsageError, before anything is computed, for a folder that is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder; {JSON} and {PICTURE} are written into one")
