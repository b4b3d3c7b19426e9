"""`simulacra traverse`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from simulacra.cli.arguments import MaybeOnData, Seed, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.errors import UsageError

MEANING = {
    "KL": "KL: nats of an item in this dimension of the code, on average",
    "spread": "spread: variance over items of the mean of q(z|x), in units of the prior's",
    "share of codes": "share of codes: of the variance over items of the mean of q(z|x)",
    "share of styles": "share of styles: of the variance of w over draws",
    "share of response": "share of response: of the variance over draws of what the first layer makes of them",
    "change": "change: of a pixel, as a share of the brightest, when draws go from -1 to 1 in this dimension",
}


@dataclass(frozen=True)
class Traverse(MaybeOnData):
    """Move one dimension of a code after the other from -3 to 3 standard deviations of the prior, a row each.

    The code is that of an item of DATA, or without DATA the prior's mean (of a GAN: a draw). The most informative
    dimension comes first.
    """

    index: Annotated[int | None, optional("INT", "of the item in the split; 0 without it")] = None
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="train, valid or test")] = "test"
    dims: Annotated[tuple[int, ...] | None, optional("INT ...", "the dimensions to move, in this order")] = None
    steps: Annotated[int, tyro.conf.arg(help="items in a row")] = 9
    top: Annotated[int, tyro.conf.arg(help="rows at most")] = 10
    directions: Annotated[
        Literal["dimensions", "principal"],
        tyro.conf.arg(help="principal: directions of the largest variance of styles, codes or the first layer"),
    ] = "dimensions"
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/traversal.png")] = None

    def __call__(self) -> None:
        import simulacra

        model, data, condition = self.loaded()
        if data is None and self.index is not None:
            raise UsageError(f"--index {self.index} is an item of DATA: name the data set too")
        path = place(self.out, self.run, "traversal", picture_or_array(model.spec.is_image))
        found = simulacra.traverse(
            model,
            data,
            self.index or 0,
            condition=condition,
            dims=self.dims,
            steps=self.steps,
            top=self.top,
            split=self.split,
            seed=self.seed,
            directions=self.directions,
        )
        headings = [f"{setting:g}" for setting in np.round(found.settings, 2)]
        arrays = {"dims": np.array(found.dims), "settings": np.array(found.settings)}
        arrays |= {"importance": found.importance.each.numpy()}
        if found.directions is not None:
            arrays["directions"] = found.directions
        write_rows(path, found.items, model.spec, found.captions, headings, **arrays)
        what = "dimensions" if found.directions is None else "principal directions"
        print(f"{len(found.dims)} of {len(found.importance.each)} {what} in {path}")
        print(MEANING[found.importance.measure])


def main(argv: Sequence[str]) -> None:
    parse(Traverse, "traverse", argv)()
