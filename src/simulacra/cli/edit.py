"""`simulacra edit`"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from simulacra.cli.arguments import Flag, Given, Levels, Limit, OnRun, Several, Space, Target, flat, optional, parse
from simulacra.cli.output import picture_or_array, place, write_rows
from simulacra.errors import UsageError

if TYPE_CHECKING:
    from simulacra.data import Dataset
    from simulacra.model import Model

RESEMBLES = 0.5  # of an input's own variation, below which a reconstruction is another picture


@dataclass(frozen=True, kw_only=True)
class Edit(Given, OnRun):
    """Edit an image through its code: encode it, move the code, decode it; shown before, reconstructed and after.

    With --set it gets other attributes and keeps all else: under its code, or, by a model that maps items to domains,
    mapped; the reconstruction then has its own attributes, those of DATA:INDEX or of --given.

    A GAN has no encoder: its code for the image is found by search, with the error that is left.
    What the code does not hold is lost already in the reconstruction, so compare the edit with that.
    """

    image: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE", help="a picture, or DATA:INDEX, a test item")
    ]
    dim: Annotated[
        Several, optional("D=SHIFT ...", "move dimension D by so many standard deviations of the prior: 3=+2")
    ] = ()
    toward: Annotated[
        Several,
        optional(
            "NAME=STRENGTH ...",
            "add so many times an attribute vector: of a class of --data against all others, 8=1.5, or of a file of "
            "`simulacra attribute`, smile.npz=1",
        ),
    ] = ()
    change: Annotated[
        Several, optional("FIELD=VALUE ...", "another value of the condition: smiling=yes", name="set")
    ] = ()
    data: Annotated[str | None, optional("DATA", "whose classes --toward names; else IMAGE's, or the run's")] = None
    resize: Annotated[
        Flag,
        tyro.conf.arg(help="bring the picture to the size and colours of the model"),
    ] = False
    space: Space = "z"
    limit: Limit = None
    levels: Levels = None
    target: Target = None
    out: Annotated[Path | None, optional("PATH", ".png or .npz; by default RUN/edit.png")] = None

    def __call__(self) -> None:
        import simulacra
        from simulacra.cli.given import values_of

        model = self.load_model()
        path = place(self.out, self.run, "edit", picture_or_array(model.spec.is_image))
        dims = {_dimension(name): strength for name, strength in map(_pair, flat(self.dim))}
        x, condition, source = self._item(model)
        toward = [(self._vector(model, name, source), strength) for name, strength in map(_pair, flat(self.toward))]
        to = values_of(flat(self.change), model) or None
        found = simulacra.edit(model, x, dims, toward, condition=condition, space=self.space, to=to)
        rows = np.stack([found.before, found.reconstructed, found.after], axis=1)
        write_rows(path, rows, model.spec, (), ["before", "reconstructed", "after"])
        changed = (found.after != found.reconstructed).mean()
        print(f"before, reconstructed and after in {path}; the edit changed {changed:.0%} of the values")
        if (explained := float(found.explained.min())) < RESEMBLES:
            print(
                f"warning: the reconstruction has {max(explained, 0):.0%} of what varies in the input, so that it is "
                "hardly what is edited; train longer, with more --latent, or give an image like the training data"
            )

    def _item(self, model: Model) -> tuple[np.ndarray, dict[str, Any], Dataset | None]:
        """The item (1, *shape), its condition, and the data that it is from."""
        from simulacra.cli.given import check_complete
        from simulacra.exploration.codes import item_of
        from simulacra.verbs import picture_of

        values = self.values(model)
        name, colon, index = self.image.rpartition(":")
        if Path(self.image).exists() or not (colon and index.isdigit()):
            x = picture_of(model, Path(self.image), self.resize)[None]
            check_complete(model, values, classes_in_turn=False)
            return x, values, None
        data = self._load(model, name)
        x, own = item_of(model, data.test, int(index))
        return x.cpu().numpy(), {**own, **values}, data

    def _vector(self, model: Model, name: str, source: Dataset | None) -> np.ndarray:
        from simulacra.exploration import attribute_of_classes
        from simulacra.exploration.attributes import read_attribute

        if name.endswith(".npz"):
            return read_attribute(Path(name), model)
        data = self._load(model, self.data) if source is None or self.data is not None else source
        return attribute_of_classes(model, data, [name], limit=self.limit, space=self.space)

    def _load(self, model: Model, name: str | None) -> Dataset:
        """Data by name, or those of the run; a folder of pictures in the model's size if it may be resized."""
        from simulacra.data import Recipe
        from simulacra.verbs import data_of

        _, height, width = model.spec.shape if model.spec.is_image else (1, 1, 1)
        resized = self.resize and name is not None and Path(name).is_dir()
        return data_of(model, name, Recipe((height, width) if resized else None, self.levels, self.target))


def _pair(text: str) -> tuple[str, float]:
    """NAME=NUMBER"""
    name, _, number = text.rpartition("=")
    try:
        strength = float(number)
    except ValueError:
        strength = math.nan
    if not name or not math.isfinite(strength):
        raise UsageError(f"{text!r} is not NAME=NUMBER, such as 3=+2 or smiling=1.5")
    return name, strength


def _dimension(name: str) -> int:
    if not name.isdigit():
        raise UsageError(f"a dimension is a number, as in --dim 3=+2, not {name!r}; see `simulacra traverse`")
    return int(name)


def main(argv: Sequence[str]) -> None:
    parse(Edit, "edit", argv)()
