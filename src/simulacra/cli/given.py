"""Values of a condition from the command line, read by what each field is: `--given label=3 picture=small.png`.

| field                          | value                                                                              |
| ------------------------------ | ---------------------------------------------------------------------------------- |
| a class                        | its number or name                                                                 |
| numbers (D,)                   | numbers with commas between them, or a `.npy` or `.npz` file                       |
| tokens                         | a sentence                                                                         |
| a picture (C, H, W)            | an image file, whose brightness is brought to the field's levels, or to [-1, 1]    |
|                                | where it is of real numbers; or a `.npy` or `.npz` file                            |
| a map of classes (H, W)        | a grey or palette image file, whose values 0, 1, ... are the classes; or `.npy` or |
|                                | `.npz`                                                                             |
| a record, a list               | a `.npz` file with its columns by their last names, `mask` among those of a list   |

`text` is the field of tokens, however it is called, where there is one. `graph=scene.json` gives `objects` and
`relations` at once.

A file with one more axis than the field holds one value for each item.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data import ClassLabel, DataSpec, Field, Many, Record, Tokens
from simulacra.data.images import SUFFIXES
from simulacra.data.npy import npy_array, npz_array, npz_keys
from simulacra.data.source import reading
from simulacra.derived import Derived
from simulacra.errors import UsageError
from simulacra.exploration.drawing import known_options
from simulacra.exploration.own_pictures import picture_value
from simulacra.fields import UNKNOWN, LabelMap, Leaf
from simulacra.files import parse_json, read_regular
from simulacra.graphs import graph_values
from simulacra.model import Model
from simulacra.parts import convert

ARRAYS = (".npy", ".npz")
TEXT, MAP, GRAPH, OF_GRAPH = "text", "map", "graph", ("objects", "relations")  # names beside those of the fields
MOST_BYTES = 1 << 24  # of a graph
SHORT = 8  # numbers that are typed rather than put into a file
OF_DATA = "use `simulacra translate` with --resize, name DATA whose items have it"  # for a picture of another size


def values_of(pairs: Sequence[str], model: Model) -> dict[str, Any]:
    """`FIELD=VALUE` pairs as values by field; a name that is no field of the model keeps its text, to be refused later.

    Raises UsageError for another form, a field that is given twice, and text or a file that is no value of its field.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = (word.strip() for word in pair.partition("="))
        if not equals or not name or not text:
            raise UsageError(f"--given needs FIELD=VALUE, such as label=3, not {pair!r}")
        name = _own_name(name, model.spec)
        field = model.spec.condition.get(name)
        own = field.own if isinstance(field, Derived) else field
        graph = name == GRAPH and own is None and any(each in model.spec.condition for each in OF_GRAPH)
        read = _graph(Path(text), model.spec) if graph else {name: text if own is None else _value(name, own, text)}
        if twice := values.keys() & read.keys():
            raise UsageError(f"{min(twice)!r} is given twice")
        values |= read
    return values


def _own_name(name: str, spec: DataSpec) -> str:
    """The field's own name of `text` or `map`, where the condition has one field of tokens, or one map of classes."""
    kind = {TEXT: Tokens, MAP: LabelMap}.get(name)
    alike = [each for each, field in spec.condition.items() if kind is not None and isinstance(field, kind)]
    return alike[0] if name not in spec.condition and len(alike) == 1 else name


def _graph(path: Path, spec: DataSpec) -> dict[str, Any]:
    """The objects and relations of a scene graph in a JSON file."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}; a graph is a JSON file with objects and relationships")
    with reading(path):
        record = parse_json(read_regular(path, MOST_BYTES))
    return dict(graph_values(record, spec))


def options_of(words: Sequence[Sequence[str]], model: Model, draw: Callable[..., Any] | None = None) -> dict[str, Any]:
    """`NAME=VALUE` pairs as options of the model's `sample`, or of another way to draw; a name that it does not have
    keeps its text, to be refused later.

    Raises UsageError for another form, an option that is given twice, and text that is no value of its type.
    """
    draw = type(model).sample if draw is None else draw  # pyright: ignore[reportAttributeAccessIssue]
    known, values = known_options(model, draw), dict[str, Any]()
    for pair in itertools.chain(*words):
        name, equals, text = pair.partition("=")
        if not equals or not name or not text:
            raise UsageError(f"--option needs NAME=VALUE, such as truncation=0.5, not {pair!r}")
        if name in values:
            raise UsageError(f"--option {name} is given twice")
        wanted = known.get(name)
        values[name] = text if wanted is None else convert(wanted.type, text, f"--option {name}", text=True)
    return values


def check_complete(model: Model, values: Mapping[str, Any], classes_in_turn: bool = True) -> None:
    """Raise UsageError for a field that the model does not have, and for one that has no value and needs one.

    Without any value, a model of classes alone takes them in turn.
    """
    fields = model.spec.condition
    if any(name not in fields for name in values):
        model.conditioned(values, 1)  # raises, with the nearest name
    if not values and classes_in_turn and all(isinstance(field, ClassLabel) for field in fields.values()):
        return
    for name, field in fields.items():
        if name not in values:
            also = "also " if values else ""
            raise UsageError(
                f"this {model.name} is {also}conditioned on {name!r}, {field.describe()}: give it with "
                f"--given {name}={_example(field)}, or name DATA whose items have it"
            )


def _example(field: Field) -> str:
    field = field.own if isinstance(field, Derived) else field
    if isinstance(field, ClassLabel):
        return field.names[0] if field.names else "0"
    if isinstance(field, Tokens):
        return f"'{' '.join([word for word in field.vocabulary if word != UNKNOWN][:2])}'"
    if not isinstance(field, Leaf):
        return "FILE.npz"
    if len(field.shape) > 1:
        return "FILE.png"
    return ",".join(["0"] * math.prod(field.shape)) if math.prod(field.shape) <= SHORT else "FILE.npy"


def _value(name: str, field: Field, text: str) -> Any:
    suffix = Path(text).suffix.lower()
    if isinstance(field, Record | Many):
        if suffix != ".npz":
            raise UsageError(f"{name!r} is {field.describe()}: give a .npz file with its columns, not {text!r}")
        return _nested(name, field, _arrays(Path(text)))
    if suffix in ARRAYS:
        return _one_array(name, Path(text))
    if isinstance(field, ClassLabel) and "," in text and text not in field.names:
        raise UsageError(f"{name!r} is one class for all items, not {text!r}; give a .npy file with one for each")
    if isinstance(field, ClassLabel | Tokens):
        return text
    if suffix in SUFFIXES:
        return picture_value(name, field, Path(text), mend=OF_DATA)
    return _numbers(name, field, text)


def _numbers(name: str, field: Field, text: str) -> np.ndarray:
    """`0.5,-1` as an array of the field's shape where the count is right; otherwise the field refuses it."""
    shape, dtype = next(iter(field.columns(name).values()))
    try:
        if len(shape) > 1:
            raise ValueError
        numbers = np.array([float(each) if dtype.kind == "f" else int(each) for each in text.split(",")])
    except ValueError:
        form = "numbers with commas between them" if len(shape) < 2 else "a file, FILE.png or FILE.npy"
        raise UsageError(f"{name!r} is {field.describe()}: give {form}, not {text!r}") from None
    return numbers.reshape(shape) if numbers.size == np.prod(shape, dtype=int) else numbers


def _one_array(name: str, path: Path) -> np.ndarray:
    arrays = _arrays(path)
    if len(arrays) > 1 and name not in arrays:
        raise UsageError(f"{path} holds the arrays {', '.join(arrays)}, and none is called {name!r}")
    return arrays[name] if name in arrays else next(iter(arrays.values()))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file; raises UsageError where it is not there, DataError where it is none or is empty."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    with reading(path):
        if path.suffix.lower() == ".npy":
            return {"": npy_array(path, items=False).read()}
        found = {name: npz_array(path, name, items=False).read() for name in npz_keys(path)}
        if not found:
            raise ValueError("it holds no array")
        return found


def _nested(name: str, field: Field, arrays: Mapping[str, np.ndarray]) -> Any:
    """Columns by their last names as the value of a field: `box.x` belongs to the record `box`.

    The one column of a list of plain values is called as the field, or as the list.
    """
    if isinstance(field, Record):
        tables: dict[str, Any] = {}
        for own, inner in field.fields.items():
            held = {
                key[len(own) + 1 :]: array for key, array in arrays.items() if key == own or key.startswith(f"{own}.")
            }
            if not held:
                raise UsageError(f"{name!r} is a table with {', '.join(field.fields)}, and the file has no {own!r}")
            tables[own] = _nested(own, inner, held)
        return tables
    if isinstance(field, Many):
        return {"" if key == name else key: array for key, array in arrays.items()}
    return next(iter(arrays.values()))
