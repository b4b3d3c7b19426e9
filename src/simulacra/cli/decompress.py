"""`simulacra decompress`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, Run, as_json, parse
from simulacra.terminal import number_of


@dataclass(frozen=True)
class Decompress:
    """Bring back the items of a file that `compress` made with the same model: the same values, or nothing."""

    run: Run
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.sim", help="what `compress` wrote")]
    out: Annotated[
        Path,
        tyro.conf.arg(metavar="PATH", help="a new folder or, for one, a .png for pictures; a .npz or .npy for arrays"),
    ]
    json: Json = False

    def __call__(self) -> None:
        from simulacra.compression import decompress_file

        n = decompress_file(self.run, self.file, self.out)
        print(as_json({"n": n, "out": str(self.out)}) if self.json else f"{number_of(n, 'item')} in {self.out}")


def main(argv: Sequence[str]) -> None:
    parse(Decompress, "decompress", argv)()
