"""`simulacra demo`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, Seed, as_json, optional, parse
from simulacra.cli.table import print_table


@dataclass(frozen=True)
class Demo:
    """Fit one model of each family to 1,797 handwritten digits and compare them: a table, a picture and a report."""

    out: Annotated[Path, tyro.conf.arg(help="where the runs, samples.png and report.html go")] = Path("runs/demo")
    steps: Annotated[int | None, optional("INT", "train each model so many steps instead of its default")] = None
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        from simulacra.demo import demo
        from simulacra.training.progress import terminal

        options = {} if self.steps is None else {"steps": self.steps}
        with terminal() as progress:
            rows = demo(self.out, [progress], self.seed, **options)
        if self.json:
            print(as_json(rows))
            return
        print_table([*rows[0]], [[*row.values()] for row in rows])
        print(f"samples: {self.out / 'samples.png'}   report: {self.out / 'report.html'}")


def main(argv: Sequence[str]) -> None:
    parse(Demo, "demo", argv)()
