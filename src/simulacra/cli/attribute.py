"""`simulacra attribute`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from simulacra.cli.arguments import Limit, OnData, Several, Space, flat, optional, parse
from simulacra.cli.output import place
from simulacra.files import write_arrays
from simulacra.terminal import number_of


@dataclass(frozen=True)
class Attribute(OnData):
    """Write an attribute vector, mean code of some classes minus that of others, for `simulacra edit --toward FILE`.

    Every class has the same weight. Two groups of pictures of your own are a folder with a sub-folder for each.
    """

    present: Annotated[
        Several,
        tyro.conf.arg(
            name="with",
            metavar="CLASS ...",
            help="classes that have it, by number or name, or FIELD:CLASS",
            help_behavior_hint="(required)",
        ),
    ] = ()
    absent: Annotated[
        Several, optional("CLASS ...", "classes that lack it; by default all others of the field", name="without")
    ] = ()
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="train, valid or test")] = "train"
    limit: Limit = None
    space: Space = "z"
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.npz", help="the file to write")] = tyro.MISSING

    def __call__(self) -> None:
        from simulacra.exploration import attribute_of_classes
        from simulacra.exploration.attributes import stored

        path = place(self.out, self.run, "attribute", (".npz",))
        model, data = self.loaded()
        present, absent = flat(self.present), flat(self.absent)
        vector = attribute_of_classes(model, data, present, absent, self.split, self.limit, self.space)
        write_arrays(path, stored(vector, model))
        others = " ".join(absent) or "all other classes"
        length = float(np.linalg.norm(vector))
        numbers = number_of(vector.size, "number")
        print(f"from {others} to {' '.join(present)}: {numbers} of length {length:.3g} in {path}")
        print(f"next: simulacra edit {self.run} {self.data or data.name}:0 --toward {path}=1")


def main(argv: Sequence[str]) -> None:
    parse(Attribute, "attribute", argv)()
