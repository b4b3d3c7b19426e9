"""Video: clips of T frames, x = (T, C, H, W) on 256 levels, cut from the films that lie in a folder.

| what lies there                              | a film is     | its class, where there are several                |
| -------------------------------------------- | ------------- | ------------------------------------------------- |
| folders of numbered pictures                 | each folder   | the folder that the folder lies in                |
| .gif files, and .mp4, .mov, .mkv, .avi, .webm | each file    | the folder that the file lies in                  |
| pictures of T or more square frames in a row | each picture  | the folder that the picture lies in               |

train/ valid/ test/ above any of them are splits. Clips follow each other without overlap; frames that are left at the
end of a film are cut off, and a film of fewer than T frames is left out. Both are counted. All clips of a film are
siblings: they lie in one split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Card, Unreadable
from simulacra.data.folder import PART_OF_FOLDER, claims_image, common_target, stop_if_many, things_below
from simulacra.data.frames import WHOLE, Film, film_of, frames_in_strip, read_film, strip_of
from simulacra.data.images import Header, Target, read_header
from simulacra.data.source import Batch, Source
from simulacra.errors import DataError
from simulacra.fields import ClassLabel
from simulacra.terminal import number_of, printable

LEVELS = 256


def video_source(root: Path, card: Card, window: int, resize: tuple[int, int] | None) -> Source:
    """The clips of `window` frames in a folder; `resize` is (H, W). Raises DataError for a folder that holds none."""
    films, bad = films_below(root, window)
    stop_if_many(bad, root, len(films) + len(bad))
    long = [film for film in films if film.length >= window]
    if not long:
        most = max((film.length for film in films), default=0)
        raise DataError(
            f"{root}: its longest film has {most} frames, and clips of {window} are wanted: --window {most}"
        )
    classes = _classes(root, long)
    target = common_target(root, {film.files[0]: film.header for film in long}, resize)
    return Source(
        name=printable(root.name),
        card=card,
        count=sum(film.length // window for film in long),
        batches=lambda: _batches(long, classes, target, window, bad),
        files=tuple(path for film in long for path in film.files),
        options=("video", f"window={window}", f"resize={resize}"),
        levels=LEVELS,
        fields={"label": ClassLabel(len(classes), tuple(map(printable, classes)))} if classes else {},
        kind=_kind(long, window, classes),
        remarks=_remarks(root, films, window),
    )


def films_below(root: Path, window: int) -> tuple[list[Film], list[Unreadable]]:
    """The films of a folder, in the order of their paths, and what of them cannot be read.

    Raises DataError for a folder that holds none, and for frames that have no order.
    """
    files = [path for path in things_below(root) if claims_image(path) or path.suffix.lower() in WHOLE]
    if not files:
        raise DataError(f"{root} holds no folders of frames, no .gif or .mp4 files and no strips of frames")
    films: list[Film] = []
    bad: list[Unreadable] = []
    parts = _parts(root, files)
    whole = [path for path in files if path.suffix.lower() in WHOLE]
    pictures = [path for path in files if path.suffix.lower() not in WHOLE]
    strips = _strips(pictures, window)
    for path in whole:
        _add(film_of(path, _part(root, path, parts), _class(root, path.parent, parts), [path]), films, bad)
    for path, header in strips.items():
        films.append(strip_of(path, _part(root, path, parts), _class(root, path.parent, parts), header))
    folders: dict[Path, list[Path]] = {}
    for path in pictures:
        if path not in strips:
            folders.setdefault(path.parent, []).append(path)
    for folder, frames in folders.items():
        name = None if folder == root else _class(root, folder.parent, parts)
        _add(film_of(folder, _part(root, folder, parts), name, frames), films, bad)
    return sorted(films, key=lambda film: film.path), bad


def _add(found: Film | list[Unreadable], films: list[Film], bad: list[Unreadable]) -> None:
    if isinstance(found, Film):
        films.append(found)
    else:
        bad += found


def _strips(pictures: Sequence[Path], window: int) -> dict[Path, Header]:
    """The pictures that are strips of at least two and `window` frames, where the first one is; else none are."""
    found: dict[Path, Header] = {}
    for path in pictures:
        header = read_header(path)
        if isinstance(header, Header) and frames_in_strip(header) >= max(2, window):
            found[path] = header
        elif not found:
            return {}
    return found


def _parts(root: Path, files: Sequence[Path]) -> dict[Path, str]:
    """The folders of splits, where all that is there lies in such; raises DataError where some does and some not."""
    folders = {root / path.relative_to(root).parts[0] for path in files}
    official = {folder: part for folder in folders if (part := PART_OF_FOLDER.get(folder.name.lower()))}
    if "train" not in official.values() or not all(folder.is_dir() for folder in official):
        return {}
    if others := sorted(folders - set(official)):
        raise DataError(f"{root} has train/ and other splits, and also {others[0].name}, which is none. Move it away.")
    return official


def _part(root: Path, path: Path, parts: dict[Path, str]) -> str:
    return next((part for folder, part in parts.items() if folder == path or folder in path.parents), "train")


def _class(root: Path, folder: Path, parts: dict[Path, str]) -> str | None:
    """The name of the folder that films lie in, unless it is the whole, or a split."""
    return None if folder == root or root not in folder.parents or folder in parts else folder.name


def _classes(root: Path, films: Sequence[Film]) -> tuple[str, ...]:
    """Raises DataError where some films lie in a folder of a class and others beside it."""
    found = {film.class_name for film in films}
    named = tuple(sorted(name for name in found if name is not None))
    if len(found) > 1 and None in found:
        beside = next(film for film in films if film.class_name is None)
        raise DataError(f"{root}: {beside.path.name} lies beside {named[0]}/, which holds films: is it a class or not?")
    return named if len(named) > 1 else ()


def _batches(
    films: Sequence[Film], classes: tuple[str, ...], target: Target, window: int, bad: Sequence[Unreadable]
) -> Iterator[Batch]:
    """A batch for each film."""
    unreported = tuple(bad)
    for number, film in enumerate(films):
        clips = film.length // window
        frames = read_film(film, target, clips * window)
        if isinstance(frames, Unreadable):
            frames, unreported = np.empty((0, *target.shape), np.uint8), (*unreported, frames)
        x = frames.reshape(-1, window, *target.shape)
        label = {"label": np.full(len(x), classes.index(film.class_name or ""), np.int64)} if classes else {}
        yield Batch(film.part, x, label, unreported, siblings={"of a film": np.full(len(x), number, np.uint64)})
        unreported = ()


def _kind(films: Sequence[Film], window: int, classes: tuple[str, ...]) -> str:
    names = {"frames": "folder", "gif": "GIF", "coded": "film", "strip": "strip"}
    counts = {kind: sum(film.kind == kind for film in films) for kind in names}
    listed = " and ".join(
        number_of(n, names[kind]) + " of frames" * (kind == "frames") for kind, n in counts.items() if n
    )
    clips = sum(film.length // window for film in films)
    return f"video: {clips:,} clips of {window} frames from {listed}" + (f" in {len(classes)} classes" * bool(classes))


def _remarks(root: Path, films: Sequence[Film], window: int) -> tuple[str, ...]:
    """What is cut off or left out, and where numbers and names disagree."""
    remarks = []
    if short := [film for film in films if film.length < window]:
        example = short[0].path.relative_to(root)
        remarks.append(f"{number_of(len(short), 'film')} of fewer than {window} frames left out, such as {example}")
    if cut := sum(film.length % window for film in films if film.length >= window):
        remarks.append(
            f"{number_of(cut, 'frame')} cut off, at the ends of films whose length is no multiple of {window}"
        )
    for film in films:
        if film.kind == "frames" and list(film.files) != sorted(film.files):
            first = next(a for a, b in zip(film.files, sorted(film.files), strict=True) if a != b)
            remarks.append(
                f"frames are read by their numbers, which is not the order of their names: {first.name}, say"
            )
            break
    shortest = min(film.length for film in films)
    longest = max(film.length for film in films)
    remarks.append(f"films have {shortest}" + (f" to {longest}" if longest > shortest else "") + " frames")
    return tuple(map(printable, remarks))


def clips_of(frames: np.ndarray, window: int, every: int) -> np.ndarray:
    """Clips (N, T, ...) of frames (F, ...), one beginning at every so many of them."""
    starts = range(0, len(frames) - window + 1, every)
    shape = (0, window, *frames.shape[1:])
    return np.stack([frames[start : start + window] for start in starts]) if len(starts) else np.empty(shape, np.uint8)
