"""What one named tensor of a data set is: x, and everything that x may be conditioned on.

| field | an item's value | tensors |
| --- | --- | --- |
| `ClassLabel(count, names)` | one of `count` classes; -1: unlabelled | (N,) int64 |
| `Levels(shape, levels)` | integers 0..levels-1 on a grid | (N, *shape) uint8 (int16 beyond 256) |
| `Sound(shape, rate=...)`, `Text(shape)` | μ-law levels of sound, bytes of text | (N, T) uint8 |
| `Real(shape)` | real numbers | (N, *shape) float32 |
| `Paths(shape)` | positions (people, steps, 2) in metres | (N, *shape) float32 |
| `LabelMap(classes, shape)` | a class for each pixel | (N, *shape) uint8 (int16 beyond 256) |
| `Tokens(vocabulary, most)` | at most `most` tokens, padded with -1 | (N, most) int64 |
| `Index(of, count)` | the place of an element of the field `of` | (N,) int64; -1: none |
| `Record(fields)` | several fields | those of each, as `name.field` |
| `Many(field, most)` | a list of at most `most` values of a field | theirs, (N, most, ...); `name.mask` bool |

A field checks and converts what a user gives (`convert`), and arrays of a data set (`check`); it describes itself, and
it is a part, so that JSON and the command line know it too. Arrays are NumPy here: data sets are read without torch.
"""

from simulacra.fields.base import PADDING, Column, Field, Leaf, as_array, columns_of, describe_all
from simulacra.fields.composed import Many, Record, each_leaf
from simulacra.fields.heard import MOST_RATE, Sound, Text
from simulacra.fields.leaves import (
    MOST_LEVELS,
    Classes,
    ClassLabel,
    Index,
    LabelMap,
    Levels,
    Paths,
    Real,
    numeric,
    smallest,
    times,
)
from simulacra.fields.tokens import UNKNOWN, Tokens, words_of

__all__ = [
    "MOST_LEVELS",
    "MOST_RATE",
    "PADDING",
    "UNKNOWN",
    "ClassLabel",
    "Classes",
    "Column",
    "Field",
    "Index",
    "LabelMap",
    "Leaf",
    "Levels",
    "Many",
    "Paths",
    "Real",
    "Record",
    "Sound",
    "Text",
    "Tokens",
    "as_array",
    "columns_of",
    "describe_all",
    "each_leaf",
    "numeric",
    "smallest",
    "times",
    "words_of",
]
