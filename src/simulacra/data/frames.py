"""One film of a folder, frame by frame: numbered pictures, a GIF, a film of a codec, or a strip of frames in a picture.

Frames are in the order of their numbers, which must go up by the same step everywhere: what is missing, or is there
twice, is named, because a clip with a jump in it teaches a motion that never was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from simulacra.data.coded import CODED, coded_frames, coded_header
from simulacra.data.dataset import Unreadable
from simulacra.data.folder import common_target
from simulacra.data.images import Decoded, Header, Target, decode, fit, gif_frames, gif_header, read_header
from simulacra.errors import DataError

GIF = ".gif"
WHOLE = CODED | {GIF}  # endings of files that are a film each
NUMBER = re.compile(r"(\d+)\D*$")  # the last number of a name
Kind = Literal["frames", "gif", "coded", "strip"]


@dataclass(frozen=True)
class Film:
    """Attributes:
    path: of the folder of its frames, or of the one file.
    part: "train", "valid" or "test".
    class_name: None where there are no classes.
    kind: how the frames are stored.
    files: those of the frames in their order, or the one file.
    length: frames.
    header: size and colours of a frame.
    """

    path: Path
    part: str
    class_name: str | None
    kind: Kind
    files: tuple[Path, ...]
    length: int
    header: Header


def in_order(folder: Path, files: Sequence[Path]) -> tuple[Path, ...]:
    """The frames of one folder by their numbers. Raises DataError for a name without a number, for a number that is
    there twice, and for numbers that are missing."""
    numbers: dict[int, Path] = {}
    for path in files:
        if (found := NUMBER.search(path.stem)) is None:
            raise DataError(f"{path} has no number, and frames are in the order of theirs: call it frame_0001.png, say")
        number = int(found[1])
        if number in numbers:
            raise DataError(
                f"{folder} has two frames number {number}: {numbers[number].name} and {path.name}. A folder holds one "
                "clip: keep one of them, or move the other clip"
            )
        numbers[number] = path
    _refuse_gaps(folder, sorted(numbers))
    return tuple(numbers[number] for number in sorted(numbers))


def _refuse_gaps(folder: Path, numbers: Sequence[int]) -> None:
    """Raise DataError unless the numbers go up by one step, which may be 5 where every fifth frame was kept."""
    steps = np.diff(numbers)
    if len(steps) == 0 or (steps == steps[0]).all():
        return
    usual = Counter(steps.tolist()).most_common(1)[0][0]
    at = int(np.flatnonzero(steps != usual)[0])
    before, after = numbers[at], numbers[at + 1]
    missing = range(before + usual, after, usual)
    listed = f"frame {missing[0]}" if len(missing) == 1 else f"frames {missing[0]} to {missing[-1]}" if missing else ""
    what = f"{listed} missing" if listed else f"frame {after} follows {before}, and the others are {usual} apart"
    raise DataError(f"{folder}: {what}. Put what comes after {before} into a folder of its own, or number it anew")


def film_of(path: Path, part: str, class_name: str | None, files: Sequence[Path]) -> Film | list[Unreadable]:
    """A folder of frames, or a file that is a film; or what of it cannot be read."""
    if path.suffix.lower() in WHOLE and not path.is_dir():
        kind: Kind = "gif" if path.suffix.lower() == GIF else "coded"
        found = gif_header(path) if kind == "gif" else coded_header(path)
        if isinstance(found, Unreadable):
            return [found]
        header, length = found
        return Film(path, part, class_name, kind, (path,), length, header)
    ordered = in_order(path, files)
    headers = {each: read_header(each) for each in ordered}
    if bad := [header for header in headers.values() if isinstance(header, Unreadable)]:
        return bad
    target = common_target(path, {each: header for each, header in headers.items() if isinstance(header, Header)}, None)
    return Film(
        path, part, class_name, "frames", ordered, len(ordered), Header(target.height, target.width, target.grey)
    )


def strip_of(path: Path, part: str, class_name: str | None, header: Header) -> Film:
    """A picture of square frames side by side, or one below the other."""
    side = min(header.height, header.width)
    length = max(header.height, header.width) // side
    return Film(path, part, class_name, "strip", (path,), length, Header(side, side, header.grey))


def frames_in_strip(header: Header) -> int:
    """How many square frames a picture is a strip of; 0 of another one."""
    long, side = max(header.height, header.width), min(header.height, header.width)
    return long // side if long % side == 0 else 0


def read_film(film: Film, target: Target, count: int) -> np.ndarray | Unreadable:
    """The first `count` frames (count, C, H, W) uint8, or which of them cannot be read."""
    if film.kind in ("gif", "coded"):
        return (gif_frames if film.kind == "gif" else coded_frames)(film.path, target, count)
    if film.kind == "strip":
        return _strip(film, target, count)
    frames = []
    for path in film.files[:count]:
        decoded = decode(path, target)
        if not isinstance(decoded, Decoded):
            return decoded
        frames.append(decoded.pixels)
    return np.stack(frames)


def _strip(film: Film, target: Target, count: int) -> np.ndarray | Unreadable:
    header = read_header(film.path)
    if isinstance(header, Unreadable):
        return header
    decoded = decode(film.path, Target(header.height, header.width, target.grey))
    if not isinstance(decoded, Decoded):
        return decoded
    axis = 2 if header.width >= header.height else 1
    frames = np.split(decoded.pixels, film.length, axis)[:count]
    return np.stack([fit(frame, target.height, target.width) if target.resize else frame for frame in frames])
