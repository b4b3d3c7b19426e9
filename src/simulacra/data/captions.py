"""Captions beside the pictures of a folder: `metadata.jsonl`, or a `.txt` file with the name of each picture.

    {"file_name": "cat.png", "text": "a black cat"}        a line for each picture; `text` may be a list of captions
    cat.txt                                                a caption in every line that is not empty

A name in `metadata.jsonl` is relative to its folder, which is that of the pictures or one above. Each caption makes an
item of its own: a picture with five captions is read five times, and never lies on both sides of a split. A caption of
either picture of a pair is one of the pair. The words are those of the training part; see `vocabulary`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulacra.data.beside import Beside, folders_of, matched, partners
from simulacra.data.dataset import Altered, Unreadable
from simulacra.data.source import reading
from simulacra.data.vocabulary import numbered
from simulacra.errors import DataError, cause
from simulacra.files import parse_json, read_regular

TABLE, FIELD = "metadata.jsonl", "caption"
MOST_BYTES = 1 << 30


def captions_beside(root: Path, paths: Sequence[Path], also: Mapping[Path, Path]) -> Beside | None:
    """The captions of pictures; None where nothing is written of any. also: other paths by which they are named.

    Raises DataError for a line that is no record, for names of which none is that of a picture, and for captions
    without a word.
    """
    tables = [path for folder in folders_of(root, [*paths, *also]) if (path := folder / TABLE).is_file()]
    texts: dict[Path, list[str]] = {}
    where: dict[Path, Path] = {}
    for table in tables:
        for named, sentences in _records(table):
            path = also.get(named, named)
            texts.setdefault(path, []).extend(sentences)
            where[path] = table
    if texts:
        return _of(texts, paths, where, tuple(tables), ())
    found, others = partners(root, paths, ".txt", also)
    if not found:
        return None
    texts = {path: [line for file in files for line in _lines(file)] for path, files in found.items()}
    where = {path: files[0] for path, files in found.items()}
    strays = tuple(Unreadable(str(path), "there is no picture of this name") for path in others)
    return _of(texts, paths, where, tuple(sorted({file for files in found.values() for file in files})), strays)


def _of(
    texts: dict[Path, list[str]],
    paths: Sequence[Path],
    where: dict[Path, Path],
    files: tuple[Path, ...],
    strays: tuple[Unreadable, ...],
) -> Beside:
    there = set(paths)
    sentences = [""]  # of pictures that have none
    rows: dict[Path, list[int]] = {}
    for path, own in texts.items():
        rows[path] = []
        for text in own if path in there else ():
            rows[path].append(len(sentences))
            sentences.append(text)
    found, missing, altered = matched(FIELD, rows, paths, where, empty=0)
    field, tokens = numbered(FIELD, sentences)
    several = [path for path in paths if len(found[path]) > 1]
    altered += tuple(Altered("it has several captions, and is an item with each", 1, str(path)) for path in several)
    return Beside({FIELD: field}, {FIELD: tokens}, found, files, missing + strays, altered)


def _records(table: Path) -> Iterator[tuple[Path, list[str]]]:
    """(picture, captions) of every line; nothing of a table in which no line has a `text`."""
    with reading(table):
        lines = read_regular(table, MOST_BYTES).removeprefix(b"\xef\xbb\xbf").splitlines()
    records = [(i, _record(table, i, line)) for i, line in enumerate(lines, start=1) if line.strip()]
    if not any(isinstance(record, dict) and "text" in record for _, record in records):
        return
    for line, record in records:
        name = record.get("file_name") if isinstance(record, dict) else None
        text = record.get("text") if isinstance(record, dict) else None
        captions = [text] if isinstance(text, str) else text
        if not isinstance(name, str) or not isinstance(captions, list) or not all(isinstance(t, str) for t in captions):
            form = '{"file_name": "a.png", "text": "a caption"}'
            raise DataError(f"{table}, line {line}: a line is {form}, where text may be a list of captions")
        yield Path(os.path.normpath(table.parent / name)), [caption for caption in captions if caption.strip()]


def _record(table: Path, number: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise DataError(f"{table}, line {number} is no JSON: {cause(error)}; mend it or take it out") from error


def _lines(file: Path) -> list[str]:
    with reading(file):
        return [line for line in read_regular(file, MOST_BYTES).decode("utf-8-sig").splitlines() if line.strip()]
