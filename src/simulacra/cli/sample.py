"""`simulacra sample`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Flag, Json, MaybeOnData, Options, Sampler, Seed, Watch, as_json, optional, parse
from simulacra.cli.heard import usual_ending
from simulacra.cli.output import refuse_place, write_items
from simulacra.cli.rows import refuse_rows, write_rows_of_text
from simulacra.errors import UsageError
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.data import DataSpec


@dataclass(frozen=True)
class Sample(MaybeOnData):
    """Draw new items and write them: a picture (.png), an array (.npz), a folder of single pictures or, of a model of a
    table, a table (.csv). Clips of video are written as a .gif too, and as a row of frames each in a picture. Sound is
    written as .wav, with spectrograms beside it (.png), or as a folder of .wav; text as .txt.

    Without a condition, a model that is conditioned on classes draws all of them in turn. With DATA, one that is
    conditioned on more takes the conditions of test items. A picture shows pictures and words that items are
    conditioned on in front of them, a row for each condition, and with DATA the item that has it behind them.
    """

    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="how many")] = 64
    each: Annotated[
        int | None,
        optional("INT", "with DATA: draws for the condition of an item; 1, but about √n in a picture with conditions"),
    ] = None
    temperature: Annotated[float, tyro.conf.arg(help="below 1: more typical and less varied")] = 1.0
    sampler: Sampler = None
    option: Options = ()
    mean: Annotated[Flag, tyro.conf.arg(help="the mean of p(x|z) of each drawn code, in place of a draw")] = False
    keep: Annotated[float | None, optional("SHARE", "keep this share of the draws, those a judge is surest of")] = None
    judge: Annotated[str | None, optional("DATA", "labelled data that the judge is fitted to, a name or a path")] = None
    seed: Seed = 0
    watch: Watch = False
    out: Annotated[
        Path | None, optional("PATH", ".png, .gif, .npz, .csv, .wav, .txt or a folder; by default RUN/samples.png")
    ] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.capabilities import Sampler, need
        from simulacra.cli.given import options_of
        from simulacra.cli.watch import watching
        from simulacra.exploration.codes import condition_or_classes, refuse_condition
        from simulacra.feed import shown_of

        if self.each is not None and self.data is None:
            raise UsageError(f"--each {self.each} is for the conditions of DATA: name the data set too")
        if (self.keep is None) != (self.judge is None):
            raise UsageError("--keep SHARE and --judge DATA go together: draws are kept by a judge fitted to DATA")
        need(self.load_model(), Sampler)  # before any other refusal
        model, data, condition = self.loaded()
        path = self.out or self.run / f"samples{usual_ending(model.spec.x)}"
        as_rows = path.suffix == ".csv"
        (refuse_rows if as_rows else refuse_place)(path, model.spec)
        x = None
        if data is None:
            condition = condition_or_classes(model, condition, self.n)
        else:
            refuse_condition(condition)
            x, condition = shown_of(model, data.test, self.n, self._each(model.spec, path))
        with watching(model.spec, self.watch) as progress:
            items = simulacra.sample(
                model,
                self.n,
                condition=condition,
                temperature=self.temperature,
                seed=self.seed,
                sampler=self.sampler,
                options=options_of(self.option, model),
                mean=self.mean,
                keep=self.keep,
                judge=self.judge,
                progress=progress,
            )
        fields = {name: values.cpu().numpy() for name, values in condition.items()}
        if as_rows:
            write_rows_of_text(path, items, model.spec, fields, model.origin.columns if model.origin else ())
        else:
            path = write_items(path, items, model.spec, fields, None if x is None else x.cpu().numpy())
        print(
            as_json({"n": self.n, "seed": self.seed, "out": str(path)})
            if self.json
            else f"{number_of(self.n, 'sample')} in {path}"
        )

    def _each(self, spec: DataSpec, path: Path) -> int:
        """Draws for the condition of one item; raises UsageError for fewer than one."""
        from simulacra.parts import within
        from simulacra.pictures import draws_each

        within(1, each=self.each)
        return self.each or (draws_each(spec, self.n) if path.suffix == ".png" else 1)


def main(argv: Sequence[str]) -> None:
    parse(Sample, "sample", argv)()
