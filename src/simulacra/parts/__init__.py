"""Parts: small records of which models are composed. A part is plain data that *builds* a module or a function.

A *kind* of parts (priors, networks, games, penalties, fields, ...) is a class that states the signature of all of them;
a part is a frozen dataclass with a name of its own within its kind:

    @kind("penalty")
    class Penalty(Protocol):
        def loss(self, turn: Turn) -> Tensor: ...

    @part("penalty", "r1")
    class R1:
        weight: float = 10.0
        every: int = 16

It has three forms that say the same: Python `R1(5)`, JSON `{"r1": {"weight": 5, "every": 16}}`, and on the command line
`r1:weight=5`. Wherever a signature asks for a kind, any of the three is taken. Arguments of parts are numbers, words,
other parts (`outer:inner=(r1:weight=5)`), and tuples of these (`sizes=(1,2,3)`).
"""

from simulacra.parts.bounds import OutOfRange, above, odd, share, within
from simulacra.parts.forms import as_part, convert, example, make, spelled, split, to_json
from simulacra.parts.record import part
from simulacra.parts.table import (
    OUTSIDE,
    UnknownPart,
    a,
    called,
    fill,
    filled_by,
    is_outside,
    is_part,
    kind,
    kind_of,
    kinds,
    modules_of,
    named,
    outside,
    parts_with,
)

__all__ = [
    "OUTSIDE",
    "OutOfRange",
    "UnknownPart",
    "a",
    "above",
    "as_part",
    "called",
    "convert",
    "example",
    "fill",
    "filled_by",
    "is_outside",
    "is_part",
    "kind",
    "kind_of",
    "kinds",
    "make",
    "modules_of",
    "named",
    "odd",
    "outside",
    "part",
    "parts_with",
    "share",
    "spelled",
    "split",
    "to_json",
    "within",
]
