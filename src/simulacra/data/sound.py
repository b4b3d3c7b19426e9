r"""`.wav` files as a data set: items are clips of one length, (T,) in 256 μ-law levels, padded with silence.

A recording that is longer than a clip becomes several clips without overlap; `length` says how many seconds of a clip
are recorded, before the silence. Files may lie in class folders and in train/ valid/ test/, like pictures. What is
`CLASS_SPEAKER_TAKE.wav` has a class and a speaker by its name, and in class folders so has `SPEAKER_TAKE.wav` a
speaker. Splits that are drawn keep all that a speaker says together, or, with fewer than three speakers, all of a
recording; a single recording is cut into blocks of time, train | valid | test.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from simulacra.data.dataset import Altered, Card, Unreadable
from simulacra.data.folder import MAX_UNREADABLE, PART_OF_FOLDER
from simulacra.data.mulaw import SILENCE, encode
from simulacra.data.source import Batch, Source
from simulacra.data.streams import CHUNK_BYTES
from simulacra.data.wav import SUFFIX, Header, read_header, read_wav
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Field, Real, Sound
from simulacra.terminal import number_of, printable

EXAMPLES = 3
SHARE = 0.1  # of the clips of a single recording that are held out for validation, and for the test
NAMED = re.compile(r"([^_]+)_([^_]+)_([^_]+)")  # class, speaker, take
SPOKEN = re.compile(r"([^_]+)_.+")  # speaker, take


@dataclass(frozen=True)
class Recording:
    """One file: the part that it belongs to, and who says what, where that is known."""

    path: Path
    part: str = "train"
    class_name: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Clips:
    """What recordings are brought to.

    rate: samples a second. window: samples of a clip. classes, speakers: their names, () without any.
    """

    rate: int
    window: int
    classes: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Field]:
        """What clips have: a label and a speaker, where these are known, and a length in seconds."""
        found: dict[str, Field] = {"length": Real((1,))}
        for name, names in (("label", self.classes), ("speaker", self.speakers)):
            found |= {name: ClassLabel(len(names), tuple(map(printable, names)))} if names else {}
        return found

    def cut(self, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels (S,) -> clips (n, window), and how many seconds of each are recorded, (n, 1) float32."""
        n = max(1, -(-len(sound) // self.window))
        x = np.full(n * self.window, SILENCE, np.uint8)
        x[: len(sound)] = sound
        recorded = np.minimum(len(sound) - self.window * np.arange(n), self.window)
        return x.reshape(n, self.window), (recorded[:, None] / self.rate).astype(np.float32)


def sounds_below(root: Path) -> list[Path]:
    """The `.wav` files in a folder and in those within it, sorted, hidden ones left out."""
    found: list[Path] = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [Path(folder, name) for name in files if is_sound(name) and not name.startswith(".")]
    return sorted(found)


def is_sound(path: Path | str) -> bool:
    return Path(path).suffix.lower() == SUFFIX


def sound_source(root: Path, card: Card, rate: int | None = None, window: int | None = None) -> Source:
    """A `.wav` file, or the folder `root` of them.

    rate: samples a second to which all are brought; by default that of the files, which then have one in common.
    window: samples of a clip; by default those of the longest recording, and one second at most.

    Raises DataError for files that hold no sound, for rates that differ, and for a folder without files.
    """
    recordings = recordings_of(root)
    headers, bad = _headers(recordings)
    _stop_if_many(root, bad, len(recordings))
    recordings = [each for each in recordings if each.path in headers]
    rate = rate or _common_rate(root, headers)
    longest = max(header.at(rate) for header in headers.values())
    clips = Clips(rate, window or min(longest, rate), *_names(recordings))
    counts = {path: -(-header.at(rate) // clips.window) for path, header in headers.items()}
    several = sum(count > 1 for count in counts.values())
    return Source(
        name=printable(root.name),
        card=card,
        count=sum(counts.values()),
        batches=partial(_batches, root, recordings, clips, tuple(bad)),
        files=tuple(each.path for each in recordings),
        options=(f"rate={rate}", f"window={clips.window}"),
        x=Sound((clips.window,), rate=rate),
        fields=clips.fields,
        kind=f"sound: {number_of(len(recordings), 'recording')}",
        remarks=_remarks(recordings, headers, clips, several),
    )


def recordings_of(root: Path) -> list[Recording]:
    """The files below `root`, or `root` itself, with what folders and names say of them."""
    if not root.is_dir():
        return [Recording(root)]
    paths = sounds_below(root)
    if not paths:
        raise DataError(f"{root} holds no {SUFFIX} files")
    below = {path: path.relative_to(root).parts[:-1] for path in paths}
    official = all(parts and parts[0].lower() in PART_OF_FOLDER for parts in below.values())
    found = []
    for path, parts in below.items():
        part, folders = (PART_OF_FOLDER[parts[0].lower()], parts[1:]) if official else ("train", parts)
        found.append(Recording(path, part, folders[0] if folders else None))
    if {"train"} - {each.part for each in found}:
        raise DataError(f"{root} holds valid/ or test/ and no train/: nothing could be learnt")
    return _named(root, found)


def _named(root: Path, found: list[Recording]) -> list[Recording]:
    """The same with the classes and speakers that names hold, where all of them do."""
    folders = {each.class_name for each in found}
    if None in folders and len(folders) > 1:
        raise DataError(f"{root}: some files lie in class folders and some do not; move the ones or the others")
    pattern = NAMED if None in folders else SPOKEN
    matches = [pattern.fullmatch(each.path.stem) for each in found]
    if len(found) < 2 or not all(matches):
        alone = len(folders) == 1
        return [replace(each, class_name=None) for each in found] if alone else found
    words = [match.groups() for match in matches if match]
    if pattern is NAMED:
        return [replace(each, class_name=own[0], speaker=own[1]) for each, own in zip(found, words, strict=True)]
    return [replace(each, speaker=own[0]) for each, own in zip(found, words, strict=True)]


def _names(recordings: Sequence[Recording]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All classes and all speakers, sorted; () where there are fewer than two."""
    classes = sorted({each.class_name for each in recordings if each.class_name is not None})
    speakers = sorted({each.speaker for each in recordings if each.speaker is not None})
    return tuple(classes) if len(classes) > 1 else (), tuple(speakers) if len(speakers) > 1 else ()


def _headers(recordings: Sequence[Recording]) -> tuple[dict[Path, Header], list[Unreadable]]:
    headers, bad = {}, []
    for each in recordings:
        try:
            headers[each.path] = read_header(each.path)
        except DataError as error:
            bad.append(Unreadable(str(each.path), str(error)))
    return headers, bad


def _stop_if_many(root: Path, bad: Sequence[Unreadable], total: int) -> None:
    if len(bad) > MAX_UNREADABLE * total:
        more = "" if total == 1 else f"\n{len(bad)} of {total} files below {root} hold no sound. Repair or remove them."
        raise DataError(f"{bad[0].reason}{more}")


def _common_rate(root: Path, headers: dict[Path, Header]) -> int:
    rates = Counter(header.rate for header in headers.values())
    if len(rates) > 1:
        example = {header.rate: path for path, header in headers.items()}
        listed = ", ".join(
            f"{n} at {rate:,} Hz (such as {example[rate].name})" for rate, n in rates.most_common(EXAMPLES)
        )
        raise DataError(
            f"{root} mixes sample rates: {listed}.\nBring them to one with --rate {min(rates)}, for example."
        )
    return next(iter(rates))


def _remarks(
    recordings: Sequence[Recording], headers: dict[Path, Header], clips: Clips, several: int
) -> tuple[str, ...]:
    own = Counter(header.rate for header in headers.values() if header.rate != clips.rate)
    wide = sum(header.channels > 1 for header in headers.values())
    found = [f"{number_of(n, 'recording')} brought from {rate:,} to {clips.rate:,} Hz" for rate, n in own.items()]
    found += [f"{number_of(wide, 'recording')} with several channels: their mean is taken"] if wide else []
    found += [f"{number_of(several, 'recording')} longer than a clip: several clips each"] if several else []
    if len(recordings) > 1 and len({each.part for each in recordings}) == 1:
        found.append(f"splits by {'speaker' if _by_speaker(clips) else 'recording'}")
    return tuple(found)


def _by_speaker(clips: Clips) -> bool:
    """Whether there are enough speakers for three splits."""
    return len(clips.speakers) > 2


def key_of(text: str) -> int:
    """A number of 64 bits for what is kept together."""
    return int.from_bytes(blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest(), "little")


def _batches(root: Path, recordings: list[Recording], clips: Clips, bad: tuple[Unreadable, ...]) -> Iterator[Batch]:
    """All recordings, a few megabytes at a time, those of a part together; of a single one its blocks of time."""
    total, last = len(recordings) + len(bad), None
    for part in dict.fromkeys(each.part for each in recordings):
        held: list[Batch] = []
        for each in (each for each in recordings if each.part == part):
            try:
                held.append(_read(each, clips, root))
            except DataError as error:
                bad = (*bad, Unreadable(str(each.path), str(error)))
                _stop_if_many(root, bad, total)
            if sum(batch.x.nbytes for batch in held) > CHUNK_BYTES and total > 1:
                yield _joined(held, bad)
                last, held, bad = held[-1], [], ()
        if held:
            yield from _in_blocks(_joined(held, bad)) if total == 1 else [_joined(held, bad)]
            last, bad = held[-1], ()
    if bad and last is not None:
        yield replace(_rows(last, slice(0, 0)), unreadable=bad, altered=())


def _read(each: Recording, clips: Clips, root: Path) -> Batch:
    x, length = clips.cut(encode(read_wav(each.path, clips.rate)[0]))
    heard = x.min(1) < x.max(1)  # clips of nothing but silence would tie all recordings that have one together
    silent = int((~heard).sum())
    altered = (Altered("clips without any sound are left out", silent, str(each.path)),) if silent else ()
    x, length = x[heard], length[heard]
    fields: dict[str, np.ndarray] = {"length": length}
    for name, names, own in (("label", clips.classes, each.class_name), ("speaker", clips.speakers, each.speaker)):
        if names and own is not None:
            fields[name] = np.full(len(x), names.index(own), np.int64)
    with_speaker = _by_speaker(clips) and each.speaker is not None
    together = each.speaker if with_speaker and each.speaker else str(each.path.relative_to(root.parent))
    name = "speaker" if with_speaker else "recording"
    return Batch(each.part, x, fields, altered=altered, siblings={name: np.full(len(x), key_of(together), np.uint64)})


def _joined(held: Sequence[Batch], bad: tuple[Unreadable, ...]) -> Batch:
    def columns(of: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([each[name] for each in of]) for name in of[0]}

    fields, siblings = columns([dict(each.fields) for each in held]), columns([dict(each.siblings) for each in held])
    x, altered = np.concatenate([each.x for each in held]), tuple(own for each in held for own in each.altered)
    return Batch(held[0].part, x, fields, bad, altered, siblings)


def _rows(batch: Batch, rows: slice) -> Batch:
    fields, siblings = ({name: v[rows] for name, v in own.items()} for own in (batch.fields, batch.siblings))
    return replace(batch, x=batch.x[rows], fields=fields, siblings=siblings)


def _in_blocks(whole: Batch) -> list[Batch]:
    """The clips of one recording in their order, as train | valid | test; too few clips for that all as train."""
    n = len(whole.x)
    if n < 3:
        return [whole]
    held = max(1, round(SHARE * n))
    cuts = {"train": slice(n - 2 * held), "valid": slice(n - 2 * held, n - held), "test": slice(n - held, n)}
    blocks = [replace(_rows(whole, rows), part=part, siblings={}) for part, rows in cuts.items()]
    return [blocks[0], *(replace(block, altered=()) for block in blocks[1:])]
