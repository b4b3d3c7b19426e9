"""`simulacra compress`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Json, Run, as_json, optional, parse
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.compression.files import Compressed

EXAMPLES = 5
SMALLEST = 0.5e-4  # bits/dim that are shown


@dataclass(frozen=True)
class Compress:
    """Write items to a file without loss, in about -log2 p(x) bits each; `decompress` brings them back.

    A model with codes and a bound, such as vae, takes the bits of the bound, by bits-back coding. Pictures keep their
    names and pixels, but no EXIF and no colour profile; arrays keep their axes and type. The file can be read with the
    same model only, on the same kind of machine.
    """

    run: Run
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.sim", help="the file to write")]
    input: Annotated[
        str | None,
        tyro.conf.Positional,
        optional(
            "[INPUT]", "a data set's name, a picture or a folder of them, an idx, .npy or .npz; without it the run's"
        ),
    ] = None
    split: Annotated[
        str | None,
        optional("SPLIT", "train, valid, test (of a named set the default) or all, of what the run's recipe reads"),
    ] = None
    limit: Annotated[int | None, optional("INT", "only the first so many items")] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.compression import compress_file

        made = compress_file(self.run, self.input, self.out, self.split, self.limit)
        if self.json:
            print(as_json(asdict(made)))
            return
        size = number_of(made.bytes, "byte")
        print(f"{number_of(made.n, 'item')} in {made.out}: {size}, {made.bits_per_dim:.4f} bits/dim")
        print(f"  {_account(made)}")
        if made.others:
            print(f"the same items by {', '.join(f'{name} {bits:.4f}' for name, bits in made.others.items())} bits/dim")
        if made.left_out:
            listed, more = ", ".join(made.left_out[:EXAMPLES]), len(made.left_out) - EXAMPLES
            print(f"not in it: {listed}{f' and {more:,} others' if more > 0 else ''}")


def _account(made: Compressed) -> str:
    """What the bits/dim are the sum of."""
    figure = "-log2 p(x)" if made.kind == "exact" else "-ELBO / ln 2, a bound"
    called = {
        "items": f"the items ({figure}; what `score` says of them)",
        "classes": "their classes",
        "header": "header",
        "notes": "names",
        "coding": "coding",
    }
    listed = (f"{bits:.4f} {called[name]}" for name, bits in made.parts.items() if abs(bits) >= SMALLEST)
    return " + ".join(listed)


def main(argv: Sequence[str]) -> None:
    parse(Compress, "compress", argv)()
