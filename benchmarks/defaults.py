"""Models with their default settings: the frame of `autoregressive.py` and `latent.py`, no benchmark by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from record import COMMIT, conclude, earlier, parser

import simulacra as sim

Measure = Callable[[str, sim.data.Dataset, Path, bool], dict[str, Any]]
"""(model, data, where its run goes, whether it is a smoke run) -> a row of figures."""


def by_defaults(record: str, doc: str | None, models: Sequence[str], measure: Measure, notes: str) -> None:
    """Measure each model, or those that the command names: then only their rows of the record are replaced."""
    options = parser(doc)
    options.add_argument("models", nargs="*", help="by default all of them")
    args = options.parse_args()
    data = sim.data.load("digits")
    figures = before(record, models) if args.models else {}
    for name in args.models or models:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = measure(name, data, Path(folder) / "run", args.smoke) | {"commit": COMMIT}
        print(name, figures[name], flush=True)
    conclude(
        record,
        figures,
        smoke=args.smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=[0],
        notes=f"each row names the commit it was measured at; {notes}",
    )


def before(record: str, models: Sequence[str]) -> dict[str, Any]:
    """The rows of an earlier record, those of models that there are no longer left out."""
    return {name: row for name, row in earlier(record).items() if name in models}
