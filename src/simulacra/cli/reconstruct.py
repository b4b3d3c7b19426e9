"""`simulacra reconstruct`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from simulacra.cli.arguments import OnItems, Seed, Space, optional, parse
from simulacra.cli.output import write_items, write_rows
from simulacra.terminal import number_of


@dataclass(frozen=True)
class Reconstruct(OnItems):
    """Show items of a split, drawn by the seed, or a picture, each above its reconstruction.

    A model without an encoder, a GAN, finds the code of each of them by search, and says with what error.
    """

    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="how many")] = 16
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/reconstructions.png")] = None
    space: Space = "z"
    seed: Seed = 0

    def __call__(self) -> None:
        import simulacra
        from simulacra.feed import drawn

        model, data = self.loaded()
        x, condition = drawn(data.split(self.split), self.n, model, self.seed)
        again = simulacra.reconstruct(model, x, condition, space=self.space)
        pairs = np.stack([x.cpu().numpy(), again.cpu().numpy()])
        path = self.out or self.run / "reconstructions.png"
        if path.suffix == ".png" and model.spec.is_image:
            write_rows(path, pairs, model.spec, ("items", "reconstructions"), ())
        else:
            path = write_items(path, pairs.reshape(-1, *model.spec.shape), model.spec, {})
        below = "its reconstruction" if len(x) == 1 else "their reconstructions"
        print(f"{number_of(len(x), 'item')} above {below} in {path}")


def main(argv: Sequence[str]) -> None:
    parse(Reconstruct, "reconstruct", argv)()
