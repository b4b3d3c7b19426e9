"""`simulacra encode`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from simulacra.cli.arguments import Json, Limit, OnItems, Seed, Space, as_json, optional, parse
from simulacra.cli.output import place
from simulacra.files import write_arrays


@dataclass(frozen=True)
class Encode(OnItems):
    """Write the codes of a split, or of a picture: z (one draw of q(z|x) for each item), mean, and the labels.

    A model without an encoder, a GAN, finds the codes of the first --limit items by search, with their error; with
    --space w or w+ the styles of a style network, as w in the place of z and mean.
    """

    out: Annotated[Path | None, optional("PATH", "a .npz file; by default RUN/codes.npz")] = None
    limit: Limit = None
    space: Space = "z"
    seed: Seed = 0
    json: Json = False

    def __call__(self) -> None:
        import simulacra

        model, data = self.loaded()
        path = place(self.out, self.run, "codes", (".npz",))
        codes = simulacra.encode(model, data, self.split, self.limit, self.seed, space=self.space)
        write_arrays(path, codes)
        shape = list(codes["z" if self.space == "z" else "w"].shape)
        record = {"out": str(path), "shape": shape}
        if "error" in codes:
            record |= {"error": codes["error"].tolist(), "rejected": codes["rejected"].tolist()}
        print(as_json(record) if self.json else f"codes of shape {'×'.join(map(str, shape))} in {path}")


def main(argv: Sequence[str]) -> None:
    parse(Encode, "encode", argv)()
