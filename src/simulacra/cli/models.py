"""`simulacra models`"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulacra.cli.arguments import Json, as_json, parse
from simulacra.cli.table import print_table


@dataclass(frozen=True)
class Models:
    """List the models: name, family, abilities and paper."""

    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.capabilities import abilities

        rows = [
            {"name": entry.name, "family": entry.family, "abilities": abilities(entry.model), "paper": entry.paper}
            for entry in simulacra.models()
        ]
        if self.json:
            print(as_json(rows))
        else:
            told = [[row["name"], row["family"], ", ".join(row["abilities"]), row["paper"]] for row in rows]
            print_table(["name", "family", "abilities", "paper"], told)


def main(words: Sequence[str]) -> None:
    parse(Models, "models", words)()
