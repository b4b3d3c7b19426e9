"""Maps of classes as PNG files: the numbers of an index PNG (grey, or with a palette), or colours that stand for them.

    class of a pixel = its number in the file, or the number whose colour it has;    255 -> one more class, "ignore"

`classes.json` says which numbers there are: a list of {"id": 3, "name": "sky", "colour": [70, 130, 180]}, of which the
colour may be left out, or "#4682b4". Without it a file of indices with a palette is a map too, and the numbers are
those of the training items. A map is resized by the nearest pixel: the mean of two classes is a third one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.dataset import Unreadable
from simulacra.data.images import Decoded, Header, Target, UnreadableImage, fit, opened, upright
from simulacra.data.source import Encode
from simulacra.data.streams import CHUNK_BYTES
from simulacra.errors import DataError, UsageError
from simulacra.fields import LabelMap
from simulacra.files import parse_json, read_regular

CLASSES = "classes.json"
IGNORED = 255
IGNORE = "ignore"
INDEX_MODES = ("P", "L", "1")
LOOKED_AT = 5  # files that show whether those of a folder are maps
MOST_BYTES = 1 << 20
LISTED = 5  # numbers in a message


@dataclass(frozen=True)
class Stored:
    """An image as its file has it: `mode` of Pillow, its palette, and its pixels (H, W) or (H, W, C), upright."""

    mode: str
    palette: bytes
    pixels: np.ndarray


@dataclass(frozen=True)
class Declared:
    """What `classes.json` declares: names, and colours (0xrrggbb), by number; of 255 only the colour."""

    path: Path
    names: Mapping[int, str]
    colours: Mapping[int, int] = field(default_factory=dict)

    def undeclared(self, stored: Stored) -> str:
        """The first number or colour of a map that is none of the classes; "" where all are."""
        if stored.mode in INDEX_MODES:
            strange = np.setdiff1d(stored.pixels, [*self.names, IGNORED])
            return f"the id {strange[0]}" if len(strange) else ""
        strange = np.setdiff1d(_codes(stored.pixels), list(self.colours.values()))
        return f"the colour #{strange[0]:06x}" if len(strange) else ""

    def why_not(self, path: Path) -> str:
        """What of a file is no map of these classes."""
        try:
            stored = read_stored(path)
        except UnreadableImage as error:
            return f"{path}: {error}"
        if stored.mode in INDEX_MODES or (stored.mode == "RGB" and self.colours):
            return f"{path} has {self.undeclared(stored) or 'declared classes alone'}"
        return f"{path} is of mode {stored.mode}, and index maps are of mode L or P"

    def numbers(self, stored: Stored) -> np.ndarray:
        """The pixels (H, W) uint8 as numbers of classes that are declared."""
        if stored.mode in INDEX_MODES:
            return stored.pixels
        order = sorted(self.colours, key=self.colours.__getitem__)
        place = np.searchsorted([self.colours[number] for number in order], _codes(stored.pixels))
        return np.array(order, np.uint8)[place]

    def fit(self, name: str, values: np.ndarray, train: np.ndarray) -> tuple[LabelMap, Encode]:
        """The field of a column of maps (N, H, W), of all classes that are declared."""
        ignored = any((part == IGNORED).any() for part in _parts(values))
        numbers = [*range(max(2, max(self.names) + 1)), *[IGNORED] * ignored]
        names = [self.names.get(number, str(number)) for number in numbers]
        colours = [f"#{self.colours[number]:06x}" if number in self.colours else "" for number in numbers]
        return _field(values, names, colours if self.colours else [], ignored)


@dataclass(frozen=True)
class Palette:
    """What shows the classes where nothing declares them: the numbers of the training items."""

    colours: bytes = b""

    def fit(self, name: str, values: np.ndarray, train: np.ndarray) -> tuple[LabelMap, Encode]:
        """The field of a column of maps (N, H, W); raises DataError for numbers that no training item has."""
        known, found = _present(values[rows] for rows in _blocks(train, values)), _present(_parts(values))
        if only := [number for number in np.flatnonzero(found & ~known) if number != IGNORED]:
            listed = ", ".join(map(str, only[:LISTED])) + ", ..." * (len(only) > LISTED)
            raise DataError(
                f"the maps {name!r} have the ids {listed} in validation or test items, and in no training item.\n"
                f"Declare all classes in {CLASSES}: a list of {{id, name}} in the folder of the data."
            )
        count, ignored = max(2, int(np.flatnonzero(known[:IGNORED]).max(initial=0)) + 1), bool(found[IGNORED])
        numbers = [*range(count), *[IGNORED] * ignored]
        triples = [self.colours[3 * number : 3 * number + 3].hex() for number in numbers]
        colours = [f"#{triple}" if triple else "" for triple in triples]
        return _field(values, list(map(str, numbers)), colours if self.colours else [], ignored)


def read_classes(folder: Path) -> Declared | None:
    """What the `classes.json` of a folder declares; None where there is none. DataError for one that is wrong."""
    path = folder / CLASSES
    if not path.is_file():
        return None
    try:
        listed = parse_json(read_regular(path, MOST_BYTES))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed) or len(listed) < 2:
        raise DataError(f"{path} is no list of at least two classes, each {{id, name}}")
    names: dict[int, str] = {}
    colours: dict[int, int] = {}
    for each in listed:
        number, name = each.get("id"), each.get("name")
        if type(number) is not int or not 0 <= number <= IGNORED or not isinstance(name, str) or not name:
            raise DataError(f"{path}: {dict(each)!r:.60} is no class; it needs an id, 0 to {IGNORED}, and a name")
        if number in names or name in names.values():
            raise DataError(f"{path}: two classes have the id {number} or the name {name!r}")
        names[number] = name
        if (colour := each.get("colour", each.get("color"))) is not None:
            colours[number] = _colour(colour, path)
    if len(set(colours.values())) < len(colours):
        raise DataError(f"{path}: two classes have one colour")
    names.pop(IGNORED, None)
    if not names:
        raise DataError(f"{path} declares no class but {IGNORED}, which is that of ignored pixels")
    return Declared(path, names, colours)


def _colour(given: Any, path: Path) -> int:
    try:
        if isinstance(given, str) and len(given) == 7 and given[0] == "#":
            return int(given[1:], 16)
        red, green, blue = (level for level in given if type(level) is int and 0 <= level <= 255)
        return red << 16 | green << 8 | blue
    except (ValueError, TypeError):
        raise DataError(f"{path}: {given!r:.40} is no colour; it is [red, green, blue], 0 to 255, or #rrggbb") from None


def read_stored(path: Path) -> Stored:
    """Raises UnreadableImage."""
    with opened(path) as image:
        palette = bytes(image.palette.getdata()[1]) if image.mode == "P" and image.palette else b""
        return Stored(image.mode, palette, np.asarray(upright(image, path)).astype(np.uint8))


def kind_of_maps(paths: Sequence[Path], classes: Declared | None) -> Declared | Palette | None:
    """What shows the classes of files, where these are maps; None where they are pictures.

    The first few decide: most of them have nothing but what is declared; or, where nothing is, they are PNG files with
    indices into one palette, which pictures do not share.
    """
    looked = []
    for path in paths[:LOOKED_AT]:
        try:
            looked.append(read_stored(path))
        except UnreadableImage:
            continue
    if not looked or any(path.suffix.lower() != ".png" for path in paths):
        return None
    if classes is not None:
        return classes if 2 * sum(_declared(classes, each) for each in looked) > len(looked) else None
    longest = max((each.palette for each in looked), key=len)
    if all(each.mode == "P" and longest.startswith(each.palette) for each in looked):
        return Palette(longest)
    return None


def _declared(classes: Declared, stored: Stored) -> bool:
    known = stored.mode in INDEX_MODES or (stored.mode == "RGB" and bool(classes.colours))
    return known and not classes.undeclared(stored)


def decode_map(path: Path, target: Target, kind: Declared | Palette) -> Decoded | Unreadable:
    """The numbers (H, W) of a map at the size of `target`, or why there are none.

    Raises DataError, naming the file, for a number or a colour that nobody declared.
    """
    try:
        stored = read_stored(path)
    except UnreadableImage as error:
        return Unreadable(str(path), str(error))
    if stored.mode not in INDEX_MODES and not (stored.mode == "RGB" and isinstance(kind, Declared) and kind.colours):
        return Unreadable(str(path), f"mode {stored.mode} is no map of classes, as the others are")
    if isinstance(kind, Declared) and (strange := kind.undeclared(stored)):
        raise DataError(f"{path}: {strange} is no class that {kind.path} declares; add it there, or mend the map")
    numbers = kind.numbers(stored) if isinstance(kind, Declared) else stored.pixels
    if target.resize:
        numbers = fit(numbers[None], target.height, target.width, nearest=True)[0]
    if numbers.shape != (target.height, target.width):
        return Unreadable(str(path), "its size changed while the folder was read")
    return Decoded(numbers, ())


def classes_in(path: Path, own: LabelMap) -> np.ndarray:
    """The classes (H, W) of one map of one's own, of any size: its numbers, or those of its colours where the field has
    colours. Pixels of 255 are of the class "ignore", where there is one.

    Raises UsageError for a file that is not there, DataError for one that cannot be read, and for a number or a colour
    that is none of the classes.
    """
    if not path.is_file():
        raise UsageError(f"there is no picture {path}")
    try:
        stored = read_stored(path)
    except UnreadableImage as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    names = own.names or tuple(map(str, range(own.classes)))
    colours = {number: int(colour[1:], 16) for number, colour in enumerate(own.colours) if colour}
    classes = Declared(path, dict(enumerate(names)), colours)
    if stored.mode not in INDEX_MODES and not (stored.mode == "RGB" and colours):
        raise DataError(f"{path} is of mode {stored.mode}; a map of classes is a PNG of their numbers, mode L or P")
    strange = classes.undeclared(stored)
    numbers = stored.pixels if strange else classes.numbers(stored)
    if not strange and own.classes <= IGNORED and IGNORE not in names and (numbers == IGNORED).any():
        strange = f"the id {IGNORED}"
    if strange:
        listed = ", ".join(names[:LISTED]) + ", ..." * (len(names) > LISTED)
        raise DataError(
            f"{path}: {strange} is none of {own.describe()} ({listed}); mend the map, whose numbers are theirs"
        )
    ignore = names.index(IGNORE) if IGNORE in names else IGNORED
    return np.where(numbers == IGNORED, ignore, numbers).astype(own.dtype)


def map_of(
    path: Path, own: LabelMap, fitted: bool = False, mend: str = "", whose: str = "the model is for"
) -> np.ndarray:
    """The classes (H, W) of one map of one's own, of the size of the field.

    fitted: bring it to the size by nearest pixels: shorter side to fit, centre crop.

    Raises UsageError for a file that is not there or, unless it may be fitted, of another size (`whose` begins the
    message, and `mend` says what to do about it); DataError as `classes_in` does.
    """
    classes, (height, width) = classes_in(path, own), own.shape
    if classes.shape == own.shape:
        return classes
    if fitted:
        return fit(classes[None], height, width, nearest=True)[0]
    found = f"{classes.shape[1]}×{classes.shape[0]} grey"
    raise UsageError(f"{whose} {width}×{height} grey pictures, and {path} is {found}{f'; {mend}' * bool(mend)}")


def sized(headers: Mapping[Path, Header]) -> dict[Path, Header]:
    """Headers of maps, which have no colours that could differ."""
    return {path: Header(header.height, header.width, grey=True) for path, header in headers.items()}


def _field(values: np.ndarray, names: list[str], colours: list[str], ignored: bool) -> tuple[LabelMap, Encode]:
    """A map of these classes, of which the last is that of the ignored pixels where there are such."""
    table = np.arange(IGNORED + 1, dtype=np.uint8)
    if ignored:
        table[IGNORED], names[-1] = len(names) - 1, IGNORE
    own = LabelMap(len(names), values.shape[1:], tuple(names), tuple(colours))
    return own, lambda part: table[part]


def _codes(pixels: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) as numbers 0xrrggbb."""
    return pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def _present(parts: Iterator[np.ndarray]) -> np.ndarray:
    """(256,) which numbers occur."""
    found = np.zeros(IGNORED + 1, bool)
    for part in parts:
        found |= np.bincount(part.reshape(-1), minlength=IGNORED + 1) > 0
    return found


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[rows] for rows in _blocks(np.arange(len(values)), values))


def _blocks(rows: np.ndarray, values: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers of items, as many at a time as are a few megabytes."""
    step = max(1, CHUNK_BYTES // max(1, values[:1].nbytes))
    return (rows[start : start + step] for start in range(0, len(rows), step))
