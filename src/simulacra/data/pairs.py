"""Pairs of pictures in two folders: x is the picture in B, the field `A` the one of the same name in A.

    A/ B/        or each with train/ valid/ test/ in it, or these with A/ and B/ in each
    trainA/ trainB/ (valA/ valB/) testA/ testB/, where all names agree

A side whose files are maps of classes (`maps.py`) is a field of classes. Two pictures of a pair have one size, or are
brought to one alike. Pairs of equal A are siblings: a test item whose source was seen in training would be no test.
Captions and scene graphs may lie beside the pictures of either side, or name what both have in common; boxes are of B.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from simulacra.data.annotations import Annotations, annotations_of
from simulacra.data.attributes import Attributes, attributes_of
from simulacra.data.dataset import Altered, Card, Unreadable
from simulacra.data.folder import (
    EXAMPLES,
    PART_OF_FOLDER,
    Entry,
    common_side,
    common_target,
    images_below,
    listing,
    official_folders,
    stop_if_many,
    stored_sizes,
)
from simulacra.data.images import Decoded, Header, Target, decode, read_header
from simulacra.data.maps import CLASSES, Declared, Palette, decode_map, kind_of_maps, read_classes, sized
from simulacra.data.source import Batch, Source
from simulacra.data.splits import digests
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError
from simulacra.terminal import number_of, printable

SIDES = ("A", "B")
DOMAIN = re.compile(rf"({'|'.join(PART_OF_FOLDER)})([AB])")


@dataclass(frozen=True)
class Halves:
    """The folders of the two sides of one part."""

    part: str
    a: Path
    b: Path


@dataclass(frozen=True)
class Pair:
    part: str
    a: Path
    b: Path


@dataclass(frozen=True)
class Matching:
    """Pictures of equal name, and those of either side that have no partner."""

    pairs: tuple[Pair, ...]
    alone: tuple[Path, ...]

    @property
    def agreed(self) -> str:
        return f"{len(self.pairs):,} of {len(self.pairs) + len(self.alone):,} names"


def halves_of(root: Path) -> list[Halves]:
    """The folders of two sides, part by part; [] where a folder holds something else.

    Raises DataError for a part of which there is one side alone.
    """
    folders, images = listing(root)
    folders = [folder for folder in folders if images_below(folder)]
    names = [folder.name for folder in folders]
    if images:
        return []
    if sorted(names) == list(SIDES):
        return _within(*folders)
    if len(names) > 1 and all(map(DOMAIN.fullmatch, names)):
        parts = dict.fromkeys(name[:-1] for name in names)
        return _both(root, {part: (root / f"{part}A", root / f"{part}B") for part in parts})
    official = official_folders(root, folders) if set(names) <= PART_OF_FOLDER.keys() else {}
    if official and all([each.name for each in listing(folder)[0]] == list(SIDES) for folder in official):
        return _both(root, {folder.name: (folder / "A", folder / "B") for folder in official})
    return []


def _within(a: Path, b: Path) -> list[Halves]:
    """A/ and B/ themselves, or the parts in them."""
    parts = [{folder.name: folder for folder in listing(side)[0] if images_below(folder)} for side in (a, b)]
    names = list(dict.fromkeys([*parts[0], *parts[1]]))
    if "train" in names and all(name in PART_OF_FOLDER for name in names) and not (listing(a)[1] or listing(b)[1]):
        return _both(a.parent, {name: (a / name, b / name) for name in names})
    return [Halves("train", a, b)]


def _both(root: Path, parts: Mapping[str, tuple[Path, Path]]) -> list[Halves]:
    for one, other in [*parts.values(), *((b, a) for a, b in parts.values())]:
        if not other.is_dir() or not images_below(other):
            has, lacks = one.relative_to(root), other.relative_to(root)
            raise DataError(f"{root} has {has}/ and no pictures in {lacks}/; put the other side there, or move {has}/")
    return [Halves(PART_OF_FOLDER[name], a, b) for name, (a, b) in parts.items()]


def matching(halves: Sequence[Halves]) -> Matching:
    """The pictures of both sides by their paths in these without the suffix; DataError for a name given twice."""
    pairs, alone = [], []
    for each in halves:
        a, b = _by_name(each.a), _by_name(each.b)
        pairs += [Pair(each.part, path, b[name]) for name, path in a.items() if name in b]
        alone += [path for one, other in ((a, b), (b, a)) for name, path in one.items() if name not in other]
    return Matching(tuple(pairs), tuple(alone))


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in images_below(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{found[name]} and {path.name} have one name; a pair is found by it, so remove one of them"
            )
        found[name] = path
    return found


def domain_entries(halves: Sequence[Halves]) -> list[Entry]:
    """The pictures of both sides as two classes, A and B."""
    sides = [(each.part, name, folder) for each in halves for name, folder in zip(SIDES, (each.a, each.b), strict=True)]
    return [Entry(path, part, name) for part, name, folder in sides for path in images_below(folder)]


def pairs_source(root: Path, card: Card, resize: tuple[int, int] | None, found: Matching) -> Source:
    """Raises DataError, naming and counting them, for pictures without a partner."""
    if found.alone:
        listed = ", ".join(str(path.relative_to(root)) for path in found.alone[:EXAMPLES])
        more = ", ..." * (len(found.alone) > EXAMPLES)
        raise DataError(
            f"{root}: {number_of(len(found.alone), 'picture')} of A and B without a partner of the same name: "
            f"{listed}{more}.\nMend the names or move them away, or read A and B as two classes with --pairs none."
        )
    more = attributes_of(root, [pair.b for pair in found.pairs])
    pairs = [pair for pair in found.pairs if pair.b not in more.without]
    beside = annotations_of(root, [pair.b for pair in pairs], {"A", *more.fields}, _other_names(pairs))
    paths = [path for pair in pairs for path in (pair.a, pair.b)]
    regular = [path for path in paths if path.is_file()]
    declared = [path for path in _places(root) if path.is_file()]
    return Source(
        name=printable(root.name),
        card=card,
        count=beside.count([pair.b for pair in pairs]),
        batches=lambda: _batches(root, pairs, resize, more, beside),
        files=(*regular, *declared, *more.files, *beside.files),
        options=("pairs", f"resize={resize}", *(repr(path) for path in paths if not path.is_file())),
        fields={**more.fields, **beside.fields},
        kind=f"{number_of(len(pairs), 'pair')} of pictures by their names: A is the source, x is B",
        remarks=more.remarks,
        learned=tuple(beside.fields),
    )


def _other_names(pairs: Sequence[Pair]) -> dict[Path, Path]:
    """Other paths by which a pair may be named than that of B: that of A, and what both have in common, root/1.png of
    root/A/1.png and root/B/1.png, where no other pair has it."""
    own = {pair.a: pair.b for pair in pairs}
    common = Counter[Path]()
    found: dict[Path, Path] = {}
    for pair in pairs:
        alike = [part for part, other in zip(pair.a.parent.parts, pair.b.parent.parts, strict=True) if part == other]
        for name in dict.fromkeys((pair.a.name, pair.b.name)):
            path = Path(*alike, name)
            common[path] += 1
            found[path] = pair.b
    return {path: b for path, b in found.items() if common[path] == 1} | own


def _places(root: Path) -> list[Path]:
    """Where `classes.json` may be."""
    return [root / CLASSES, *(root / side / CLASSES for side in SIDES)]


@dataclass(frozen=True)
class Side:
    """What all pictures of a side become: of `target`, or maps of classes of that size."""

    target: Target
    maps: Declared | Palette | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.target.shape if self.maps is None else self.target.shape[1:]

    def decode(self, path: Path) -> Decoded | Unreadable:
        return decode(path, self.target) if self.maps is None else decode_map(path, self.target, self.maps)


def _batches(
    root: Path, pairs: Sequence[Pair], resize: tuple[int, int] | None, more: Attributes, beside: Annotations
) -> Iterator[Batch]:
    """Headers first, so that what does not fit together is refused in seconds; then the pixels."""
    headers = {path: read_header(path) for pair in pairs for path in (pair.a, pair.b)}
    bad = [header for header in headers.values() if isinstance(header, Unreadable)]
    stop_if_many(bad, root, len(pairs))
    readable = {path: header for path, header in headers.items() if isinstance(header, Header)}
    total, pairs = len(pairs), [pair for pair in pairs if pair.a in readable and pair.b in readable]
    if not pairs:
        raise DataError(f"{root}: of none of its pairs both pictures can be read; {bad[0].path}: {bad[0].reason}")
    if resize is None:
        _refuse_two_sizes(root, pairs, readable)
    a, b = _sides(root, pairs, readable, resize)
    remarks = _maps_found({"A": a, "x": b})
    if resize:
        remarks += stored_sizes("A: ", {pair.a: readable[pair.a] for pair in pairs})
        remarks += stored_sizes("B: ", {pair.b: readable[pair.b] for pair in pairs})
    unreported, altered = (*bad, *beside.missing), beside.altered
    sizes = {path: (header.height, header.width) for path, header in readable.items()}
    step = max(1, CHUNK_BYTES // (math.prod(a.shape) + math.prod(b.shape)))
    for part in dict.fromkeys(pair.part for pair in pairs):
        members = [pair for pair in pairs if pair.part == part]
        for start in range(0, len(members), step):
            batch, paths = _decoded(part, members[start : start + step], a, b, more)
            bad += batch.unreadable
            stop_if_many(bad, root, total)
            whole = replace(
                batch, unreadable=unreported + batch.unreadable, altered=batch.altered + altered, remarks=remarks
            )
            yield beside.joined(whole, paths, sizes, (b.target.height, b.target.width))
            unreported = altered = remarks = ()


def _decoded(part: str, pairs: Sequence[Pair], a: Side, b: Side, more: Attributes) -> tuple[Batch, list[Path]]:
    """The pairs of which both can be decoded, and the paths of B of these."""
    decoded = [(pair, a.decode(pair.a), b.decode(pair.b)) for pair in pairs]
    bad = tuple(each for _, *both in decoded for each in both if isinstance(each, Unreadable))
    good = [
        (pair, one, other) for pair, one, other in decoded if isinstance(one, Decoded) if isinstance(other, Decoded)
    ]
    altered = tuple(
        Altered(how, 1, str(path))
        for pair, one, other in good
        for path, each in ((pair.a, one), (pair.b, other))
        for how in each.altered
    )
    paths = [pair.b for pair, _, _ in good]
    batch = pair_batch(
        part,
        np.stack([one.pixels for _, one, _ in good]) if good else np.empty((0, *a.shape), np.uint8),
        np.stack([other.pixels for _, _, other in good]) if good else np.empty((0, *b.shape), np.uint8),
        {name: side.maps for name, side in (("A", a), ("x", b))},
        more,
        paths,
        bad,
        altered,
    )
    return batch, paths


def pair_batch(
    part: str,
    a: np.ndarray,
    x: np.ndarray,
    maps: Mapping[str, Declared | Palette | None],
    more: Attributes,
    paths: Sequence[Path],
    bad: tuple[Unreadable, ...],
    altered: tuple[Altered, ...],
) -> Batch:
    """Sources and answers, with what stands beside the files; `maps` are those of "A" and "x"."""
    if "A" in more.fields:
        raise DataError(f"{more.files[0]}: a column is called A, and so is the source of each pair; rename it")
    siblings = {"A": digests(a)} | more.siblings(paths)
    fits = {name: own.fit for name, own in maps.items() if own is not None}
    return Batch(part, x, {"A": a} | more.columns(paths), bad, altered, siblings, fits)


def _refuse_two_sizes(root: Path, pairs: Sequence[Pair], headers: Mapping[Path, Header]) -> None:
    """Raise DataError unless A and B of every pair have one size."""
    sizes = [[(headers[path].width, headers[path].height) for path in (pair.a, pair.b)] for pair in pairs]
    if differ := [(pair, own) for pair, own in zip(pairs, sizes, strict=True) if own[0] != own[1]]:
        listed = ", ".join(
            f"{pair.b.relative_to(root)} {own[0][0]}×{own[0][1]} and {own[1][0]}×{own[1][1]}"
            for pair, own in differ[:EXAMPLES]
        )
        side = common_side(Counter(headers[pair.b] for pair in pairs))
        raise DataError(
            f"{root}: A and B have different sizes in {len(differ):,} of {number_of(len(pairs), 'pair')}: {listed}.\n"
            f"Bring both alike with --resize {side}, for example."
        )


def _sides(
    root: Path, pairs: Sequence[Pair], headers: Mapping[Path, Header], resize: tuple[int, int] | None
) -> tuple[Side, Side]:
    """What the pictures of both become; raises DataError where `classes.json` declares what neither side has."""
    paths = {"A": [pair.a for pair in pairs], "B": [pair.b for pair in pairs]}
    declared = {name: read_classes(root / name) or read_classes(root) for name in SIDES}
    maps = {name: kind_of_maps(paths[name], declared[name]) for name in SIDES}
    if any(declared.values()) and not any(maps.values()):
        own, name = next((own, name) for name, own in declared.items() if own)
        raise DataError(
            f"{own.path} declares classes, and neither A nor B holds maps of them: {own.why_not(paths[name][0])}"
        )
    sides = []
    for name in SIDES:
        own = {path: headers[path] for path in paths[name]}
        target = common_target(root, sized(own) if maps[name] else own, resize)
        sides.append(Side(target, maps[name]))
    return sides[0], sides[1]


def _maps_found(sides: Mapping[str, Side]) -> tuple[str, ...]:
    """What was taken for maps of classes by its palette alone, which could be meant as pictures."""
    said = f"is read as maps of classes, as its files share one palette; {CLASSES} names them"
    return tuple(
        f"{'B' if name == 'x' else name} {said}" for name, side in sides.items() if isinstance(side.maps, Palette)
    )
