"""Files that a verb writes for its user: whole or not at all, in a folder that is made where there is none."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simulacra.weights import write_atomically


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
