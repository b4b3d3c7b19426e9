"""`simulacra manifold`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import MaybeOnData, Seed, optional, parse
from simulacra.cli.output import picture_or_array, place
from simulacra.files import write_arrays

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image


@dataclass(frozen=True)
class Manifold(MaybeOnData):
    """Decode the plane of two dimensions of the code, at the prior's quantiles.

    All other dimensions are at the prior's mean, or at a draw of it for a GAN.
    """

    dims: Annotated[
        tuple[int, int] | None,
        optional(
            "ACROSS UP",
            "two dimensions; by default the most informative ones: by their KL over DATA, or without "
            "DATA by how much a picture changes",
        ),
    ] = None
    side: Annotated[int, tyro.conf.arg(help="items to a row, and rows")] = 20
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/manifold.png")] = None

    def __call__(self) -> None:
        import simulacra
        from simulacra.pictures import has_picture, picture, pixels, save_image

        model, data, condition = self.loaded()
        path = place(self.out, self.run, "manifold", picture_or_array(has_picture(model.spec)))
        found = simulacra.manifold(model, data, condition=condition, dims=self.dims, side=self.side, seed=self.seed)
        if path.suffix == ".npz":
            write_arrays(path, {"x": found.items})
        else:
            items = found.items.reshape(-1, *model.spec.shape)
            plane = self._plane(pixels(items, model.spec), found.dims) if model.spec.is_image else None
            save_image(plane or picture(items, model.spec), path)
        across, up = found.dims
        ends = [100 * end / self.side for end in (0.5, self.side - 0.5)]
        print(
            f"dimension {across} to the right and {up} upwards, each from {ends[0]:.1f} % to {ends[1]:.1f} % of the "
            f"prior, in {path}"
        )

    def _plane(self, tiles: np.ndarray, dims: tuple[int, ...]) -> Image:
        """The plane with its two axes."""
        from simulacra.pictures import labelled, sheet

        across, up = dims
        shares = [f"{100 * (i + 0.5) / self.side:.1f} %" for i in range(self.side)]
        captions, headings = list(reversed(shares)), list(shares)
        captions[0], headings[0] = f"dimension {up}: {captions[0]}", f"dimension {across}: {headings[0]}"
        return labelled(sheet(tiles, self.side, line=0), (self.side, self.side), captions, headings)


def main(argv: Sequence[str]) -> None:
    parse(Manifold, "manifold", argv)()
