"""Scene graphs beside the pictures of a folder, in the form of `fields.graphs`: `graphs.json`, or a `.json` for each.

    graphs.json   [{"file_name": "a.png", "objects": [...], "relationships": [...]}, ...], or {"a.png": {...}, ...}
    a.json        {"objects": [...], "relationships": [...]}

Names in `graphs.json` are relative to its folder. A graph becomes two fields:

    objects    a list of records: the `class` of an object, or each of its attributes, its `box` if any has one, and its
               `segmentation` if any has a mask
    relations  a list of records: the places of `subject` and `object` among the objects, and the `predicate`

Classes and predicates are those of the training part; see `vocabulary`. The other keys of a graph are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.beside import ROW, Beside, Drawn, folders_of, matched, partners
from simulacra.data.dataset import Unreadable
from simulacra.data.source import reading
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Field, Index, Many, Real, Record
from simulacra.fields.graphs import BOX, SEGMENTATION, Graph
from simulacra.fields.masks import WITHIN_BOX
from simulacra.files import parse_json, read_regular

TABLE = "graphs.json"
MOST_BYTES = 1 << 30
MOST = 256  # objects of a graph, and relations
Columns = dict[str, np.ndarray]


def graphs_beside(root: Path, paths: Sequence[Path], also: Mapping[Path, Path]) -> Beside | None:
    """The scene graphs of pictures; None where there are none. also: other paths by which they are named.

    Raises DataError for what is no graph, for a relation to an object that is not there, and for names of which none is
    that of a picture.
    """
    tables = [path for folder in folders_of(root, [*paths, *also]) if (path := folder / TABLE).is_file()]
    if tables:
        graphs: dict[Path, Graph] = {}
        where: dict[Path, Path] = {}
        found = [(table, *each) for table in tables for each in _graphs_in(table).items()]
        for table, named, graph in found:
            path = also.get(named, named)
            if path in graphs:
                raise DataError(f"{table} has a second graph of {path.name!r}, which {where[path]} has; leave one out")
            graphs[path], where[path] = graph, table
        return _of(paths, graphs, where, ())
    files, others = partners(root, paths, ".json", also)
    if not files or not _is_graph(_read(next(iter(files.values()))[0])):
        return None
    if twice := [own for own in files.values() if len(own) > 1]:
        raise DataError(f"{twice[0][0]} and {twice[0][1]} are graphs of one item; leave one out")
    where = {path: own[0] for path, own in files.items()}
    graphs = {path: Graph.from_json(_read(file), str(file)) for path, file in where.items()}
    strays = tuple(Unreadable(str(path), "there is no picture of this name") for path in others)
    return _of(paths, graphs, where, strays)


def _read(file: Path) -> Any:
    with reading(file):
        return parse_json(read_regular(file, MOST_BYTES))


def _is_graph(record: Any) -> bool:
    """Files of other programs have the names of pictures, too."""
    return isinstance(record, Mapping) and {"objects", "relationships"} <= record.keys()


def _graphs_in(table: Path) -> dict[Path, Graph]:
    records = _read(table)
    if isinstance(records, Mapping):
        records = [{"file_name": name, **own} for name, own in records.items() if isinstance(own, Mapping)]
    graphs: dict[Path, Graph] = {}
    for i, record in enumerate(records if isinstance(records, list) else ()):
        name = record.get("file_name") if isinstance(record, Mapping) else None
        if not isinstance(name, str):
            raise DataError(f'{table}: graph {i} has no "file_name", that of its picture')
        path = Path(os.path.normpath(table.parent / name))
        if path in graphs:
            raise DataError(f"{table} has two graphs of {name!r}; leave one out")
        graphs[path] = Graph.from_json(record, f"{table}, {name}")
    if not graphs:
        form = '[{"file_name": "a.png", "objects": [...], "relationships": [...]}]'
        raise DataError(f"{table} holds no graphs: {form}")
    return graphs


def _of(
    paths: Sequence[Path], graphs: Mapping[Path, Graph], where: Mapping[Path, Path], strays: tuple[Unreadable, ...]
) -> Beside:
    there = set(paths)
    known = [path for path in graphs if path in there]
    place = {path: i + 1 for i, path in enumerate(known)}
    written = {path: (place[path],) if path in there else () for path in graphs}
    rows, missing, altered = matched("graph", written, paths, where, empty=0)
    listed = [Graph((), (), ()), *(graphs[path] for path in known)]
    fields, columns = _columns(listed, [Path(), *(where[path] for path in known)])
    drawn = _drawn(listed, ["", *(f"{where[path]}, {path.name}" for path in known)], columns)
    return Beside(fields, columns, rows, tuple(sorted(set(where.values()))), missing + strays, altered, drawn)


def _drawn(graphs: Sequence[Graph], where: Sequence[str], columns: Columns) -> dict[str, Drawn]:
    """Where the objects of all rows are, and the numbers of the rows into their columns."""
    if not any(graph.has_boxes for graph in graphs):
        return {}
    boxes = np.zeros((*columns["objects.mask"].shape, 4), np.float32)
    for row, graph in enumerate(graphs):
        boxes[row, : len(graph.boxes)] = np.array(graph.boxes).reshape(-1, 4)
    masks = {
        (i, place): mask for i, graph in enumerate(graphs) for place, mask in enumerate(graph.masks) if mask is not None
    }
    columns[f"objects.{ROW}"] = np.arange(len(graphs))
    return {"objects": Drawn(boxes, masks, where)}


def _columns(graphs: Sequence[Graph], where: Sequence[Path]) -> tuple[dict[str, Field], Columns]:
    """The fields of graphs, and their columns, a row for each."""
    most = max(len(graph.objects) for graph in graphs)
    if not 1 <= most <= MOST or max(len(graph.relations) for graph in graphs) > MOST:
        raise DataError(f"{where[1]}: graphs have 1 to {MOST} objects, and at most {MOST} relations")
    words = _attributes(graphs, where)
    kinds: dict[str, Field] = {}
    columns: Columns = {}
    for key in words[0]:
        kinds[key], columns[f"objects.{key}"] = _numbered([[each[key] for each in own] for own in words[1]], most)
    if any(graph.has_boxes for graph in graphs):
        kinds[BOX] = Real((4,))
    if any(graph.has_masks for graph in graphs):
        kinds[SEGMENTATION] = WITHIN_BOX
    fields: dict[str, Field] = {"objects": Many(Record(kinds), most)}
    columns["objects.mask"] = _mask([len(graph.objects) for graph in graphs], most)
    if longest := max(len(graph.relations) for graph in graphs):
        fields["relations"], relations = _relations(graphs, most, longest)
        columns |= relations
    return fields, columns


def _attributes(graphs: Sequence[Graph], where: Sequence[Path]) -> tuple[tuple[str, ...], list[list[dict[str, str]]]]:
    """The names of the attributes of all objects, and their values: a name alone is the `class`."""
    found: list[list[dict[str, str]]] = []
    names: tuple[str, ...] = ()
    for graph, file in zip(graphs, where, strict=True):
        tables = [each if isinstance(each, Mapping) else {"class": each} for each in graph.objects]
        for place, table in enumerate(tables):
            names = names or tuple(sorted(table))
            if tuple(sorted(table)) != names or not all(isinstance(value, str | int) for value in table.values()):
                wanted = ", ".join(names)
                raise DataError(f"{file}: object {place} has not one word for each of {wanted}: {dict(table)!r:.60}")
        found.append([{name: str(value) for name, value in table.items()} for table in tables])
    return names, found


def _relations(graphs: Sequence[Graph], objects: int, most: int) -> tuple[Field, Columns]:
    predicate, numbers = _numbered([[by for _, by, _ in graph.relations] for graph in graphs], most)
    place = Index("objects", objects)
    columns = {"relations.predicate": numbers, "relations.mask": _mask([len(g.relations) for g in graphs], most)}
    for key, side in (("subject", 0), ("object", 2)):
        columns[f"relations.{key}"] = np.zeros((len(graphs), most), np.int64)
        for row, graph in zip(columns[f"relations.{key}"], graphs, strict=True):
            row[: len(graph.relations)] = [edge[side] for edge in graph.relations]
    return Many(Record({"subject": place, "predicate": predicate, "object": place}), most), columns


def _numbered(words: Sequence[Sequence[str]], most: int) -> tuple[ClassLabel, np.ndarray]:
    """Names by their places in the alphabet, (N, most)."""
    names = sorted({word for own in words for word in own})
    place = {name: i for i, name in enumerate(names)}
    numbers = np.zeros((len(words), most), np.int64)
    for row, own in zip(numbers, words, strict=True):
        row[: len(own)] = [place[word] for word in own]
    return ClassLabel(len(names), tuple(names)), numbers


def _mask(lengths: Sequence[int], most: int) -> np.ndarray:
    return np.arange(most) < np.array(lengths)[:, None]
