"""`simulacra models`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from simulacra.cli.arguments import Json, as_json, load_data, parse
from simulacra.cli.table import print_table

if TYPE_CHECKING:
    from simulacra.data.spec import DataSpec
    from simulacra.registry import Entry


@dataclass(frozen=True)
class Models:
    """List the models: name, family, abilities, free parameters (with default arguments, on some data) and paper."""

    data: Annotated[str, tyro.conf.arg(metavar="DATA", help="count parameters for these data")] = "digits"
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.capabilities import abilities

        spec = load_data(self.data).spec.conditioned_on(())
        rows = [
            {
                "name": entry.name,
                "family": entry.family,
                "abilities": abilities(entry.model),
                "parameters": parameters(entry, spec),
                "paper": entry.paper,
            }
            for entry in simulacra.models()
        ]
        if self.json:
            print(as_json(rows))
            return
        told = [
            [row["name"], row["family"], ", ".join(row["abilities"]), _number(row["parameters"]), row["paper"]]
            for row in rows
        ]
        print_table(["name", "family", "abilities", "parameters", "paper"], told)


def parameters(entry: Entry, spec: DataSpec) -> int | None:
    """Free parameters of a model with its default arguments; None where it does not take such data."""
    from simulacra.errors import UsageError

    try:
        return entry.model(spec).free_parameters()
    except UsageError:
        return None


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def main(words: Sequence[str]) -> None:
    parse(Models, "models", words)()
