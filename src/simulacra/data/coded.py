"""Films that a video codec packs into one file, .mp4 and the like, read with PyAV: the extra `video`.

Frames are taken as they follow each other, whatever their times; a sound track is left aside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.dataset import Unreadable
from simulacra.data.images import MAX_FILM, MAX_FRAMES, Header, Target, UnreadableImage, fit
from simulacra.errors import DataError, cause

CODED = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"))


def coded_header(path: Path) -> tuple[Header, int] | Unreadable:
    """Size, colours and number of frames of a film; they are counted, since what a file says of itself may be wrong."""
    try:
        with _film(path) as (stream, frames):
            grey, size = stream.pix_fmt is not None and stream.pix_fmt.startswith("gray"), (stream.height, stream.width)
            count = 0
            for count, _ in enumerate(frames, 1):
                if count > MAX_FRAMES or count * size[0] * size[1] > MAX_FILM:
                    raise UnreadableImage(f"more than {count - 1:,} frames of {size[1]}×{size[0]} are not read: cut it")
            if not count:
                raise UnreadableImage("it holds no frame")
            return Header(*size, grey), count
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))


def coded_frames(path: Path, target: Target, count: int) -> np.ndarray | Unreadable:
    """The first `count` frames of a film, (count, C, H, W) uint8, or why there are none."""
    found = np.empty((count, *target.shape), np.uint8)
    try:
        with _film(path) as (_, frames):
            read = 0
            for read, frame in enumerate(frames, 1):
                pixels = frame.to_ndarray(format="gray" if target.grey else "rgb24")
                own = pixels[None] if target.grey else pixels.transpose(2, 0, 1)
                found[read - 1] = fit(own, target.height, target.width) if target.resize else own
                if read == count:
                    return found
        raise UnreadableImage(f"it ends after {read} frames of {count}")
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))


@contextlib.contextmanager
def _film(path: Path) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The first video stream of a file and its frames; raises UnreadableImage, and DataError without PyAV."""
    try:
        import av
    except ImportError:
        raise DataError(
            f"{path} is read with the package av: pip install 'simulacra[video]', or save its frames as pictures"
        ) from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableImage("it holds no film")
            yield container.streams.video[0], container.decode(video=0)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableImage(f"it cannot be decoded: {cause(error)}") from error
