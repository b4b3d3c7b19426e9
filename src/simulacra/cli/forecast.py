"""`simulacra forecast`"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Given, Json, OnRun, Seed, as_json, optional, parse
from simulacra.errors import UsageError
from simulacra.files import write_arrays, write_atomically
from simulacra.terminal import number_of

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from simulacra.data.spec import DataSpec

TABLE, FILM = (".csv", ".png", ".npz"), (".gif", ".npz")  # the first one by default
DATA = "a table or an .npy, whose end is the past, or data, whose test windows are forecast; by default the run's"


@dataclass(frozen=True, kw_only=True)
class Forecast(Given, OnRun):
    """Draw futures of a past: what follows the end of a file, or the last steps of held-out windows beside what came.

    Writes a table with the mean and the quantiles of each step, and a picture of them as bands; a .npz has all draws.
    Of people who walk the table has every draw, and the picture shows scenes from above. Of clips a film shows some of
    them: what came, where it is known, and futures beside it.
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
        Path | None,
        optional("PATH", ".csv, with a .png beside it, .png or .npz; of clips .gif or .npz; by default in RUN"),
    ] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.exploration.forecast import as_rows, futures_of, pasts_of
        from simulacra.exploration.forecast_people import as_rows as of_people_rows
        from simulacra.exploration.forecast_people import of_people, people_picture, scenes_of, walks_of
        from simulacra.exploration.forecast_picture import SHARES, forecast_film, forecast_picture

        model = self.load_model()
        people = of_people(model)
        shown = people or len(model.spec.shape) == 2
        endings = TABLE if shown else FILM if model.spec.is_video else (".npz",)
        path = self.out or self.run / f"forecast{endings[0]}"
        self._refuse(path, endings)
        if people:
            scenes = scenes_of(model, self.data, None, self.split, self.limit)
            walks = walks_of(model, scenes, self.steps, self.n, self.seed)
            arrays = {"x": walks.futures, "past": walks.past, "mask": walks.mask, "truth": walks.truth}
            written = _write(path, arrays, lambda: of_people_rows(walks), lambda: people_picture(walks))
        else:
            condition = self.condition(model, elsewhere=True)
            scenes = pasts_of(model, self.data, self.steps, condition, self.split, self.limit)
            found = futures_of(model, scenes, self.steps, self.n, self.seed)
            arrays = {"x": found.futures, "truth": scenes.truth}
            rows, picture = functools.partial(as_rows, found, SHARES), functools.partial(forecast_picture, found)
            written = _write(path, arrays, rows, picture, lambda: _gif(*forecast_film(found), model.spec))
        record = {"n": self.n, "items": len(scenes), "steps": self.steps, "seed": self.seed, "out": str(path)}
        past = "scene" if people else "past"
        said = f"{number_of(self.n, 'future')} of {number_of(self.steps, 'step')} of {number_of(len(scenes), past)}"
        print(as_json(record) if self.json else f"{said} in {' and '.join(map(str, written))}")

    def _refuse(self, path: Path, endings: tuple[str, ...]) -> None:
        """Raise UsageError, before anything is drawn, for a path that is not written to."""
        if path.suffix not in endings:
            raise UsageError(f"cannot write {path}: use a {' or a '.join(endings)} file")
        if self.data is not None and path.exists() and path.resolve() == Path(self.data).expanduser().resolve():
            raise UsageError(f"{path} is the past itself: name another file")


def _write(
    path: Path,
    arrays: Mapping[str, np.ndarray | None],
    rows: Callable[[], Iterable[Sequence[str]]],
    picture: Callable[[], Image.Image],
    film: Callable[[], bytes] | None = None,
) -> list[Path]:
    """A table with a picture beside it, a picture, a film, or the arrays that there are; returns where they went."""
    from simulacra.pictures import save_image

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        write_arrays(path, {name: own for name, own in arrays.items() if own is not None})
        return [path]
    if path.suffix == ".gif" and film is not None:
        write_atomically(path, film())
        return [path]
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows())
        write_atomically(path, text.getvalue().encode(errors="backslashreplace"))
    drawn = path.with_suffix(".png")
    save_image(picture(), drawn)
    return [path] if path == drawn else [path, drawn]


def _gif(film: np.ndarray, columns: int, spec: DataSpec) -> bytes:
    from simulacra.pictures import clips_gif

    return clips_gif(film, spec, columns=columns)


def main(argv: Sequence[str]) -> None:
    parse(Forecast, "forecast", argv)()
