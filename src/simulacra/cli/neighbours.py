"""`simulacra neighbours`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from simulacra.cli.arguments import Given, Limit, OfTheRun, OnRun, Reading, Seed, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.terminal import number_of


@dataclass(frozen=True, kw_only=True)
class Neighbours(Given, Reading, OnRun):
    """Show samples above the training items that are nearest to them, by pixels and, with an encoder, by codes.

    Without one, of a GAN, the codes of --limit training items are found by search.
    """

    data: OfTheRun = None
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="samples")] = 10
    limit: Limit = None
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/neighbours.png")] = None

    def __call__(self) -> None:
        import simulacra

        model = self.load_model()
        data = self.load_data(model, self.data)
        path = place(self.out, self.run, "neighbours", picture_or_array(model.spec.is_image))
        condition = self.condition(model, elsewhere=True)
        found = simulacra.neighbours(model, data, self.n, self.seed, condition=condition, limit=self.limit)
        rows = found.rows()
        arrays = {"index": found.by_pixels.index, "distance": found.by_pixels.distance}
        if found.by_codes is not None:
            arrays |= {"index_by_code": found.by_codes.index, "distance_by_code": found.by_codes.distance}
        write_rows(path, np.stack(list(rows.values())), model.spec, list(rows), (), **arrays)
        nearest = found.by_pixels.distance
        summary = f"median distance {np.median(nearest):.3g}, smallest {nearest.min():.3g}, over pixels in [0, 1]"
        of = number_of(len(data.train), "training item")
        print(f"{number_of(self.n, 'sample')} above the nearest of {of} in {path}")
        print(f"{summary}; `simulacra evaluate` compares this with held-out items (near_copies)")


def main(argv: Sequence[str]) -> None:
    parse(Neighbours, "neighbours", argv)()
