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
    """List the models: name, family, abilities, free parameters (with default arguments, on some data) and paper.

    A preset is listed with the class of models that it returns. A model that does not suit the data has no number of
    parameters.
    """

    data: Annotated[str, tyro.conf.arg(metavar="DATA", help="count parameters for these data")] = "digits"
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.capabilities import abilities

        spec, entries = load_data(self.data).spec, simulacra.models()
        rows = [
            {
                "name": entry.name,
                "family": entry.family,
                "abilities": abilities(entry.model),
                "parameters": parameters(entry, spec),
                "paper": entry.paper,
            }
            for entry in entries
        ]
        if self.json:
            print(as_json(rows))
            return
        shown = [
            [
                row["name"],
                entry.model.__name__,
                row["family"],
                ", ".join(row["abilities"]),
                _number(row["parameters"]),
                row["paper"],
            ]
            for entry, row in zip(entries, rows, strict=True)
        ]
        print_table(["name", "class", "family", "abilities", "parameters", "paper"], shown)


def parameters(entry: Entry, spec: DataSpec) -> int | None:
    """Free parameters of a model with its default arguments on such data; None where it does not take them.

    Unconditional, or for a model that needs a label conditioned on the first field of classes.
    """
    from simulacra.data import ClassLabel
    from simulacra.errors import UsageError

    if any(argument.required for argument in entry.arguments.values()):
        return None
    labels = [name for name, field in spec.condition.items() if isinstance(field, ClassLabel)]
    for condition in ((), *((name,) for name in labels[:1])):
        try:
            return entry.build(spec.conditioned_on(condition)).free_parameters()
        except UsageError:
            continue
    return None


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def main(argv: Sequence[str]) -> None:
    parse(Models, "models", argv)()
