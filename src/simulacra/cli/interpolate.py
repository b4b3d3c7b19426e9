"""`simulacra interpolate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Levels, Resize, Run, Seed, load_data, optional, parse
from simulacra.cli.output import write_items


@dataclass(frozen=True)
class Interpolate:
    """Walk from one code to another, a row a walk: between held-out items of DATA, or without DATA between draws."""

    run: Run
    data: Annotated[
        str | None,
        tyro.conf.Positional,
        optional("[DATA]", "whose test items are the ends of the rows"),
    ] = None
    rows: Annotated[int, tyro.conf.arg(help="walks")] = 8
    steps: Annotated[int, tyro.conf.arg(help="items in a walk, both ends included")] = 10
    label: Annotated[str | None, optional("CLASS", "class to walk in, without DATA")] = None
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/interpolation.png")] = None
    resize: Resize = None
    levels: Levels = None

    def __call__(self) -> None:
        import simulacra

        model = simulacra.load(self.run)
        data = None if self.data is None else load_data(self.data, self.resize, self.levels)
        condition = {} if self.label is None else {"label": self.label}
        items = simulacra.interpolate(model, self.steps, self.rows, data, self.seed, **condition).cpu().numpy()
        path = write_items(self.out or self.run / "interpolation.png", items, model.spec, {}, columns=self.steps)
        print(f"{self.rows} walks of {self.steps} steps in {path}")


def main(words: Sequence[str]) -> None:
    parse(Interpolate, "interpolate", words)()
