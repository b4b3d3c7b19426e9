"""A folder of images: flat, or one sub-folder a class (if there are two or more), or train/ valid/ test/ of either.

Captions and scene graphs that lie beside the pictures are fields; see `annotations`. Other files that are
hidden or no images by their suffix are passed over. What claims to be an image and cannot be read, a
pipe, a link to nothing and a folder of such a name too, is listed with the reason; when that is more than 5 % something
is wrong with the folder, and reading stops. A name that is no UTF-8, or steers a terminal, is spelled out.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simulacra.data.annotations import Annotations, annotations_of
from simulacra.data.attributes import Attributes, attributes_of
from simulacra.data.dataset import Altered, Card, Unreadable
from simulacra.data.images import SUFFIXES, Decoded, Header, Target, decode, read_header
from simulacra.data.source import Batch, Source
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Field
from simulacra.terminal import printable

PART_OF_FOLDER = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
MAX_UNREADABLE = 0.05
EXAMPLES = 3


class MixedImages(DataError):
    """Images of different sizes or colours, which must not be resized; `mixed` is the message without the remedy."""

    def __init__(self, mixed: str, remedy: str) -> None:
        super().__init__(f"{mixed}\n{remedy}")
        self.mixed = mixed


@dataclass(frozen=True)
class Entry:
    """One image file: the part that it belongs to, and the name of its class if there are classes."""

    path: Path
    part: str
    class_name: str | None


def folder_source(root: Path, card: Card, resize: tuple[int, int] | None) -> Source:
    """The images below `root`; `resize` is (H, W). Raises DataError for a folder that holds none."""
    entries = entries_of(root)
    named = {entry.class_name for entry in entries} - {None}
    return entries_source(root, card, resize, entries, f"pictures in {len(named)} classes" if named else "pictures")


def entries_source(
    root: Path,
    card: Card,
    resize: tuple[int, int] | None,
    entries: list[Entry],
    kind: str,
    remarks: tuple[str, ...] = (),
) -> Source:
    """The source of these images below `root`, with what stands beside them."""
    more = attributes_of(root, [entry.path for entry in entries])
    entries = [entry for entry in entries if entry.path not in more.without]
    classes = tuple(sorted({entry.class_name for entry in entries if entry.class_name is not None}))
    paths = [entry.path for entry in entries]
    regular = [path for path in paths if path.is_file()]
    others = [os.fsencode(path) for path in sorted(set(paths) - set(regular))]
    fields = with_label(root, classes, more)
    beside = annotations_of(root, paths, fields)
    return Source(
        name=printable(root.name),
        card=card,
        count=beside.count(paths),
        batches=lambda: _batches(root, entries, classes, resize, more, beside),
        files=(*regular, *more.files, *beside.files),
        options=(kind, f"resize={resize}", *map(repr, others)),
        fields=fields | beside.fields,
        kind=kind,
        remarks=(*remarks, *more.remarks),
        learned=tuple(beside.fields),
    )


def with_label(root: Path, classes: tuple[str, ...], more: Attributes) -> dict[str, Field]:
    """The fields of pictures in class folders with attributes; raises DataError where both have a label."""
    if classes and "label" in more.fields:
        raise DataError(f"{root}: {more.files[0].name} has a column 'label', and so have the class folders; rename it")
    own: dict[str, Field] = {"label": ClassLabel(len(classes), tuple(map(printable, classes)))} if classes else {}
    return own | dict(more.fields)


def entries_of(root: Path) -> list[Entry]:
    folders, images = listing(root)
    official = official_folders(root, folders) if not images else {}
    parts = official or {root: "train"}
    entries = [entry for folder, part in parts.items() for entry in _part_entries(folder, part)]
    if not entries:
        raise DataError(f"{root} holds no {', '.join(SUFFIXES)} images{_what_else(root)}")
    classes = {entry.class_name for entry in entries}
    if len(classes) > 1 and None in classes:
        raise DataError(f"{root}: some of train/ valid/ test/ have class sub-folders and others have none")
    return entries if len(classes) > 1 else [replace(entry, class_name=None) for entry in entries]


def official_folders(root: Path, folders: list[Path]) -> dict[Path, str]:
    """The folders that are named like splits, and the part that each is; {} where the names mean something else."""
    official = {folder: part for folder in folders if (part := PART_OF_FOLDER.get(folder.name.lower()))}
    if "train" not in official.values():
        return {}
    others = [folder for folder in folders if folder not in official and images_below(folder)]
    if others and set(official.values()) == {"train"}:
        return {}  # a class, between "bus" and "tram"
    if others:
        raise DataError(f"{root} has train/ and other splits, and also {others[0].name}/, which is none. Move it away.")
    return official


def _part_entries(root: Path, part: str) -> list[Entry]:
    """The images of one part, directly in its folder or in sub-folders that are classes."""
    folders, images = listing(root)
    classed = [Entry(path, part, folder.name) for folder in folders for path in images_below(folder)]
    if images and classed:
        raise DataError(
            f"{root} holds images both directly (such as {images[0].name}) and in sub-folders "
            f"(such as {classed[0].class_name}/). Move the ones or the others: sub-folders are read as classes."
        )
    return classed or [Entry(path, part, None) for path in images]


def listing(root: Path) -> tuple[list[Path], list[Path]]:
    """The sub-folders and the images directly in a folder, sorted by name, hidden ones left out.

    A folder that is called like an image and holds none counts as an image, which cannot be read.
    """
    try:
        visible = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot list {root}: {error.strerror}") from error
    images = {path for path in visible if claims_image(path) and not (path.is_dir() and images_below(path))}
    return [path for path in visible if path.is_dir() and path not in images], sorted(images)


def things_below(root: Path, hidden: bool = False) -> list[Path]:
    """All that lies in a folder and in the folders within it and is no folder, sorted; also what is `hidden`.

    Links to folders are not followed, and count as things. So do folders that are called like an image and hold none.
    Raises DataError for a folder that cannot be listed.
    """
    found: list[Path] = []
    called_like: list[Path] = []
    for folder, subfolders, files in os.walk(root, onerror=_cannot_list):
        within = [Path(folder, name) for name in subfolders if hidden or not name.startswith(".")]
        subfolders[:] = [path.name for path in within]
        found += [Path(folder, name) for name in files if hidden or not name.startswith(".")]
        found += [path for path in within if path.is_symlink()]
        called_like += [path for path in within if claims_image(path) and not path.is_symlink()]
    with_images = {parent for path in found if claims_image(path) for parent in path.parents}
    return sorted(found + [path for path in called_like if path not in with_images])


def _cannot_list(error: OSError) -> None:
    raise DataError(f"cannot list {error.filename}: {error.strerror}") from error


def images_below(root: Path) -> list[Path]:
    return [path for path in things_below(root) if claims_image(path)]


def claims_image(path: Path) -> bool:
    """Whether it is called like an image, whatever it is."""
    return path.suffix.lower() in SUFFIXES


def _what_else(root: Path) -> str:
    """`' (it holds 12 .gif, 1 .txt)'`: what a folder without images has instead."""
    kinds = Counter(path.suffix or path.name for path in root.iterdir() if path.is_file())
    listed = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(EXAMPLES))
    return f" (it holds {listed})" if listed else ""


def _batches(
    root: Path,
    entries: list[Entry],
    classes: tuple[str, ...],
    resize: tuple[int, int] | None,
    more: Attributes,
    beside: Annotations,
) -> Iterator[Batch]:
    """Headers first, so that a mixture of sizes is refused in seconds; then the pixels, a few megabytes at a time."""
    headers = {entry.path: read_header(entry.path) for entry in entries}
    bad = [header for header in headers.values() if isinstance(header, Unreadable)]
    stop_if_many(bad, root, len(entries))
    if len(bad) == len(headers):
        raise DataError(f"{root}: none of its images can be read; {bad[0].path}: {bad[0].reason}")
    readable = {path: header for path, header in headers.items() if isinstance(header, Header)}
    target = common_target(root, readable, resize)
    sizes = {path: (header.height, header.width) for path, header in readable.items()}
    remarks = (stored_sizes("", readable) if resize else ()) + _wide(readable, classes)

    entries = [entry for entry in entries if entry.path in readable]
    step = max(1, CHUNK_BYTES // math.prod(target.shape))
    unreported, altered = (*bad, *beside.missing), beside.altered
    for part in dict.fromkeys(entry.part for entry in entries):
        members = [entry for entry in entries if entry.part == part]
        for start in range(0, len(members), step):
            batch, read = _decode_batch(part, members[start : start + step], classes, target, unreported, more)
            bad += batch.unreadable[len(unreported) :]
            stop_if_many(bad, root, len(headers))
            whole = replace(batch, altered=batch.altered + altered, remarks=remarks)
            yield beside.joined(whole, read, sizes, target.shape[1:])
            unreported = altered = remarks = ()


def _decode_batch(
    part: str,
    entries: list[Entry],
    classes: tuple[str, ...],
    target: Target,
    unreadable: tuple[Unreadable, ...],
    more: Attributes,
) -> tuple[Batch, list[Path]]:
    """The images that can be decoded, and their paths; the others join `unreadable`."""
    decoded = [(entry, decode(entry.path, target)) for entry in entries]
    good = [(entry, image) for entry, image in decoded if isinstance(image, Decoded)]
    x = np.stack([image.pixels for _, image in good]) if good else np.empty((0, *target.shape), np.uint8)
    label = np.array([classes.index(entry.class_name) for entry, _ in good if entry.class_name], np.int64)
    bad = tuple(image for _, image in decoded if isinstance(image, Unreadable))
    altered = tuple(Altered(how, 1, str(entry.path)) for entry, image in good for how in image.altered)
    paths = [entry.path for entry, _ in good]
    fields = ({"label": label} if classes else {}) | more.columns(paths)
    return Batch(part, x, fields, unreadable + bad, altered, more.siblings(paths)), paths


def common_target(root: Path, headers: dict[Path, Header], resize: tuple[int, int] | None) -> Target:
    """What all images become; raises DataError with an example of each kind if they differ and must not be resized."""
    example = {header: path for path, header in reversed(headers.items())}
    grey = all(header.grey for header in example)
    if resize is not None:
        return Target(*resize, grey, resize=True)
    if len(example) > 1:
        kinds = Counter(headers.values()).most_common(EXAMPLES)
        listed = ", ".join(f"{n} {kind.describe()} (such as {example[kind].relative_to(root)})" for kind, n in kinds)
        mixed = f"{root} mixes kinds of images: {listed}."
        raise MixedImages(
            mixed, f"Make them alike with --resize {common_side(Counter(headers.values()))}, for example."
        )
    header = next(iter(example))
    return Target(header.height, header.width, grey)


def _wide(headers: Mapping[Path, Header], classes: tuple[str, ...]) -> tuple[str, ...]:
    """A remark on pictures that may be pairs."""
    wide = not classes and all(header.width == 2 * header.height for header in headers.values())
    return ("all are twice as wide as high; --pairs side-by-side reads each as a pair",) if wide else ()


def stored_sizes(what: str, headers: Mapping[Path, Header]) -> tuple[str, ...]:
    """`stored at 12 640×480, 3 480×640`: a remark on pictures that are resized; `what` begins it."""
    kinds = Counter((header.width, header.height) for header in headers.values())
    listed = ", ".join(f"{n} {width}×{height}" for (width, height), n in kinds.most_common(EXAMPLES))
    others = len(kinds) - EXAMPLES
    return (f"{what}stored at {listed}" + (f" and {others} more sizes" if others > 0 else ""),)


def common_side(headers: Counter[Header]) -> int:
    """The shorter side of most images; where they have none in common, a power of two that all of them reach."""
    most, n = headers.most_common(1)[0]
    if 2 * n > headers.total():
        return min(most.height, most.width)
    shortest = min(min(header.height, header.width) for header in headers)
    return 1 << (shortest.bit_length() - 1)


def stop_if_many(bad: list[Unreadable], root: Path, total: int) -> None:
    if len(bad) > MAX_UNREADABLE * total:
        listed = "; ".join(f"{Path(entry.path).relative_to(root)}: {entry.reason}" for entry in bad[:EXAMPLES])
        raise DataError(
            f"{root}: {len(bad)} of {total} images are unreadable, more than {MAX_UNREADABLE:.0%} ({listed}).\n"
            "Repair or remove them."
        )
