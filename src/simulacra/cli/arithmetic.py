"""`simulacra arithmetic`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from simulacra.cli.arguments import Given, Json, OfTheRun, OnRun, Reading, Seed, as_json, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.files import write_arrays
from simulacra.terminal import printable

if TYPE_CHECKING:
    from simulacra.data import Dataset

CONCEPT = "A concept is a class by number or name, or FIELD:CLASS, or several of them joined by +"


@dataclass(frozen=True, kw_only=True)
class Arithmetic(Given, Reading, OnRun):
    """Add to one concept what distinguishes two others: 'smiling woman - woman + man', with a control.

    A concept is the mean code of several items with its labels, or, without an encoder, of draws that look like it to
    a linear classifier. The control goes as far in random directions. A judge, a small network that is fitted to the
    labelled items, counts how often either shows what is wanted.
    """

    data: OfTheRun = None
    start: Annotated[str, tyro.conf.arg(metavar="CONCEPT", help=f"what the difference is added to: man. {CONCEPT}")] = (
        tyro.MISSING
    )
    present: Annotated[
        str,
        tyro.conf.arg(name="with", metavar="CONCEPT", help="what has that which is added: woman+smiling"),
    ] = tyro.MISSING
    absent: Annotated[
        str, tyro.conf.arg(name="without", metavar="CONCEPT", help="what lacks it, and is subtracted: woman")
    ] = tyro.MISSING
    source: Annotated[
        Literal["items", "draws"] | None,
        optional("items|draws", "whose codes; by default items where the model has an encoder, else draws"),
    ] = None
    each: Annotated[int, tyro.conf.arg(help="codes of a concept, at least 3")] = 8
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="of the items: train, valid or test")] = "train"
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/arithmetic.png")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model = self.load_model()
        data = self.load_data(model, self.data)
        path = place(self.out, self.run, "arithmetic", picture_or_array(model.spec.is_image))
        found = simulacra.arithmetic(
            model,
            data,
            self.start,
            self.present,
            self.absent,
            source=self.source,
            each=self.each,
            split=self.split,
            condition=self.condition(model, elsewhere=True),
            seed=self.seed,
        )
        rows = found.rows()
        if path.suffix == ".npz":
            write_arrays(path, {"vector": found.vector} | {name.replace(" ", ""): row for name, row in rows.items()})
        else:
            least = min(map(len, rows.values()))
            headings = ["mean", *map(str, range(1, least))]
            write_rows(path, np.stack([row[:least] for row in rows.values()]), model.spec, list(rows), headings)
        record = {"reached": found.reached, "unmoved": found.unmoved, "control": found.by_chance}
        record |= {"ceiling": found.ceiling}
        if self.json:
            print(as_json({"out": str(path), "wanted": dict(found.wanted), **record}))
            return
        print(f"{self.start} + {self.present} - {self.absent} in {path}")
        shares = f"{found.reached:.0%} of the moved codes, {found.unmoved:.0%} of the unmoved"
        shares += f" and {found.by_chance:.0%} of the controls"
        right = f"it is right about {found.ceiling:.0%} of held-out items"
        print(f"a judge takes {shares} for {_named(found.wanted, data)}; {right}")


def _named(wanted: Mapping[str, int], data: Dataset) -> str:
    """`smiling yes, glasses no`"""
    names = {field: getattr(data.spec.condition[field], "names", ()) for field in wanted}
    return ", ".join(
        f"{field} {printable(names[field][own]) if names[field] else own}" for field, own in wanted.items()
    )


def main(argv: Sequence[str]) -> None:
    parse(Arithmetic, "arithmetic", argv)()
