"""`simulacra data`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from simulacra.cli.arguments import (
    READING,
    Domains,
    Entity,
    Flag,
    Json,
    Levels,
    Pairs,
    Rate,
    Resize,
    Window,
    as_json,
    optional,
    parse,
)
from simulacra.cli.table import print_table
from simulacra.data import Dataset, catalogue, load
from simulacra.data.cache import cache_root, clean
from simulacra.errors import UsageError
from simulacra.terminal import number_of, printable

SHOWN = 20  # classes, and unreadable files


@dataclass(frozen=True)
class Data:
    """List the named data sets, or describe one as it was understood: shape, levels, fields, splits, source.

    Of a run it describes the data that the run was fitted on, read again by its recipe.
    """

    data: Annotated[
        str | None,
        tyro.conf.Positional,
        optional(
            "[DATA]",
            "a named set, a folder of images or sound, an idx, .npy, .npz, .csv, .wav or .txt file, tracks of people, "
            "or a run folder",
        ),
    ] = None
    resize: Resize = None
    levels: Levels = None
    target: Annotated[str | None, optional("FIELD", "describe the data with this field as what is modelled")] = None
    pairs: Pairs = None
    domains: Domains = None
    rate: Rate = None
    window: Window = None
    entity: Entity = None
    clean: Annotated[Flag, tyro.conf.arg(help="remove all data sets from the cache; what was downloaded stays")] = False
    json: Json = False

    def __call__(self) -> None:
        if self.clean:
            if self.data is not None:
                raise UsageError("--clean removes all data sets from the cache: leave out DATA")
            found, size = clean()
            where = cache_root() / "data"
            about = {"removed": found, "bytes": size, "folder": str(where)}
            print(as_json(about) if self.json else f"removed {found} data sets, {size / 1e6:,.1f} MB, from {where}")
            return
        if self.data is None:
            known = catalogue()
            print(as_json(known)) if self.json else print_table(
                ["name", "what it is"], [[*row] for row in known.items()]
            )
            return
        dataset = self._of_run() if _is_run(self.data) else self._loaded(self.data)
        print(as_json(dataset.summary()) if self.json else "\n".join(_lines(dataset)))

    def _loaded(self, source: str) -> Dataset:
        return load(source, **self._steps())

    def _of_run(self) -> Dataset:
        from simulacra.cli.arguments import recipe_of
        from simulacra.model import load as load_model
        from simulacra.verbs import data_of

        return data_of(load_model(str(self.data)), None, recipe_of(**self._steps()))

    def _steps(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in READING}


def _is_run(path: str) -> bool:
    """Whether a path is a run folder, or that of a model, and no name of a data set."""
    return path not in catalogue() and any((Path(path) / name).is_file() for name in ("run.json", "config.json"))


def _lines(dataset: Dataset) -> list[str]:
    """One fact a line."""
    facts = [
        *([("read as", dataset.kind)] if dataset.kind else []),
        ("items", dataset.spec.x.describe()),
        ("splits", ", ".join(f"{split.name} {len(split):,}" for split in dataset.splits)),
        *([("columns", ", ".join(dataset.columns))] if dataset.columns else []),
        *_fields(dataset),
    ]
    if dataset.duplicates:
        facts.append(
            (
                "duplicates",
                f"{number_of(dataset.duplicates, 'item')} like another one; drawn splits keep equals together",
            )
        )
    facts += [("noted" if not number else "", remark) for number, remark in enumerate(dataset.remarks)]
    if dataset.unreadable:
        facts.append(("unreadable", f"{number_of(len(dataset.unreadable), 'file')} left out:"))
        facts += [("", f"{entry.path}: {entry.reason}") for entry in dataset.unreadable[:SHOWN]]
    facts += [
        ("altered", f"{number_of(each.count, 'file')}: {each.reason}, such as {each.example}")
        for each in dataset.altered
    ]
    steps = dataset.recipe.describe()
    facts += [
        ("recipe", f"{steps} ({dataset.recipe.digest})" if steps else "as they are"),
        ("source", dataset.card.source),
        ("licence", dataset.card.licence),
        ("fingerprint", dataset.fingerprint[:16]),
    ]
    lines = [f"{dataset.name}: {dataset.card.title}", *(f"  {name:<12} {fact}" for name, fact in facts)]
    return [printable(line, one_line=True) for line in lines]


def _fields(dataset: Dataset) -> list[tuple[str, str]]:
    """What each field is; below a field of classes, the items of each class, and below a map of them their names."""
    facts, summary = [], dataset.summary()
    for name, description in summary["fields"].items():
        facts.append((name, description))
        if rows := summary["classes"].get(name):
            counts = "  ".join(f"{row['name']} {row['train'] + row['valid'] + row['test']:,}" for row in rows[:SHOWN])
            facts.append(("", counts + (f"  and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")))
        if names := summary["maps"].get(name):
            more = f"  and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            facts.append(("", "  ".join(names[:SHOWN]) + more))
        if words := summary["vocabularies"].get(name):
            facts += [("", line) for line in _words(words)]
    return facts


def _words(words: Mapping[str, Any]) -> list[str]:
    """The size of a vocabulary, its most frequent words, and how many in other splits are not in it."""
    frequent = "  ".join(f"{word} {n:,}" for word, n in words["frequent"].items())
    unknown = [
        f"{words['unknown'][part]:,} of {words['of'][part]:,} in {part}"
        for part in words["of"]
        if words["unknown"][part]
    ]
    return [f"{words['words']:,} words: {frequent}", *([f"unknown: {', '.join(unknown)}"] if unknown else [])]


def main(argv: Sequence[str]) -> None:
    parse(Data, "data", argv)()
