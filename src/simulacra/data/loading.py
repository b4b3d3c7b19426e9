"""From what the user names, a set or a path, to a `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from simulacra.data import table, text
from simulacra.data.arrays import npy_source, npz_source
from simulacra.data.binarized_mnist import binarized_mnist_source
from simulacra.data.cache import cached
from simulacra.data.cifar10 import cifar10_source
from simulacra.data.collected.actions_video import actions_video_source
from simulacra.data.collected.avatars import avatars_source
from simulacra.data.collected.coco_layouts import coco_layouts_source
from simulacra.data.collected.emoji import emoji_source
from simulacra.data.collected.eth_ucy import TEST as SCENES
from simulacra.data.collected.eth_ucy import eth_ucy_source
from simulacra.data.collected.facades import facades_source
from simulacra.data.collected.fsdd import fsdd_source
from simulacra.data.collected.horse2zebra import horse2zebra_source
from simulacra.data.collected.quickdraw import quickdraw_source
from simulacra.data.collected.series import energy_source, ett_source, etth1_source, etth2_source, stocks_source
from simulacra.data.dataset import Card, Dataset
from simulacra.data.folder import images_below
from simulacra.data.idx import idx_source, is_idx
from simulacra.data.images import SUFFIXES
from simulacra.data.mnist import fashion_mnist_source, mnist_source
from simulacra.data.modes import Modes
from simulacra.data.recipe import Recipe
from simulacra.data.recognised import recognised
from simulacra.data.sequence import from_array, from_sequence
from simulacra.data.series import path_series, series_source
from simulacra.data.shipped import GRID, RING, digits_source, grid_source, ring_source
from simulacra.data.shipped.bouncing import bouncing_source
from simulacra.data.shipped.pendulum import pendulum_source
from simulacra.data.shipped.scenes import scenes_source
from simulacra.data.shipped.shapes import shapes_source
from simulacra.data.shipped.sines import sines_source
from simulacra.data.shipped.stacked import MODES, stacked_digits_source, stacked_mnist_source
from simulacra.data.sound import is_sound, sound_source, sounds_below
from simulacra.data.source import Source
from simulacra.data.tracks import holds_tracks
from simulacra.data.video import video_source
from simulacra.data.walks import file_of_tracks
from simulacra.errors import DataError, UsageError, did_you_mean
from simulacra.fields import as_array
from simulacra.terminal import printable

SERIES = (*table.SUFFIXES, ".npy")  # of files that may hold series
STEPS = ("resize", "pairs", "rate", "window", "entity")  # of a recipe, that depend on how a source is read
ARGUMENT = {"resize": "size"}  # of the functions below, where it is not called as the step is
FOR = {  # what takes a step
    "resize": "resize is for folders of images",
    "pairs": "pairs says how a folder of images is read",
    "rate": "rate is for sound, .wav files and folders of them",
    "window": "window is for folders of video, sound, text, tables with a row for each step and .npy files of series",
    "entity": "entity is the column of a table with a row for each step that says of which series a row is",
}


@dataclass(frozen=True)
class NamedSet:
    """modes: those that the set was made of, where they are known. steps: those of a recipe that `source` takes.
    window: of sequences the steps of an item where no other number is given."""

    description: str
    source: Callable[..., Source]
    modes: Modes | None = None
    steps: tuple[str, ...] = ()
    window: int | None = None


NAMED = {
    "digits": NamedSet("1,797 handwritten digits, 1×8×8, 17 levels; ships with the package", digits_source),
    "ring": NamedSet("8 Gaussians on a circle, continuous, 2-D; ships with the package", ring_source, RING),
    "grid": NamedSet("25 Gaussians on a 5×5 grid, continuous, 2-D; ships with the package", grid_source, GRID),
    "shapes": NamedSet("4,608 shapes of five known factors, 1×16×16, 17 levels; ships with the package", shapes_source),
    "stacked-digits": NamedSet(
        "24,000 images of three digits each, 3×8×8, 17 levels, 1,000 modes; ships with the package",
        stacked_digits_source,
        MODES,
    ),
    "scenes": NamedSet(
        "20,000 scenes of digits in colour with captions, graphs and maps, 3×32×32, 256 levels; ships with the package",
        scenes_source,
        steps=("resize",),
    ),
    "bouncing": NamedSet(
        "4,000 clips of a digit that moves and bounces, 16×1×32×32, 256 levels; ships with the package", bouncing_source
    ),
    "pendulum": NamedSet(
        "7,000 steps of random play with a pendulum: change given state and action; ships with the package",
        pendulum_source,
    ),
    "mnist": NamedSet("70,000 handwritten digits, 1×28×28, 256 levels", mnist_source),
    "fashion-mnist": NamedSet("70,000 pictures of clothing, 1×28×28, 256 levels", fashion_mnist_source),
    "binarized-mnist": NamedSet("the fixed binary MNIST of the NLL tables, 1×28×28, 2 levels", binarized_mnist_source),
    "stacked-mnist": NamedSet(
        "65,000 images of three digits of MNIST each, 3×28×28, 256 levels, 1,000 modes", stacked_mnist_source, MODES
    ),
    "cifar10": NamedSet("60,000 photographs in ten classes, 3×32×32, 256 levels", cifar10_source),
    "quickdraw": NamedSet("20,000 sketches in eight classes, 1×28×28, 256 levels", quickdraw_source, steps=("resize",)),
    "avatars": NamedSet(
        "6,000 drawn faces with ten exact attributes, 3×64×64, 256 levels", avatars_source, steps=("resize",)
    ),
    "emoji": NamedSet("1,839 emoji, each in four styles and with its name, 3×64×64", emoji_source, steps=("resize",)),
    "facades": NamedSet(
        "606 photographs of house fronts with maps of classes, 3×128×128", facades_source, steps=("resize",)
    ),
    "coco-layouts": NamedSet(
        "53 photographs with boxes and maps of classes, 3×128×128", coco_layouts_source, steps=("resize",)
    ),
    "horse2zebra": NamedSet(
        "1,260 photographs of horses and zebras, without pairs, 3×128×128", horse2zebra_source, steps=("resize",)
    ),
    "actions-video": NamedSet(
        "36 films of four actions in clips, 16×3×64×64, 256 levels",
        actions_video_source,
        steps=("resize", "window"),
        window=16,
    ),
    "fsdd": NamedSet(
        "3,000 spoken digits by six speakers, 1 s at 8 kHz, 256 levels; tests on other speakers, `fsdd:test=takes` on "
        "other takes of the same ones",
        fsdd_source,
        steps=("rate", "window"),
    ),
    "sines": NamedSet(
        "10,000 series of five sinusoids, 24×5, continuous; ships with the package",
        sines_source,
        steps=("window",),
        window=24,
    ),
    "stocks": NamedSet(
        "3,685 days of a share in windows, 24×6, continuous", stocks_source, steps=("window",), window=24
    ),
    "energy": NamedSet(
        "19,735 steps of a house's sensors in windows, 24×28, continuous", energy_source, steps=("window",), window=24
    ),
    "ett": NamedSet(
        "17,420 hours of two transformers in windows, 96×7, continuous", ett_source, steps=("window",), window=96
    ),
    "etth1": NamedSet("the first of the transformers of ett", etth1_source, steps=("window",), window=96),
    "etth2": NamedSet("the second of the transformers of ett", etth2_source, steps=("window",), window=96),
    "eth-ucy": NamedSet(
        "people who walk, at five places, 8 + 12 steps; tests on zara1, `eth-ucy:test=SCENE` on another: "
        + " ".join(SCENES),
        eth_ucy_source,
    ),
}
VARIANTS = {f"eth-ucy:test={scene}": NamedSet("", partial(eth_ucy_source, scene)) for scene in SCENES} | {
    "fsdd:test=takes": NamedSet("", partial(fsdd_source, takes=True), steps=("rate", "window"))
}
NAMED |= VARIANTS


def names() -> list[str]:
    """The sets that `load` takes by name."""
    return list(NAMED)


def taken(source: Any, recipe: Recipe = Recipe()) -> tuple[str, ...]:  # noqa: B008 (a recipe is immutable)
    """The steps of a recipe that a name or path takes, of `STEPS`."""
    if isinstance(source, str) and source in NAMED:
        return NAMED[source].steps
    path = Path(source).expanduser()
    if is_sound(path) or (path.is_dir() and _holds_sound(path, recipe)):
        return ("rate", "window")
    if path.is_dir():
        return ("resize", "pairs", "window")
    suffix = path.suffix.lower()
    if holds_tracks(path):
        return ()
    return ("window", "entity") if suffix in SERIES else ("window",) if suffix in text.SUFFIXES else ()


def catalogue() -> dict[str, str]:
    """Name -> one line on each named set."""
    return {name: named.description for name, named in NAMED.items() if name not in VARIANTS}


def modes_of(data: Dataset) -> Modes | None:
    """The modes that a named set was made of; None of one that has none that are known, and of all other data."""
    named = NAMED.get(data.source)
    return named.modes if named is not None and data.recipe.target is None else None


def load(
    source: str | os.PathLike[str],
    *,
    resize: int | tuple[int, int] | None = None,
    levels: int | None = None,
    target: str | None = None,
    pairs: str | None = None,
    domains: Sequence[str] | None = None,
    rate: int | None = None,
    window: int | None = None,
    entity: str | None = None,
) -> Dataset:
    """A named set, a folder of images or of sound, an idx, `.npy`, `.npz`, `.csv`, `.wav` or `.txt` file, or one of
    tracks of people or a folder of these (`frame id x y`, see `simulacra.data.walks`); read once, memory-mapped from
    then on.

    source: a name wins over a file that is called the same: `./digits` or a `Path` is the file.
    resize: of a folder of images, and of some named sets; a side or (H, W): shorter side resized to fit (antialiased),
        centre cropped.
    levels: the grid 0..levels-1 that the values are on, which changes none of them and refuses larger ones; found from
        the values when left out: 2 for zeros and ones, else 256.
    target: the field that is modelled, in the place of the usual x, which becomes the field "x".
    pairs: how a folder holds pairs of pictures: "by-name" in A/ and B/, "side-by-side" in one image, or "none", so that
        A/ and B/ are classes. By default A/ and B/ with names in common are pairs.
    domains: fields of one kind that become one set without pairs; see `Dataset.domains`.
    rate: of sound, samples a second to which it is brought; by default that of the files.
    window: of sound the samples of a clip, by default those of the longest recording and one second at most; of text
        the bytes of a piece, 256 by default; with it a folder is one of video, of so many frames a clip; of a table
        with a row for each step, or an `.npy` of series (L, D) or (N, L, D), the steps of an item: all windows are
        items, split by blocks of time, see `simulacra.data.windows`. Named sequences have one of their own.
    entity: the column of such a table that says of which series a row is; it becomes a field.

    Raises UsageError for a source that does not exist or an option that does not apply, DataError for bad content.
    """
    if not isinstance(source, str | os.PathLike):
        raise UsageError(f"the name or path of a data set is needed, not {type(source).__name__}; see as_dataset")
    own = None if domains is None else tuple(domains)
    return read(source, Recipe(_size(resize), levels, target, pairs, own, rate, window, entity))


def read(source: str | os.PathLike[str], recipe: Recipe, whole: bool = False) -> Dataset:
    """`load` with all of its options in one; `whole`: nothing is drawn for a split, so that a single item will do."""
    if isinstance(source, str) and source in NAMED:
        recipe = replace(recipe, window=recipe.window or NAMED[source].window)
        found, again = _named(NAMED[source], source, recipe), source
    else:
        path = Path(source).expanduser()
        found, again = _path_source(path, recipe, whole), str(path.absolute())
    found = replace(found, whole=whole)
    if recipe.levels is not None and found.x is not None:
        raise UsageError(f"{source} is read as {found.x.describe()}, whose levels are fixed: leave out levels")
    data = cached(found if recipe.levels is None else replace(found, levels=recipe.levels))
    found_levels = found.levels is None and recipe.levels is None
    columns = _columns(Path(again), data, recipe)
    own = replace(recipe, target=None, domains=None)
    data = replace(data, recipe=own, source=again, levels_found=found_levels, columns=columns)
    data = data.of_arrays() if recipe.target is None else data.target(recipe.target)
    return data if recipe.domains is None else data.domains(*recipe.domains)


def _named(own: NamedSet, name: str, recipe: Recipe) -> Source:
    _refuse_others(repr(name), recipe, own.steps)
    given = {step: getattr(recipe, step) for step in own.steps}
    return own.source(**{ARGUMENT.get(step, step): value for step, value in given.items() if value is not None})


def _refuse_others(what: str, recipe: Recipe, steps: Collection[str]) -> None:
    """Raise UsageError for a step of a recipe that is not among those that a source takes."""
    for step in STEPS:
        if getattr(recipe, step) is not None and step not in steps:
            able = [name for name, own in NAMED.items() if step in own.steps]
            raise UsageError(f"{what} takes no {step}: {FOR[step]}{', and for ' if able else ''}{', '.join(able)}")


def _columns(path: Path, data: Dataset, recipe: Recipe) -> tuple[str, ...]:
    """The names of the coordinates of x, or of a step of a series, of a table; its other columns are fields."""
    if recipe.window is not None:
        return data.columns
    if path.suffix.lower() not in table.SUFFIXES or not path.is_file():
        return ()
    return tuple(name for name in table.column_names(path) if name not in data.spec.condition)


def as_dataset(data: Any, whole: bool = False) -> Dataset:
    """A data set itself; or that of a name or path, of an array, or of a sequence of items (see `from_sequence`).

    whole: whether the items of an array or sequence are not split, but test items all of them; see `from_arrays`.
    Raises UsageError for anything else.
    """
    if isinstance(data, Dataset):
        return data
    if isinstance(data, str | os.PathLike):
        return load(data)
    if hasattr(data, "__array__") or hasattr(data, "detach"):
        return from_array(as_array("x", data), whole)
    if isinstance(data, Mapping):
        raise UsageError("a table of arrays is a data set by simulacra.data.from_arrays(x, label, fields={...})")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return from_sequence(data, whole=whole)
    raise UsageError(
        f"a data set, its name or path, an array or a sequence of items is needed, not {type(data).__name__}; see "
        "simulacra.data.load"
    )


def _size(resize: int | tuple[int, int] | None) -> tuple[int, int] | None:
    size = (resize, resize) if isinstance(resize, int) else resize
    if size is not None and not (isinstance(size, tuple | list) and len(size) == 2):
        raise UsageError(f"resize is a side or (height, width), not {resize!r}")
    return None if size is None else (size[0], size[1])


def _path_source(path: Path, recipe: Recipe, whole: bool) -> Source:
    if not os.path.exists(path):  # not Path.exists, which raises for a name that is too long
        raise UsageError(f"there is no data set and no file called {str(path)!r}.{did_you_mean(str(path), NAMED)}")
    path = path.absolute()
    card = Card(title=printable(path.name), source=printable(str(path)), licence="not stated")
    takes, suffix = taken(path, recipe), path.suffix.lower()
    _refuse_others(str(path), recipe, takes)
    if "rate" in takes:
        return sound_source(path.resolve(), card, recipe.rate, recipe.window)
    if path.is_dir():
        return _folder(path.resolve(), card, recipe)
    if holds_tracks(path):
        return file_of_tracks(path, card)
    if suffix in text.SUFFIXES:
        return text.text_source(path, card, recipe.window)
    if recipe.window is not None:
        found = path_series(path, recipe.entity)
        return series_source(printable(path.stem), card, (path,), found, recipe.window, whole=whole)
    if suffix == ".npy":
        return npy_source(path, card)
    if suffix == ".npz":
        return npz_source(path, card)
    if suffix in SUFFIXES:
        raise DataError(f"{path} is a single image; give the folder that holds the images")
    if suffix in table.SUFFIXES:
        return table.table_source(path, card)
    if path.is_file() and is_idx(path):
        return idx_source(path, card)
    raise DataError(
        f"{path} is neither idx, .npy, .npz, .csv, .wav nor .txt, nor a folder of images, .wav files or tracks"
    )


def _folder(path: Path, card: Card, recipe: Recipe) -> Source:
    """A folder of pictures, or with a window of video."""
    if recipe.window is None:
        return recognised(path, card, recipe.resize, recipe.pairs)
    if recipe.pairs is not None:
        raise UsageError(
            f"pairs are of pictures, and a window of {recipe.window} frames is of video: leave one of them out"
        )
    return video_source(path, card, recipe.window, recipe.resize)


def _holds_sound(path: Path, recipe: Recipe) -> bool:
    """Whether a folder is one of sound: it holds `.wav` files, and no pictures unless a rate or a window is given."""
    meant = recipe.rate is not None or recipe.window is not None
    return bool(sounds_below(path)) and (meant or not images_below(path))
