"""`simulacra compress`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from simulacra.cli.arguments import Json, Run, as_json, optional, parse

EXAMPLES = 5


@dataclass(frozen=True)
class Compress:
    """Write items to a file without loss, in about -log2 p(x) bits each; `decompress` brings them back.

    A model with codes and a bound, such as vae, takes the bits of the bound, by bits-back coding. Pictures keep their
    names and pixels, but no EXIF and no colour profile; arrays keep their axes and type. The file can be read with the
    same model only, on the same kind of machine.
    """

    run: Run
    input: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="INPUT", help="a data set's name, a picture or a folder of them, an idx, .npy or .npz"),
    ]
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.sim", help="the file to write")]
    split: Annotated[str | None, optional("SPLIT", "of a named data set: train, valid, test (the default) or all")] = (
        None
    )
    limit: Annotated[int | None, optional("INT", "only the first so many items")] = None
    json: Json = False

    def __call__(self) -> None:
        from simulacra.compression import compress_file

        made = compress_file(self.run, self.input, self.out, self.split, self.limit)
        if self.json:
            print(as_json(asdict(made)))
            return
        print(f"{made.n:,} items in {made.out}: {made.bytes:,} bytes, {made.bits_per_dim:.4f} bits/dim")
        if made.left_out:
            listed, more = ", ".join(made.left_out[:EXAMPLES]), len(made.left_out) - EXAMPLES
            print(f"not in it: {listed}{f' and {more:,} others' if more > 0 else ''}")


def main(argv: Sequence[str]) -> None:
    parse(Compress, "compress", argv)()
