"""`simulacra data`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, Levels, Resize, as_json, load_data, optional, parse
from simulacra.cli.table import print_table
from simulacra.data import Dataset, catalogue


@dataclass(frozen=True)
class Data:
    """List the named data sets, or tell what is understood of one: counts, shape, levels, classes, splits, source."""

    data: Annotated[
        str | None,
        tyro.conf.Positional,
        optional("[DATA]", "a named set, a folder of images, an idx, .npy or .npz file"),
    ] = None
    resize: Resize = None
    levels: Levels = None
    json: Json = False

    def __call__(self) -> None:
        if self.data is None:
            known = catalogue()
            print(as_json(known)) if self.json else print_table(
                ["name", "what it is"], [[*row] for row in known.items()]
            )
            return
        dataset = load_data(self.data, self.resize, self.levels)
        print(as_json(dataset.summary()) if self.json else told(dataset))


def told(dataset: Dataset) -> str:
    splits = ", ".join(f"{split.name} {len(split):,}" for split in dataset.splits)
    lines = [
        f"{dataset.name}: {dataset.card.title}",
        f"  items        {dataset.spec.describe()}",
        f"  splits       {splits}",
    ]
    for field, rows in dataset.summary()["classes"].items():
        counts = "  ".join(f"{row['name']} {row['train'] + row['valid'] + row['test']:,}" for row in rows[:20])
        lines.append(f"  {field:<12} {counts}" + (f"  and {len(rows) - 20} more" if len(rows) > 20 else ""))
    if dataset.duplicates:
        lines.append(
            f"  duplicates   {dataset.duplicates:,} items equal another one; drawn splits keep equals together"
        )
    if dataset.unreadable:
        lines.append(f"  unreadable   {len(dataset.unreadable)} files were left out:")
        lines += [f"    {entry.path}: {entry.reason}" for entry in dataset.unreadable[:20]]
    lines += [f"  source       {dataset.card.source}", f"  licence      {dataset.card.licence}"]
    lines.append(f"  fingerprint  {dataset.fingerprint[:16]}")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    parse(Data, "data", words)()
