"""`simulacra restyle`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from simulacra.cli.arguments import Given, Json, OnData, Seed, Several, as_json, flat, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.model import Model


@dataclass(frozen=True, kw_only=True)
class Restyle(Given, OnData):
    """Decode the codes of some items under the conditions of others: a table of styles, side by side, under conditions,
    one above the other.

    The items of a split, drawn by the seed, give both. The first column shows those whose condition is kept, the first
    row those whose style is taken. Styles may be those of pictures of your own, and a condition may be given.
    """

    rows: Annotated[int, tyro.conf.arg(help="items whose condition is kept")] = 4
    columns: Annotated[int, tyro.conf.arg(help="items whose style is taken")] = 4
    style: Annotated[Several, optional("PICTURE ...", "pictures whose styles are taken, at the size of the model")] = ()
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/restyled.png")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.parts import within

        within(1, rows=self.rows, columns=self.columns)
        model = self.load_model()
        path = place(self.out, self.run, "restyled", picture_or_array(model.spec.is_image))
        kept, condition, x, own = self._found(model)
        table = simulacra.restyle(model, x, condition, own=own)
        if kept is None:
            table, captions = np.concatenate([x[None], table]), []
        else:
            corner = np.zeros_like(x[:1])
            table = np.concatenate([np.concatenate([corner, x])[None], np.concatenate([kept[:, None], table], 1)])
            captions = [""] * len(table)
        write_rows(path, table, model.spec, captions, ())
        made = len(table) - 1, len(x)
        if self.json:
            print(as_json({"out": str(path), "rows": made[0], "columns": made[1]}))
        else:
            print(f"{number_of(made[0], 'condition')} in the styles of {number_of(made[1], 'item')} in {path}")

    def _found(self, model: Model) -> tuple[np.ndarray | None, Any, np.ndarray, Any]:
        """The items whose condition is kept, and it; those whose style is taken, and their own condition, if any.

        There are no items for a condition that is given.
        """
        from simulacra.cli.given import check_complete
        from simulacra.feed import drawn
        from simulacra.verbs import picture_of

        values = self.values(model)
        if values:
            check_complete(model, values)
        rows, columns = 0 if values else self.rows, 0 if flat(self.style) else self.columns
        pictures = [picture_of(model, Path(each), resize=True) for each in flat(self.style)]
        if values and pictures:
            return None, values, np.stack(pictures), None
        split = self.load_data(model, self.data).split(self.split)
        items, fields = drawn(split, rows + columns, model, self.seed)
        x, own = items.cpu().numpy(), fields
        rows = min(rows, len(x) - bool(columns))
        kept, condition = (None, values) if values else (x[:rows], own.rows(slice(rows)))
        if pictures:
            return kept, condition, np.stack(pictures), None
        return kept, condition, x[rows:], own.rows(slice(rows, None))


def main(argv: Sequence[str]) -> None:
    parse(Restyle, "restyle", argv)()
