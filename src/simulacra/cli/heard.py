"""Sounds and texts on disk: `.wav` with a spectrogram beside it, a folder of `.wav`, a `.txt`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simulacra.data.mulaw import decode
from simulacra.data.wav import wav_bytes
from simulacra.errors import UsageError
from simulacra.fields import Field, Sound, Text
from simulacra.files import write_atomically, write_folder
from simulacra.pictures import save_image
from simulacra.spectrograms import spectrogram_picture

PAUSE = 0.25  # seconds between the sounds of one file
BETWEEN = "\n----\n"


def usual_ending(of: Field) -> str:
    """The ending of the file that items are written to where none is named."""
    return ".wav" if isinstance(of, Sound) else ".txt" if isinstance(of, Text) else ".png"


def refuse_heard(path: Path, of: Sound | Text) -> None:
    """Raise UsageError for a path that `write_heard` would not write to.

    A folder of sounds takes the place of another one; one that holds anything else stays as it is.
    """
    if isinstance(of, Text):
        if path.suffix != ".txt":
            raise UsageError(f"cannot write {path}: text goes to a .txt or a .npz")
        return
    if path.suffix not in (".wav", ".png", ""):
        raise UsageError(f"cannot write {path}: sound goes to a .wav, a .png (spectrograms), a .npz or a folder")
    if not path.suffix and path.exists():
        known = path.is_dir() and all(re.fullmatch(r"\d{6,}\.wav", each.name) for each in path.iterdir())
        if not known:
            raise UsageError(f"{path} is there already and holds other things than sounds: name another folder")


def write_heard(path: Path, items: np.ndarray, of: Sound | Text) -> None:
    """Items (N, T): sounds one after the other in a `.wav`, with their spectrograms in a `.png` of the same name; a
    `.png` of these alone; a folder of one `.wav` each; texts in a `.txt`, with a line between them."""
    refuse_heard(path, of)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(of, Text):
        write_atomically(path, BETWEEN.join(map(as_text, items)).encode())
    elif path.suffix:
        if path.suffix == ".wav":
            write_atomically(path, wav_bytes(one_after_the_other(decode(items), of.rate), of.rate))
        save_image(spectrogram_picture(items, of), path.with_suffix(".png"))
    else:
        write_folder(path, _each(items, of))


def as_text(item: np.ndarray) -> str:
    """Bytes (T,) as text; those that are no UTF-8 show as the replacement character."""
    return item.astype(np.uint8).tobytes().decode("utf-8", "replace")


def one_after_the_other(sounds: np.ndarray, rate: int) -> np.ndarray:
    """Sounds (N, T) -> one (S,), a quarter of a second of silence after each but the last."""
    pause = round(PAUSE * rate)
    padded = np.pad(sounds, ((0, 0), (0, pause)))
    return padded.reshape(-1)[: padded.size - pause]


def _each(items: np.ndarray, of: Sound) -> Iterator[tuple[str, bytes]]:
    for i, item in enumerate(items):
        yield f"{i:06d}.wav", wav_bytes(decode(item), of.rate)
