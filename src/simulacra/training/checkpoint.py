"""Checkpoints: folders that are either whole or not there.

    checkpoints/step-00000400/{state.json, state.safetensors, manifest.json}      checkpoints/latest

A folder is written under a temporary name, synced, sealed by a manifest of sha256 sums and renamed; only then does the
file `latest` move, and only then are older folders removed. After a crash at any moment the newest whole one is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from simulacra.errors import ModelFileError, TrainingError, WriteError
from simulacra.files import fsync_folder, write_atomically
from simulacra.weights import json_bytes, json_object, read_json, read_tensors, write_tensors

KEPT = 2  # the newest, and the one before it in case the newest is damaged later
_TEMPORARY = ".writing-"
_NAME = "step-" + 8 * "[0-9]"
_FILES = {"state.json", "state.safetensors"}


class Found(NamedTuple):
    """A whole checkpoint; `damage`: what is wrong with the newest one, where this is the one before it."""

    state: dict[str, Any]
    tensors: dict[str, Tensor]
    damage: str | None


def save(folder: Path, step: int, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Add a checkpoint to `folder`; returns its own folder.

    Raises TrainingError, with the older ones untouched, when the disk is full.
    """
    name = f"step-{step:08d}"
    temporary = folder / f"{_TEMPORARY}{name}"
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < 2 * needed:
        raise TrainingError(
            f"no room for a checkpoint in {folder}: {2 * needed / 1e6:.0f} MB needed; older ones are kept"
        )
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        write_atomically(temporary / "state.json", json.dumps(dict(state)).encode())
        write_tensors(temporary / "state.safetensors", tensors)
        manifest = {file.name: _sha256(file) for file in sorted(temporary.iterdir())}
        write_atomically(temporary / "manifest.json", json.dumps(manifest).encode())
        shutil.rmtree(folder / name, ignore_errors=True)
        temporary.rename(folder / name)
        fsync_folder(folder)
        write_atomically(folder / "latest", name.encode())
    except (OSError, WriteError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise TrainingError(f"cannot write a checkpoint in {folder}: {error}; older ones are kept") from error
    for old in _names(folder)[KEPT:]:
        shutil.rmtree(folder / old, ignore_errors=True)
    return folder / name


def newest(folder: Path, expected: Mapping[str, Tensor]) -> Found | None:
    """The newest checkpoint that is whole; None when there is none at all.

    Leftovers of a crash are swept. Raises ModelFileError when there are checkpoints and every one is damaged.
    """
    if not folder.is_dir():
        return None
    for leftover in folder.glob(f"{_TEMPORARY}{_NAME}"):
        shutil.rmtree(leftover, ignore_errors=True)
    damage = None
    for name in _names(folder):
        try:
            return Found(*_read(folder / name, expected), damage and str(damage))
        except ModelFileError as error:
            damage = damage or error
    if damage is not None:
        raise damage
    return None


def _read(folder: Path, expected: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    manifest = read_json(folder / "manifest.json")
    if manifest.keys() != _FILES:
        raise ModelFileError(f"{folder / 'manifest.json'} does not name {' and '.join(sorted(_FILES))}")
    content = json_bytes(folder / "state.json")
    if hashlib.sha256(content).hexdigest() != manifest["state.json"]:
        raise ModelFileError(f"{folder / 'state.json'} does not match its manifest")
    tensors, _ = read_tensors(folder / "state.safetensors", expected, sha256=str(manifest["state.safetensors"]))
    return json_object(folder / "state.json", content), tensors


def _names(folder: Path) -> list[str]:
    """Whole checkpoints, newest first."""
    return sorted((path.parent.name for path in folder.glob(f"{_NAME}/manifest.json")), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
