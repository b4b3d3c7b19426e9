"""`simulacra forecast`"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Given, Json, OnRun, Seed, as_json, optional, parse
from simulacra.errors import UsageError
from simulacra.files import write_arrays, write_atomically
from simulacra.terminal import number_of

ENDINGS = (".csv", ".png", ".npz")
DATA = "a table or an .npy, whose end is the past, or data, whose test windows are forecast; by default the run's"


@dataclass(frozen=True, kw_only=True)
class Forecast(Given, OnRun):
    """Draw futures of a past: what follows the end of a file, or the last steps of held-out windows beside what came.

    Writes a table with the mean and the quantiles of each step, and a picture of them as bands; a .npz has all draws.
    """

    data: Annotated[str | None, tyro.conf.Positional, optional("[DATA]", DATA)] = None
    steps: Annotated[int, tyro.conf.arg(help="of each future")]
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="futures of each past")] = 100
    split: Annotated[str | None, optional("NAME", "forecast the windows of this split: train, valid, test or all")] = (
        None
    )
    limit: Annotated[int | None, optional("INT", "at most so many windows, drawn by seed 0")] = None
    seed: Seed = 0
    out: Annotated[
        Path | None, optional("PATH", ".csv, with a .png beside it, or .png or .npz; by default RUN/forecast.csv")
    ] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.exploration.forecast import futures_of, pasts_of
        from simulacra.exploration.forecast_picture import forecast_picture
        from simulacra.pictures import save_image

        model = self.load_model()
        path = self.out or self.run / ("forecast.csv" if len(model.spec.shape) == 2 else "forecast.npz")
        self._refuse(path, model.spec.shape)
        given = pasts_of(model, self.data, self.steps, self.condition(model, elsewhere=True), self.split, self.limit)
        found = futures_of(model, given, self.steps, self.n, self.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        written = [path]
        if path.suffix == ".npz":
            truth = {} if given.truth is None else {"truth": given.truth}
            write_arrays(path, {"x": found.futures, **truth})
        elif path.suffix == ".csv":
            write_atomically(path, _table(found))
            written.append(path.with_suffix(".png"))
        if path.suffix != ".npz":
            save_image(forecast_picture(found), written[-1])
        record = {"n": self.n, "items": len(given), "steps": self.steps, "seed": self.seed, "out": str(path)}
        said = f"{number_of(self.n, 'future')} of {number_of(self.steps, 'step')} of {number_of(len(given), 'past')}"
        print(as_json(record) if self.json else f"{said} in {' and '.join(map(str, written))}")

    def _refuse(self, path: Path, shape: tuple[int, ...]) -> None:
        """Raise UsageError, before anything is drawn, for a path that is not written to."""
        endings = ENDINGS if len(shape) == 2 else (".npz",)
        if path.suffix not in endings:
            raise UsageError(f"cannot write {path}: use a {' or a '.join(endings)} file")
        if self.data is not None and path.exists() and path.resolve() == Path(self.data).expanduser().resolve():
            raise UsageError(f"{path} is the past itself: name another file")


def _table(found: object) -> bytes:
    from simulacra.exploration.forecast import Forecasts, as_rows
    from simulacra.exploration.forecast_picture import SHARES

    assert isinstance(found, Forecasts)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(as_rows(found, SHARES))
    return text.getvalue().encode(errors="backslashreplace")


def main(argv: Sequence[str]) -> None:
    parse(Forecast, "forecast", argv)()
