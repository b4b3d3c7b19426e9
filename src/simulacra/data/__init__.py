"""Data sets: one grid, three splits, a memory-mapped cache.

digits = simulacra.data.load("digits")
digits.spec.describe()                                    # 1×8×8, 17 levels, label: 10 classes
digits.train.x[:64], digits.train.condition["label"][:64]
"""

from simulacra.data.dataset import Card, Dataset, Split, Unreadable
from simulacra.data.loading import as_dataset, catalogue, load, names
from simulacra.data.memory import from_arrays
from simulacra.data.recipe import Origin, Recipe
from simulacra.data.series import from_series
from simulacra.data.spec import DataSpec
from simulacra.fields import (
    ClassLabel,
    Field,
    Index,
    LabelMap,
    Levels,
    Many,
    Paths,
    Real,
    Record,
    Sound,
    Text,
    Tokens,
)

__all__ = [
    "Card",
    "ClassLabel",
    "DataSpec",
    "Dataset",
    "Field",
    "Index",
    "LabelMap",
    "Levels",
    "Many",
    "Origin",
    "Paths",
    "Real",
    "Recipe",
    "Record",
    "Sound",
    "Split",
    "Text",
    "Tokens",
    "Unreadable",
    "as_dataset",
    "catalogue",
    "from_arrays",
    "from_series",
    "load",
    "names",
]
