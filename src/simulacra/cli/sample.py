"""`simulacra sample`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from simulacra.cli.arguments import Flag, Json, Run, Sampler, Seed, Watch, as_json, optional, parse
from simulacra.cli.output import write_items
from simulacra.errors import UsageError


@dataclass(frozen=True)
class Sample:
    """Draw new items and write them: a picture (.png), an array (.npz) or a folder of single pictures."""

    run: Run
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="how many")] = 64
    label: Annotated[str | None, optional("CLASS", "class to draw, by number or name; without it all in turn")] = None
    temperature: Annotated[float, tyro.conf.arg(help="below 1: more typical and less varied")] = 1.0
    sampler: Sampler = None
    mean: Annotated[Flag, tyro.conf.arg(help="the mean of p(x|z) of each drawn code, in the place of a draw")] = False
    keep: Annotated[float | None, optional("SHARE", "keep this share of the draws, those a judge is surest of")] = None
    judge: Annotated[str | None, optional("DATA", "labelled data that the judge learns from, a name or a path")] = None
    seed: Seed = 0
    watch: Watch = False
    out: Annotated[Path | None, optional("PATH", ".png, .npz or a folder; by default RUN/samples.png")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.cli.watch import watching
        from simulacra.exploration.codes import sampler_of

        if (self.keep is None) != (self.judge is None):
            raise UsageError("--keep SHARE and --judge DATA go together: draws are kept as a judge likes them")
        model = simulacra.load(self.run)
        sampler_of(model)  # refuses before a label is asked for
        condition = {} if self.label is None else {"label": self.label}
        given = model.conditioned(condition or model.every_class(self.n), self.n)
        with watching(model.spec, self.watch) as progress:
            options: dict[str, Any] = {"temperature": self.temperature, "seed": self.seed, "sampler": self.sampler}
            options |= {"mean": self.mean, "progress": progress, **given}
            if self.keep is None or self.judge is None:
                items = simulacra.sample(model, self.n, **options)
            else:
                items = simulacra.sample_rejected(model, self.n, keep=self.keep, judge=self.judge, **options)
        fields = {name: values.numpy() for name, values in given.items()}
        path = write_items(self.out or self.run / "samples.png", items, model.spec, fields)
        print(
            as_json({"n": self.n, "seed": self.seed, "out": str(path)}) if self.json else f"{self.n} samples in {path}"
        )


def main(words: Sequence[str]) -> None:
    parse(Sample, "sample", words)()
