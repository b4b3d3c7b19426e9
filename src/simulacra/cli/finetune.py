"""`simulacra finetune`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, OfTheRun, OnRun, Reading, Seed, Several, as_json, flat, optional, parse
from simulacra.cli.output import place
from simulacra.cli.table import print_table
from simulacra.files import write_bytes


@dataclass(frozen=True, kw_only=True)
class Finetune(Reading, OnRun):
    """Learn to classify from few labels, with the codes of a model and without, and report the test errors.

    probe: logistic regression on the codes as they are; finetune: a linear layer on them, trained with the encoder;
    scratch: the same from random weights; m2: a generative model of items and classes; m1+m2: the same of codes.
    """

    data: OfTheRun = None
    labels: Annotated[tuple[int, ...], tyro.conf.arg(help="numbers of labelled items: 100 600 1000 3000")] = (100,)
    draws: Annotated[int, tyro.conf.arg(help="how often they are drawn, in equal numbers from all classes")] = 10
    methods: Annotated[
        Several, optional("NAME ...", "probe finetune scratch m2 m1+m2; without it all that the codes allow")
    ] = ()
    field: Annotated[str, tyro.conf.arg(help="which field of the data is the label")] = "label"
    steps: Annotated[int | None, optional("INT", "of training, in place of each method's own number")] = None
    seed: Seed = 0
    out: Annotated[Path | None, optional("FILE.json", "the errors of every draw; by default RUN/finetune.json")] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.studies import finetune
        from simulacra.training.progress import terminal

        path = place(self.out, self.run, "finetune", (".json",))
        model = self.load_model()
        data = self.load_data(model, self.data)
        methods = [name for text in flat(self.methods) for name in text.split(",") if name]
        with terminal() as progress:
            found = finetune(
                model,
                data,
                self.labels,
                self.draws,
                methods,
                field=self.field,
                steps=self.steps,
                seed=self.seed,
                device=self.device,
                observers=[progress],
            )
        record = as_json(asdict(found))
        write_bytes(path, record.encode())
        if self.json:
            print(record)
            return
        rows = [
            [str(row.labels), row.method, f"{row.error:.2f}", f"{row.standard_deviation:.2f}", f"{row.seconds:.1f}"]
            for row in found.results
        ]
        print_table(["labels", "method", "test error %", "± over draws", "seconds a draw"], rows)


def main(argv: Sequence[str]) -> None:
    parse(Finetune, "finetune", argv)()
