"""Scenes of people who walk: everybody who is there for all of 8 + 12 steps from one frame on, 3.2 and 4.8 seconds.

x is where they go, (P, 12, 2) in metres, and the field `past`, a list of (8, 2), where they come from; nobody is in x
who is not in `past`. Every frame begins a scene, unless there is nobody who stays. A scene has room for 64 people, or
for the next multiple of 64, so that one model reads most data sets.

| what lies there                        | splits                                                            |
| -------------------------------------- | ----------------------------------------------------------------- |
| train/ valid/ test/ with files         | as they are; what is missing is drawn from the train part         |
| three files or more, each a scene      | by file                                                           |
| one file or two                        | by time: the first 80 %, 10 % and 10 %; scenes across are left out |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Card
from simulacra.data.source import Batch, Encode, Source
from simulacra.data.splits import SPLITS
from simulacra.data.tracks import SUFFIX, Tracks, holds_tracks, homography_of, read_tracks
from simulacra.errors import DataError
from simulacra.fields import Field, Many, Paths, Real
from simulacra.terminal import number_of, printable

SEEN, PREDICTED = 8, 12  # steps
PAST = "past"
ROOM = 64  # people
SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}  # of the time of a file
PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}  # names of folders


@dataclass(frozen=True)
class Window:
    """A scene: the frame with which it begins, and the places (people, 20, 2) of everybody in it."""

    start: int
    places: np.ndarray


def windows(tracks: Tracks) -> list[Window]:
    """All scenes of a file, in the order of time."""
    steps = SEEN + PREDICTED
    at: dict[int, list[np.ndarray]] = defaultdict(list)
    for track in tracks.people:
        for begin in range(len(track.positions) - steps + 1):
            at[track.first + begin * tracks.step].append(track.positions[begin : begin + steps])
    return [Window(start, np.stack(at[start])) for start in sorted(at)]


def left_out(tracks: Iterable[Tracks]) -> tuple[int, int]:
    """How many people are seen for fewer steps than a scene has, and how many there are."""
    lengths = [len(track.positions) for own in tracks for track in own.people]
    return sum(length < SEEN + PREDICTED for length in lengths), len(lengths)


def walks_source(
    name: str, card: Card, files: Mapping[str, Sequence[Path]], options: tuple[str, ...] = (), kind: str = ""
) -> Source:
    """files: those of each part that there is. Raises DataError as `read_tracks` does, and where nobody stays for all
    steps."""
    every = [path for own in files.values() for path in own]
    read = {path: read_tracks(path) for path in every}
    found = {path: windows(tracks) for path, tracks in read.items()}
    few, people = left_out(read.values())
    most = max((len(window.places) for own in found.values() for window in own), default=0)
    if not most:
        raise DataError(f"{name}: nobody is seen for {SEEN + PREDICTED} steps in a row, and that is what a scene needs")
    room = -(-most // ROOM) * ROOM
    by_time = set(files) == {"train"} and len(every) < 3
    parts, crossing = _by_time(found, read) if by_time else ({p: [(f, found[f]) for f in files[p]] for p in files}, 0)
    if by_time and (empty := [part for part in SPLITS if not any(own for _, own in parts[part])]):
        raise DataError(f"{name}: no scenes are left for {empty[0]} once its time is cut; more of it is needed")
    remarks = [f"{few} of {people} people are seen for fewer than {SEEN + PREDICTED} steps, and left out"]
    if crossing:
        remarks.append(f"{number_of(crossing, 'scene')} across the borders of the splits in time, and left out")
    together = not by_time and "valid" not in files and len(every) > 2

    def batches() -> Iterator[Batch]:
        for part, own in parts.items():
            for path, some in own:
                if some:
                    yield _batch(part, some, room, str(path) if together else None)

    fields: dict[str, Field] = {PAST: Many(Real((SEEN, 2)), room)}
    count = sum(len(own) for listed in parts.values() for _, own in listed)
    behind = tuple(each for path in every if (each := homography_of(path)) is not None)
    return Source(
        name,
        card,
        count,
        batches,
        (*every, *dict.fromkeys(behind)),
        options,
        fields=fields,
        kind=kind,
        remarks=tuple(remarks),
    )


def _by_time(
    found: Mapping[Path, list[Window]], read: Mapping[Path, Tracks]
) -> tuple[dict[str, list[tuple[Path, list[Window]]]], int]:
    """Each file cut into blocks of time, and how many scenes lie across."""
    parts: dict[str, list[tuple[Path, list[Window]]]] = {part: [] for part in SPLITS}
    crossing = 0
    for path, own in found.items():
        begin, length = 0, (SEEN + PREDICTED) * read[path].step
        ends = [round(share * len(own)) for share in np.cumsum(list(SHARES.values()))]
        for part, end in zip(SHARES, ends, strict=True):
            border = own[end].start if end < len(own) else None
            some = [each for each in own[begin:end] if border is None or each.start + length <= border]
            crossing += end - begin - len(some)
            parts[part].append((path, some))
            begin = end
    return parts, crossing


def _batch(part: str, some: list[Window], room: int, scene: str | None) -> Batch:
    """scene: of which all these are, where whole scenes are drawn for splits."""
    x = np.zeros((len(some), room, PREDICTED, 2), np.float32)
    past, mask = np.zeros((len(some), room, SEEN, 2), np.float32), np.zeros((len(some), room), bool)
    for i, window in enumerate(some):
        people = len(window.places)
        past[i, :people], x[i, :people] = window.places[:, :SEEN], window.places[:, SEEN:]
        mask[i, :people] = True
    siblings = {} if scene is None else {"scene": np.full(len(some), _key(scene), np.uint64)}
    return Batch(part, x, {PAST: past, f"{PAST}.mask": mask}, siblings=siblings, fits={"x": _as_paths})


def _key(scene: str) -> int:
    return int.from_bytes(blake2b(scene.encode(), digest_size=8).digest(), "little")


def _as_paths(name: str, values: np.ndarray, train: np.ndarray) -> tuple[Field, Encode]:
    return Paths(values.shape[1:]), lambda own: own


def tracks_in(root: Path) -> dict[str, list[Path]]:
    """The files of tracks in a folder, by their part; {} of one that has none."""
    inside = {folder: part for folder, part in PARTS.items() if (root / folder).is_dir()}
    parts: dict[str, list[Path]] = defaultdict(list)
    for folder, part in inside.items():
        parts[part] += [path for path in sorted((root / folder).glob(f"*{SUFFIX}")) if holds_tracks(path)]
    found = {part: own for part, own in parts.items() if own}
    here = [path for path in sorted(root.glob(f"*{SUFFIX}")) if holds_tracks(path)]
    return found or ({"train": here} if here else {})


def folder_of_tracks(root: Path, files: Mapping[str, Sequence[Path]], card: Card) -> Source:
    """Those of `tracks_in`."""
    count = sum(map(len, files.values()))
    return walks_source(printable(root.name), card, files, kind=f"scenes of people, from {number_of(count, 'file')}")


def file_of_tracks(path: Path, card: Card) -> Source:
    """One file, cut by time."""
    return walks_source(printable(path.stem), card, {"train": [path]}, kind="scenes of people, from 1 file")
