"""`simulacra translate`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from simulacra.cli.arguments import (
    Flag,
    Given,
    Json,
    OnRun,
    Options,
    Sampler,
    Seed,
    Several,
    Watch,
    as_json,
    flat,
    optional,
    parse,
)
from simulacra.cli.output import answer_names, refuse_answers, write_answers
from simulacra.errors import UsageError
from simulacra.files import write_arrays
from simulacra.terminal import number_of, printable

if TYPE_CHECKING:
    from simulacra.exploration import Inputs
    from simulacra.model import Model

SHOWN = 8  # items of data in a picture
LONGEST = 24  # letters of the name of a file in a picture
INPUT = "a picture, a folder of pictures, an array file, or data, whose test items are taken; by default the run's"


@dataclass(frozen=True, kw_only=True)
class Translate(Given, OnRun):
    """Translate pictures and maps: draw items given each of them or, by a model that maps items, map each to a domain.

    A picture (.png) shows inputs, answers and, where it is known, the truth side by side. A folder gets each answer
    alone, under the name of its file; that is what a folder of pictures becomes. A condition that is derived from x
    (down, grey, edges, mask) is derived from those pictures whose size or colours are not its own, or, with --derive,
    from all of them.
    """

    input: Annotated[str | None, tyro.conf.Positional, optional("[INPUT]", INPUT)] = None
    to: Annotated[
        Several,
        optional(
            "DOMAIN", "the class that items are mapped to; FIELD=CLASS ... where the model knows several fields of them"
        ),
    ] = ()
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="answers to each input")] = 1
    field: Annotated[str | None, optional("FIELD", "which field INPUT is, of a model that is given several")] = None
    derive: Annotated[Flag, tyro.conf.arg(help="derive the condition from INPUT, whatever its size")] = False
    resize: Annotated[Flag, tyro.conf.arg(help="bring pictures to the size and colours of the model")] = False
    temperature: Annotated[float, tyro.conf.arg(help="of draws; below 1: more typical and less varied")] = 1.0
    sampler: Sampler = None
    option: Options = ()
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="of data: train, valid, test or all")] = "test"
    limit: Annotated[int | None, optional("INT", f"at most so many items of data; {SHOWN} in a picture")] = None
    seed: Seed = 0
    watch: Watch = False
    out: Annotated[
        Path | None,
        optional("PATH", ".png, .npz or a folder; by default RUN/translation.png, or RUN/translated"),
    ] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.cli.given import options_of
        from simulacra.cli.watch import watching
        from simulacra.exploration import Reading, answers, inputs_of
        from simulacra.exploration.translate import drawing_of

        model = self.load_model()
        options = options_of(self.option, model, drawing_of(model))
        path = self._place(model)
        limit = SHOWN if self.limit is None and path.suffix == ".png" else self.limit
        reading = Reading(self.field, self.derive, self.resize, self.split, limit)
        inputs = inputs_of(model, self.input, self._domain(model), self.values(model), reading)
        with watching(model.spec, self.watch) as progress:
            found = answers(model, inputs, self.n, self.seed, self.temperature, self.sampler, options, progress)
        self._write(path, model, inputs, found)
        record = {"n": len(inputs), "answers": self.n, "seed": self.seed, "out": str(path)}
        print(as_json(record) if self.json else f"{_said(len(inputs), self.n)} in {path}")

    def _domain(self, model: Model) -> Any:
        """`zebra`, or `smiling=yes` by field."""
        from simulacra.cli.given import values_of

        to = flat(self.to)
        if len(to) == 1 and "=" not in to[0]:
            return to[0]
        if single := [each for each in to if "=" not in each]:
            raise UsageError(f"--to takes one class, or FIELD=CLASS of several fields: {single[0]!r} is of no field")
        return values_of(to, model) or None

    def _place(self, model: Model) -> Path:
        """Where to write; raises UsageError, before anything is drawn, where that cannot be."""
        from simulacra.exploration.translation_inputs import files_of

        pictured, files = model.spec.is_image and model.spec.levels is not None, files_of(self.input, model)
        of_folder = bool(files) and self.input is not None and Path(self.input).expanduser().is_dir()
        usual = "translated" if pictured and of_folder else f"translation.{'png' if pictured else 'npz'}"
        path = self.out or self.run / usual
        if path.suffix != ".npz" and not (path.suffix == ".png" and pictured):
            refuse_answers(path, model.spec)
        if self.input is not None and path.exists() and path.resolve() == Path(self.input).expanduser().resolve():
            raise UsageError(f"{path} is the input itself: name another file")
        return path

    def _write(self, path: Path, model: Model, inputs: Inputs, found: np.ndarray) -> None:
        from simulacra.exploration import translations_picture
        from simulacra.pictures import save_image

        if path.suffix == ".npz":
            truth = {} if inputs.truth is None else {"truth": inputs.truth}
            write_arrays(path, {"x": found, "input": inputs.shown, **truth})
        elif path.suffix == ".png":
            captions = [printable(f"{name[:LONGEST]}..." if len(name) > LONGEST else name) for name in inputs.names]
            shown = translations_picture(inputs.shown, inputs.field, found, inputs.truth, model.spec, captions)
            save_image(shown, path)
        else:
            write_answers(path, found, model.spec, answer_names(inputs.names, len(inputs), self.n))


def _said(n: int, each: int) -> str:
    return f"{number_of(n, 'input')}, {number_of(each, 'answer')} to each,"


def main(argv: Sequence[str]) -> None:
    parse(Translate, "translate", argv)()
