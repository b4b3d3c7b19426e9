"""Pairs in one picture each, side by side as pix2pix has them: the left half is the field `A`, the right one is x.

    image (C, H, 2H) -> A = image[:, :, :H],  x = image[:, :, H:]

A wide picture may be anything, so this is read where it is asked for, `--pairs side-by-side`, and every image has to be
twice as wide as it is high. Folders are those of pictures: flat, of classes, or train/ valid/ test/ of either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from simulacra.data.annotations import Annotations, annotations_of
from simulacra.data.attributes import Attributes, attributes_of
from simulacra.data.dataset import Altered, Card, Unreadable
from simulacra.data.folder import (
    EXAMPLES,
    Entry,
    common_target,
    entries_of,
    stop_if_many,
    stored_sizes,
    with_label,
)
from simulacra.data.images import Decoded, Header, Target, decode, fit, read_header
from simulacra.data.pairs import pair_batch
from simulacra.data.source import Batch, Source
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.terminal import number_of, printable

Size = tuple[int, int] | None


def side_by_side_source(root: Path, card: Card, resize: Size) -> Source:
    """Raises DataError for a folder without images; `resize` is the size (H, W) of each half."""
    entries = entries_of(root)
    more = attributes_of(root, [entry.path for entry in entries])
    entries = [entry for entry in entries if entry.path not in more.without]
    classes = tuple(sorted({entry.class_name for entry in entries if entry.class_name is not None}))
    paths = [entry.path for entry in entries]
    fields = with_label(root, classes, more)
    beside = annotations_of(root, paths, {"A", *fields})
    return Source(
        name=printable(root.name),
        card=card,
        count=beside.count(paths),
        batches=lambda: _batches(root, entries, classes, resize, more, beside),
        files=(*(path for path in paths if path.is_file()), *more.files, *beside.files),
        options=("side by side", f"resize={resize}", *(repr(path) for path in paths if not path.is_file())),
        fields=fields | beside.fields,
        kind=f"{number_of(len(entries), 'pair')} side by side: A is the left half, x the right one",
        remarks=more.remarks,
        learned=tuple(beside.fields),
    )


def _batches(
    root: Path,
    entries: Sequence[Entry],
    classes: tuple[str, ...],
    resize: Size,
    more: Attributes,
    beside: Annotations,
) -> Iterator[Batch]:
    headers = {entry.path: read_header(entry.path) for entry in entries}
    bad = [header for header in headers.values() if isinstance(header, Unreadable)]
    stop_if_many(bad, root, len(entries))
    readable = {path: header for path, header in headers.items() if isinstance(header, Header)}
    _refuse_other_sides(root, readable)
    halves = {path: replace(header, width=header.height) for path, header in readable.items()}
    target = common_target(root, halves, resize)
    unreported, altered = (*bad, *beside.missing), beside.altered
    remarks = stored_sizes("halves ", halves) if resize else ()
    sizes = {path: (half.height, half.width) for path, half in halves.items()}
    step = max(1, CHUNK_BYTES // (2 * math.prod(target.shape)))
    total, entries = len(entries), [entry for entry in entries if entry.path in readable]
    for part in dict.fromkeys(entry.part for entry in entries):
        members = [entry for entry in entries if entry.part == part]
        for start in range(0, len(members), step):
            batch, read = _decoded(part, members[start : start + step], classes, target, readable, more)
            bad += batch.unreadable
            stop_if_many(bad, root, total)
            whole = replace(
                batch, unreadable=unreported + batch.unreadable, altered=batch.altered + altered, remarks=remarks
            )
            yield beside.joined(whole, read, sizes, (target.height, target.width))
            unreported = altered = remarks = ()


def _refuse_other_sides(root: Path, headers: dict[Path, Header]) -> None:
    """Raise DataError unless every image is twice as wide as high."""
    if wrong := [(path, own) for path, own in headers.items() if own.width != 2 * own.height]:
        listed = ", ".join(f"{path.relative_to(root)} {own.width}×{own.height}" for path, own in wrong[:EXAMPLES])
        raise DataError(
            f"{root}: {len(wrong):,} of {number_of(len(headers), 'image')} are not twice as wide as high: {listed}.\n"
            "Pairs side by side are two squares in one image; leave out --pairs side-by-side for other pictures."
        )


def _decoded(
    part: str,
    entries: Sequence[Entry],
    classes: tuple[str, ...],
    target: Target,
    headers: dict[Path, Header],
    more: Attributes,
) -> tuple[Batch, list[Path]]:
    """Both halves of the images that can be decoded, and the paths of these."""
    decoded = [(entry, decode(entry.path, _whole(headers[entry.path], target))) for entry in entries]
    bad = tuple(image for _, image in decoded if isinstance(image, Unreadable))
    good = [(entry, image) for entry, image in decoded if isinstance(image, Decoded)]
    both = np.empty((2, len(good), *target.shape), np.uint8)
    for number, (_, image) in enumerate(good):
        for side, half in enumerate(np.split(image.pixels, 2, axis=2)):
            both[side, number] = fit(half, target.height, target.width) if target.resize else half
    altered = tuple(Altered(how, 1, str(entry.path)) for entry, image in good for how in image.altered)
    paths = [entry.path for entry, _ in good]
    batch = pair_batch(part, both[0], both[1], {}, more, paths, bad, altered)
    label = np.array([classes.index(entry.class_name) for entry, _ in good if entry.class_name], np.int64)
    return replace(batch, fields={**batch.fields, **({"label": label} if classes else {})}), paths


def _whole(header: Header, target: Target) -> Target:
    """The image as it is stored, before it is cut."""
    return Target(header.height, header.width, target.grey)
