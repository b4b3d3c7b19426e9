"""How a condition enters a network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn


class AddCondition(nn.Module):
    """h + Σ_field E_field[condition], one learned row per class; the identity when there is no field.

    Adding to the output of a linear layer is the same as appending a one-hot code to its input.
    """

    def __init__(self, classes: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.tables = nn.ModuleDict({name: nn.Embedding(count, width) for name, count in classes.items()})

    def forward(self, h: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """h (N, width, ...), condition {field: (N,)} -> (N, width, ...)"""
        row = self.row(condition)
        return h if row is None else h + row.reshape(row.shape + (1,) * (h.dim() - 2))

    def row(self, condition: Mapping[str, Tensor]) -> Tensor | None:
        """What is added, (N, width); None where there is no field."""
        total = None
        for name, table in self.tables.items():
            row = table(condition[name])
            total = row if total is None else total + row
        return total
