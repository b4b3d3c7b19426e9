"""`simulacra encode`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Data, Json, Levels, Resize, Run, Seed, as_json, load_data, optional, parse
from simulacra.cli.output import write_arrays
from simulacra.errors import UsageError


@dataclass(frozen=True)
class Encode:
    """Write the codes of a split: z (one draw of q(z|x) for each item), mean, and the labels."""

    run: Run
    data: Data
    split: Annotated[str, tyro.conf.arg(help="train, valid or test")] = "test"
    out: Annotated[Path | None, optional("PATH", "a .npz file; by default RUN/codes.npz")] = None
    seed: Seed = 0
    resize: Resize = None
    levels: Levels = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = simulacra.load(self.run), load_data(self.data, self.resize, self.levels)
        path = self.out or self.run / "codes.npz"
        if path.suffix != ".npz":
            raise UsageError(f"codes are arrays: cannot write {path}, use a .npz file")
        codes = simulacra.encode(model, data, self.split, seed=self.seed)
        write_arrays(path, codes)
        shape = list(codes["z"].shape)
        print(as_json({"out": str(path), "shape": shape}) if self.json else f"codes of shape {shape} in {path}")


def main(words: Sequence[str]) -> None:
    parse(Encode, "encode", words)()
