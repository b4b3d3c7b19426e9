"""`simulacra interpolate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from simulacra.cli.arguments import MaybeOnData, Seed, Several, Space, flat, optional, parse
from simulacra.cli.output import picture_or_array, place, write_items, write_rows
from simulacra.files import write_bytes
from simulacra.terminal import number_of

if TYPE_CHECKING:
    import numpy as np

    from simulacra.data import DataSpec

STEPS, FRAMES = 10, 40  # in a picture, in a film


@dataclass(frozen=True)
class Interpolate(MaybeOnData):
    """Walk from one code to another, a row a walk: between held-out items of DATA, or without DATA between draws.

    A .gif shows all walks at once, there and back. A conditional model keeps the condition of the first item of a walk;
    with --to a walk has one code, and goes from one condition to another: --label 3 --to label=7.
    """

    rows: Annotated[int, tyro.conf.arg(help="walks")] = 8
    steps: Annotated[
        int | None, optional("INT", f"items in a walk, both ends included; {STEPS}, {FRAMES} of a .gif")
    ] = None
    path: Annotated[
        Literal["linear", "spherical", "styles"] | None,
        optional(
            "linear|spherical|styles",
            "by default linear between items and spherical between draws; styles is linear in W, of a style network",
        ),
    ] = None
    to: Annotated[
        Several, optional("FIELD=VALUE ...", "the condition at the end of each walk, which then has one code")
    ] = ()
    space: Space = "z"
    seed: Seed = 0
    out: Annotated[Path | None, optional("PATH", ".png, .gif or .npz; by default RUN/interpolation.png")] = None

    def __call__(self) -> None:
        import simulacra
        from simulacra.cli.given import values_of
        from simulacra.pictures import has_picture

        model, data, condition = self.loaded()
        endings = (*picture_or_array(has_picture(model.spec)), *[".gif"] * model.spec.is_image)
        path = place(self.out, self.run, "interpolation", endings)
        usual = FRAMES if path.suffix == ".gif" else STEPS
        steps = usual if self.steps is None else self.steps
        to = values_of(flat(self.to), model) or None
        walks = simulacra.interpolate(
            model, steps, self.rows, data, self.seed, self.path, condition=condition, to=to, space=self.space
        )
        items = walks.cpu().numpy()
        if path.suffix == ".gif":
            _write_film(path, items.reshape(self.rows, steps, *model.spec.shape), model.spec)
        elif path.suffix == ".png" and model.spec.is_image:
            captions = [f"walk {i}" for i in range(self.rows)]  # between draws, or test items that the seed draws
            headings = [f"{i / (steps - 1):.2g}" for i in range(steps)]
            write_rows(path, items.reshape(self.rows, steps, *model.spec.shape), model.spec, captions, headings)
        else:
            write_items(path, items, model.spec, {})
        print(f"{number_of(self.rows, 'walk')} of {number_of(steps, 'step')} in {path}")


def _write_film(path: Path, walks: np.ndarray, spec: DataSpec) -> None:
    from simulacra.pictures import picture, there_and_back

    write_bytes(path, there_and_back([picture(walks[:, step], spec) for step in range(walks.shape[1])]))


def main(argv: Sequence[str]) -> None:
    parse(Interpolate, "interpolate", argv)()
