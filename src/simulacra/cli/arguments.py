"""From words to a command: typed records become flags, and whatever is wrong becomes one line."""

from __future__ import annotations

import contextlib
import inspect
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

from simulacra.errors import UsageError

if TYPE_CHECKING:
    from simulacra.data import Dataset
    from simulacra.model import Model

T = TypeVar("T")


def optional(metavar: str, help: str, **more: Any) -> Any:
    """An argument that may be left out: described as what it is when it is given."""
    return tyro.conf.arg(metavar=metavar, help=help, help_behavior_hint="", **more)


Flag = tyro.conf.FlagCreatePairsOff[bool]
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder that `fit` made")]
Data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA", help="a named data set or a path")]
Seed = Annotated[int, tyro.conf.arg(help="of all noise: the same seed gives the same result")]
Sampler = Annotated[
    str | None,
    optional("NAME", "how a chain draws: cached (each activation once), naive or fixed-point; all draw the same"),
]
Watch = Annotated[Flag, tyro.conf.arg(help="show the items in the terminal while they are drawn")]
Json = Annotated[Flag, tyro.conf.arg(help="print one JSON object on stdout and nothing else")]
Resize = Annotated[int | None, optional("INT", "bring a folder of images to this side: shorter side, centre crop")]
Levels = Annotated[int | None, optional("INT", "levels of the grid of an array: 2 = binary, 256 = 8 bit")]
Class = Annotated[str | None, optional("CLASS", "class of a conditional model, by number or name")]


@dataclass(frozen=True)
class OnData:
    """The arguments of every command about a run and a split of some data."""

    run: Run
    data: Data
    split: Annotated[str, tyro.conf.arg(help="train, valid or test")] = "test"
    resize: Resize = None
    levels: Levels = None

    def loaded(self) -> tuple[Model, Dataset]:
        import simulacra

        return simulacra.load(self.run), load_data(self.data, self.resize, self.levels)


@dataclass(frozen=True)
class MaybeOnData:
    """The arguments of every command about a run for which data are welcome and not needed."""

    run: Run
    data: Annotated[str | None, tyro.conf.Positional, optional("[DATA]", "a named data set or a path")] = None
    label: Class = None
    resize: Resize = None
    levels: Levels = None

    def loaded(self) -> tuple[Model, Dataset | None, dict[str, Any]]:
        """The model, the data if there are any, and the condition."""
        import simulacra

        data = None if self.data is None else load_data(self.data, self.resize, self.levels)
        return simulacra.load(self.run), data, {} if self.label is None else {"label": self.label}


def parse(command: type[T], name: str, words: Sequence[str]) -> T:
    """The record that the words describe; raises UsageError with one line for words that describe none."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(command, prog=f"simulacra {name}", args=words, console_outputs=True)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(f"{_in_one_line(told.getvalue())} See `simulacra {name} --help`.") from None


def _in_one_line(boxed: str) -> str:
    """The first paragraph of a message that is drawn with a frame around it."""
    paragraph = re.split(r"[│\s]*─{5,}[│\s]*", boxed.split("╮", 1)[-1])[0]
    told = re.sub(r"[\s│]+", " ", paragraph).strip()
    told = re.sub(r": no type matching .*? could be instantiated from (\[.*?\])\..*", r": it cannot be \1", told)
    return re.sub(r"'None', |, 'None'", "", told).rstrip(".") + "."  # what it is where it is left out, not a choice


def documented(cls: type, heading: str) -> dict[str, str]:
    """What the docstring of a class says of each argument below `Args:` or `Attributes:`."""
    _, _, block = (inspect.getdoc(cls) or "").partition(f"{heading}:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", block, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).strip().rstrip(".") for name, text in entries}


def load_data(
    source: str, resize: int | tuple[int, int] | None = None, levels: int | None = None, target: str | None = None
) -> Dataset:
    from simulacra import data

    return data.load(source, resize=resize, levels=levels, target=target)


def as_json(record: Any) -> str:
    """One JSON object; numbers that are no numbers become null, as JSON demands."""
    import json
    import math

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(record))
