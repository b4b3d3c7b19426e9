"""Arguments of commands: typed records become flags, and a wrong call becomes one line of error."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro

from simulacra.errors import UsageError
from simulacra.terminal import steering

if TYPE_CHECKING:
    from simulacra.data import Dataset, Recipe
    from simulacra.model import Model

T = TypeVar("T")


def optional(metavar: str, help: str, **more: Any) -> Any:
    """An argument that may be left out; the help shows it as if it were required."""
    return tyro.conf.arg(metavar=metavar, help=help, help_behavior_hint="", **more)


def flat(values: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """All values of a flag that may be repeated."""
    return tuple(itertools.chain(*values))


Flag = tyro.conf.FlagCreatePairsOff[bool]
Several = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction]
"""Several values, after one flag or each after its own: `flat` of it."""
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder that `fit` made")]
OfTheRun = Annotated[
    str | None,
    tyro.conf.Positional,
    optional("[DATA]", "a named data set or a path, read as the data of the run were; without it those data again"),
]
Seed = Annotated[int, tyro.conf.arg(help="of all noise: the same seed gives the same result")]
Sampler = Annotated[
    str | None,
    optional("NAME", "how a chain draws: cached (each activation once), naive or fixed-point; all draw the same"),
]
Options = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(
        metavar="NAME=VALUE ...",
        help="further arguments of the model's own `sample`, such as truncation=0.5 of a GAN",
        help_behavior_hint="",
    ),
]
Watch = Annotated[Flag, tyro.conf.arg(help="show the items in the terminal while they are drawn")]
Json = Annotated[Flag, tyro.conf.arg(help="print one JSON object on stdout and nothing else")]
Resize = Annotated[int | None, optional("INT", "bring images to INT × INT: their shorter side, and a centre crop")]
Levels = Annotated[
    int | None,
    optional(
        "INT",
        "the values are levels 0 to INT - 1: none is rescaled, and larger ones are refused; by default as those of the "
        "run, or 2 for zeros and ones, else 256",
    ),
]
Target = Annotated[str | None, optional("FIELD", "the field that is modelled, in the place of the usual x")]
Pairs = Annotated[
    Literal["by-name", "side-by-side", "none"] | None,
    optional("HOW", "pairs of a folder of pictures: by-name in A/ and B/, side-by-side in each image, or none"),
]
Domains = Annotated[
    tuple[str, ...] | None,
    optional("FIELD FIELD ...", "fields of one kind as one set without pairs, conditioned on its `domain`: x noto"),
]
Rate = Annotated[int | None, optional("INT", "bring sound to so many samples a second; by default as the files are")]
Window = Annotated[
    int | None,
    optional(
        "INT",
        "of sequences the steps of an item: samples of sound (by default a second at most), bytes of text (256), "
        "frames of a folder of video, rows of a table with a row for each step, steps of an .npy of series",
    ),
]
Entity = Annotated[
    str | None, optional("COLUMN", "of a table with a row for each step: which column says of which series a row is")
]
READING = (
    "resize",
    "levels",
    "target",
    "pairs",
    "domains",
    "rate",
    "window",
    "entity",
)  # the steps of a recipe, as flags
Limit = Annotated[
    int | None,
    optional("INT", "at most so many items; needed where codes are found by search, as of a GAN, which has no encoder"),
]
Space = Annotated[
    Literal["z", "w", "w+"],
    tyro.conf.arg(
        help="where the codes of a GAN are searched for: z, or the styles of a style network: w, one for all layers, "
        "or w+, one for each"
    ),
]
Device = Annotated[str, tyro.conf.arg(metavar="NAME", help="auto takes a GPU where there is one; else cpu, cuda, mps")]
Class = Annotated[str | None, optional("CLASS", "short for --given label=CLASS")]
Values = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(
        metavar="FIELD=VALUE ...",
        help="the condition: a class by number or name, numbers with commas between them, a sentence, or a file: "
        "a picture, .npy or .npz; graph=FILE.json gives objects and relations",
        help_behavior_hint="",
    ),
]


@dataclass(frozen=True, kw_only=True)
class OnRun:
    """The arguments of every command about a run."""

    run: Run
    device: Device = "auto"

    def load_model(self) -> Model:
        import simulacra
        from simulacra.devices import choose_device

        return simulacra.load(self.run, choose_device(self.device))


@dataclass(frozen=True, kw_only=True)
class Given:
    """The condition of what a command draws or decodes."""

    given: Values = ()
    label: Class = None

    def values(self, model: Model) -> dict[str, Any]:
        """The values by field; those of fields that the model does not have as text."""
        from simulacra.cli.given import values_of

        if not all(self.given):
            raise UsageError("--given needs FIELD=VALUE, such as label=3")
        if self.label is not None and "label" not in model.spec.condition and model.spec.condition:
            name = next(iter(model.spec.condition))
            raise UsageError(f"this {model.name} is not conditioned on 'label' but on {name!r}: use --given {name}=...")
        short = [] if self.label is None else [f"label={self.label}"]
        return values_of([*itertools.chain(*self.given), *short], model)

    def condition(self, model: Model, elsewhere: bool = False) -> dict[str, Any] | None:
        """The values; None where there are none and they are found `elsewhere`, or classes are shown in turn.

        Raises UsageError, naming --given, where a value is missing.
        """
        from simulacra.cli.given import check_complete

        values = self.values(model)
        if not elsewhere:
            check_complete(model, values)
        return values or None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How data are read: by default as those of the run were."""

    resize: Resize = None
    levels: Levels = None
    target: Target = None
    rate: Rate = None

    def load_data(self, model: Model, source: str | None, condition: dict[str, Any] | None = None) -> Dataset:
        """Data by name or path, or those of the run; the condition is that of items that have none."""
        from simulacra.verbs import data_of

        own = recipe_of(self.resize, levels=self.levels, target=self.target, rate=self.rate)
        return data_of(model, source, own, condition=condition)


@dataclass(frozen=True, kw_only=True)
class OnData(Reading, OnRun):
    """The arguments of every command about a run and a split of some data."""

    data: OfTheRun = None
    split: Annotated[str, tyro.conf.arg(metavar="SPLIT", help="train, valid, test or all")] = "test"

    def loaded(self) -> tuple[Model, Dataset]:
        model = self.load_model()
        return model, self.load_data(model, self.data)


@dataclass(frozen=True, kw_only=True)
class OnItems(Given, OnData):
    """The arguments of every command about a run and items that may be pictures of one's own, which have no labels."""

    def loaded(self) -> tuple[Model, Dataset]:
        model = self.load_model()
        return model, self.load_data(model, self.data, self.condition(model, elsewhere=True))


@dataclass(frozen=True, kw_only=True)
class MaybeOnData(Given, Reading, OnRun):
    """The arguments of every command about a run for which data are optional."""

    data: Annotated[str | None, tyro.conf.Positional, optional("[DATA]", "a named data set or a path")] = None

    def loaded(self) -> tuple[Model, Dataset | None, dict[str, Any] | None]:
        """The model, the data if there are any, and else the condition if there is one."""
        model = self.load_model()
        condition = self.condition(model, elsewhere=self.data is not None)
        return (
            (model, None, condition)
            if self.data is None
            else (model, self.load_data(model, self.data, condition), None)
        )


def parse(command: type[T], name: str, argv: Sequence[str]) -> T:
    """The record of these arguments; raises UsageError, in one line, for wrong ones."""
    message = io.StringIO()
    try:
        with contextlib.redirect_stderr(message), steering():
            return tyro.cli(command, prog=f"simulacra {name}", args=argv, console_outputs=True)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(f"{_in_one_line(message.getvalue())} See `simulacra {name} --help`.") from None


def _in_one_line(boxed: str) -> str:
    """The first paragraph of a message that is drawn with a frame around it."""
    paragraph = re.split(r"[│\s]*─{5,}[│\s]*", boxed.split("╮", 1)[-1])[0]
    line = re.sub(r"[\s│]+", " ", paragraph).strip()
    line = re.sub(r": no type matching .*? could be instantiated from (\[.*?\])\..*", r": it cannot be \1", line)
    return re.sub(r"'None', |, 'None'", "", line).rstrip(".") + "."  # what it is where it is left out, not a choice


def load_data(source: str, **steps: Any) -> Dataset:
    """Data by name or path, read by the steps that the flags `READING` name."""
    from simulacra import data

    return data.load(source, **steps)


def recipe_of(resize: int | None = None, **steps: Any) -> Recipe:
    """The steps that flags name."""
    from simulacra.data import Recipe

    return Recipe(None if resize is None else (resize, resize), **steps)


def as_json(record: Any) -> str:
    """One JSON object; numbers that are not finite become null, which JSON needs."""
    import json

    from simulacra.files import finite

    return json.dumps(finite(record))
