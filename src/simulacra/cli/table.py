"""Tables for a terminal, and for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from simulacra.terminal import printable


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that fits the terminal; tab-separated lines where stdout is none, so that `cut` and `awk` can read it."""
    rows = [[printable(cell, one_line=True) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)
