"""`simulacra mix-styles`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Given, Json, OnRun, Seed, as_json, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.terminal import number_of


@dataclass(frozen=True, kw_only=True)
class MixStyles(Given, OnRun):
    """Give draws, one above the other, the fine styles of others, side by side: a table of mixtures.

    For generators with a mapping network, such as stylegan2. The first column and the first row are the draws alone,
    and the corner is the item of the mean style.
    """

    rows: Annotated[int, tyro.conf.arg(help="draws with coarse styles")] = 4
    columns: Annotated[int, tyro.conf.arg(help="draws with fine styles")] = 6
    layer: Annotated[int | None, optional("INT", "the first of the fine styles; by default the middle one")] = None
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/styles.png")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model = self.load_model()
        path = place(self.out, self.run, "styles", picture_or_array(model.spec.is_image))
        condition = self.condition(model)
        table = simulacra.mix_styles(model, self.rows, self.columns, self.layer, condition=condition, seed=self.seed)
        captions, headings = (
            ["alone", *(f"{what} {number}" for number in range(count))]
            for what, count in (("coarse", self.rows), ("fine", self.columns))
        )
        write_rows(path, table, model.spec, captions, headings)
        if self.json:
            print(as_json({"out": str(path), "rows": self.rows, "columns": self.columns}))
        else:
            draws = f"{number_of(self.rows, 'draw')} with the fine styles of {self.columns}"
            print(f"{draws} in {path}; in the corner the mean style")


def main(argv: Sequence[str]) -> None:
    parse(MixStyles, "mix-styles", argv)()
