"""What stands beside pictures and says more of them: a table of their attributes, and which of them are siblings.

`attributes.csv`, CelebA's `list_attr_celeba.csv` or `.txt`, or the only CSV of a folder, if its first column holds the
names of the pictures: every other column is a field of classes, "no" and "yes" for -1 and 1 or for 0 and 1, else its
different words, of which there are at most 50. A column `group`, `person` or `identity` is none: pictures with the same
value there are siblings, as are those of one person in CelebA's `identity_CelebA.txt` and those of one group in
`groups.json`, {"name of a picture": "group"}, or {"before": "_"}, for the part of each name before its last "_".

A picture is named by its path in the folder, by its name, or by its name without the suffix.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from simulacra.data.source import reading
from simulacra.data.table import read_rows
from simulacra.errors import DataError
from simulacra.fields import ClassLabel
from simulacra.files import parse_json, read_regular
from simulacra.terminal import number_of, printable

TABLES = ("attributes.csv", "list_attr_celeba.csv", "list_attr_celeba.txt")
PERSONS = "identity_CelebA.txt"
GROUPS = "groups.json"
GROUP_COLUMNS = ("group", "person", "identity")
NO_YES = ({"-1", "1"}, {"0", "1"})
MOST_WORDS = 50  # different ones in a column
MOST_BYTES = 1 << 30
EXAMPLES = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Attributes:
    """Fields of pictures and their groups.

    fields:  of classes, by name; `values` has the numbers (R,) of the classes of every row.
    rows:    of the pictures that have one.
    without: pictures that have no row, and so no values: they are left out.
    groups:  of pictures that may have siblings, by the column or file that says so.
    files:   that were read.
    remarks: what did not match.
    """

    fields: Mapping[str, ClassLabel]
    values: Mapping[str, np.ndarray]
    rows: Mapping[Path, int]
    without: frozenset[Path]
    groups: Mapping[str, Mapping[Path, str]]
    files: tuple[Path, ...]
    remarks: tuple[str, ...]

    def columns(self, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """The values (n,) of these pictures, by field."""
        rows = np.array([self.rows[path] for path in paths] if self.values else [], np.int64)
        return {name: own[rows] for name, own in self.values.items()}

    def siblings(self, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """The keys (n,) of their groups; those of a picture without one are its own."""
        return {
            name: np.array([_key(group.get(path), path) for path in paths], np.uint64)
            for name, group in self.groups.items()
        }


def _key(group: str | None, path: Path) -> int:
    text = b"of its own " + os.fsencode(path) if group is None else b"group " + group.encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


NOTHING = Attributes({}, {}, {}, frozenset(), {}, (), ())


def attributes_of(root: Path, pictures: Sequence[Path]) -> Attributes:
    """What the files in a folder say of the pictures below it.

    Raises DataError for a table of attributes that has none of them, that says two things of one, or that is damaged.
    """
    names = _Names(root, pictures)
    found = _attributes(root, names)
    groups, files, remarks = dict(found.groups), list(found.files), list(found.remarks)
    for path, read in ((root / PERSONS, _persons), (root / GROUPS, _groups)):
        if path.is_file():
            groups[path.name], more = _matched(path, read(path, pictures), names)
            files, remarks = [*files, path], [*remarks, *more]
    return Attributes(found.fields, found.values, found.rows, found.without, groups, tuple(files), tuple(remarks))


class _Names:
    """Pictures by their path in the folder, by their name and by their name without the suffix."""

    def __init__(self, root: Path, pictures: Sequence[Path]) -> None:
        self.pictures = pictures
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        for path in pictures:
            for name in dict.fromkeys((path.relative_to(root).as_posix(), path.name, path.stem)):
                self.by_name[name].append(path)

    def called(self, name: str) -> list[Path]:
        return self.by_name.get(name) or self.by_name.get(Path(name).stem) or []

    def find(self, name: str, where: str) -> Path | None:
        """The picture of this name; None where there is none. Raises DataError where there are several."""
        found = self.called(name)
        if len(found) > 1:
            raise DataError(f"{where}: {name!r} may be {found[0]} or {found[1]}; name it with its folder")
        return found[0] if found else None


def _attributes(root: Path, names: _Names) -> Attributes:
    """The table of a folder; NOTHING where there is none."""
    path = next((root / name for name in TABLES if (root / name).is_file()), None) or _only_table(root, names)
    if path is None:
        return NOTHING
    columns, rows = _celeba(path) if path.suffix == ".txt" else read_rows(path)
    _check_rows(path, columns, rows, names)
    matched, remarks = _matched(path, {cells[0]: (line, cells) for line, cells in rows}, names)
    if not matched:
        known = names.pictures[0].name
        raise DataError(
            f"{path}: its first column, {columns[0]!r}, holds none of the {len(names.pictures):,} pictures "
            f"of the folder, such as {known}"
        )
    without = [each for each in names.pictures if each not in matched]
    remarks += _named(f"left out without a row in {path.name}", "picture", [each.name for each in without])
    fields, values, groups = {}, {}, {}
    for number, column in enumerate(columns[1:], 1):
        cells = [row[number] for _, row in matched.values()]
        words = sorted(set(cells))
        binary = any(set(words) <= pair for pair in NO_YES)
        if column.lower() in GROUP_COLUMNS and not binary:
            groups[column] = {each: word for each, word in zip(matched, cells, strict=True) if word}
        elif len(words) > MOST_WORDS:
            remarks.append(f"{path.name}: column {column!r} has {len(words):,} different words and is left out")
        else:
            _refuse_empty(path, column, number, matched)
            known = ("-1", "1") if "-1" in words else ("0", "1")
            known, called = (known, ("no", "yes")) if binary else (words, tuple(map(printable, words)))
            fields[column] = ClassLabel(len(known), tuple(called))
            place = {word: i for i, word in enumerate(known)}
            values[column] = np.array([place[word] for word in cells], np.int64)
    rows_of = {each: i for i, each in enumerate(matched)}
    return Attributes(fields, values, rows_of, frozenset(without), groups, (path,), tuple(remarks))


def _only_table(root: Path, names: _Names) -> Path | None:
    """The one CSV of a folder, where it has one and its first column holds the names of half of the pictures."""
    tables = [each for each in sorted(root.glob("*.csv")) if each.is_file() and not each.name.startswith(".")]
    if len(tables) != 1:
        return None
    with suppress(DataError):  # it may be anything
        _, rows = read_rows(tables[0])
        found = {picture for _, cells in rows for picture in names.called(cells[0])}
        return tables[0] if 2 * len(found) >= len(names.pictures) else None


def _matched(path: Path, named: Mapping[str, T], names: _Names) -> tuple[dict[Path, T], list[str]]:
    """What a file says of the pictures that there are, and a remark on those that there are not."""
    found: dict[Path, T] = {}
    absent = []
    for name, own in named.items():
        if (picture := names.find(name, str(path))) is None:
            absent.append(name)
        elif picture in found:
            raise DataError(f"{path} names {picture.name} twice; keep one of its rows")
        else:
            found[picture] = own
    return found, _named(f"without a picture in {path.name}", "row", absent)


def _named(what: str, noun: str, which: Sequence[str]) -> list[str]:
    """`2 rows without a picture in attributes.csv: a.png, b.png`, where there are any."""
    if not which:
        return []
    listed = ", ".join(map(printable, which[:EXAMPLES])) + ", ..." * (len(which) > EXAMPLES)
    return [f"{number_of(len(which), noun)} {what}: {listed}"]


def _check_rows(path: Path, columns: list[str], rows: list[tuple[int, list[str]]], names: _Names) -> None:
    if names.find(columns[0], str(path)) is not None:
        raise DataError(f"{path}: its first row names no columns but a picture; put the names of the columns above it")
    seen: set[str] = set()
    for line, cells in rows:
        if cells[0] in seen:
            raise DataError(f"{path}, line {line}: {cells[0]!r} has another row before; keep one")
        seen.add(cells[0])


def _refuse_empty(path: Path, column: str, number: int, matched: Mapping[Path, tuple[int, list[str]]]) -> None:
    if empty := [line for line, cells in matched.values() if not cells[number]]:
        raise DataError(f"{path}, line {empty[0]}: column {column!r} is empty; fill in a value")


def _celeba(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """CelebA's text: the number of rows, the names of the columns but the first, and a row for each picture."""
    lines = [(number, cells) for number, cells in enumerate(_lines(path), 1) if cells]
    if lines and len(lines[0][1]) == 1:
        lines.pop(0)
    if len(lines) < 2:
        raise DataError(f"{path} has no rows: the names of the columns, and then one row a picture, are read")
    (_, first), *rows = lines
    columns = first if len(first) == len(rows[0][1]) else ["image", *first]
    for line, cells in rows:
        if len(cells) != len(columns):
            raise DataError(f"{path}, line {line}: {len(cells)} cells, where the first row has {len(columns)}")
    return columns, rows


def _persons(path: Path, pictures: Sequence[Path]) -> dict[str, str]:
    rows = [cells for cells in _lines(path) if cells]
    if wrong := [cells for cells in rows if len(cells) != 2]:
        raise DataError(f"{path}: {' '.join(wrong[0])[:40]!r} is no name of a picture and number of a person")
    return dict(rows)


def _groups(path: Path, pictures: Sequence[Path]) -> dict[str, str]:
    """{name of a picture: group} from `groups.json`."""
    with reading(path):
        record = parse_json(read_regular(path, MOST_BYTES))
    if not isinstance(record, Mapping) or not all(isinstance(group, str | int) for group in record.values()):
        raise DataError(f'{path} is neither {{"name of a picture": "group"}} nor {{"before": "_"}}')
    if list(record) == ["before"] and isinstance(record["before"], str):
        if not record["before"]:
            raise DataError(f'{path}: {{"before": ""}} divides no name; give the text before which the group stands')
        names = {each.relative_to(path.parent).as_posix(): each.stem for each in pictures}
        return {name: stem.rpartition(record["before"])[0] or stem for name, stem in names.items()}
    return {str(name): str(group) for name, group in record.items()}


def _lines(path: Path) -> list[list[str]]:
    with reading(path):
        return [line.split() for line in read_regular(path, MOST_BYTES).decode("utf-8-sig").splitlines()]
