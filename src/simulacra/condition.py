"""A condition: named tensors of N items. Nobody slices by hand: rows, copies and moves are written here once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

ConditionLike = Mapping[str, Any]
"""What a caller may give: of each field one value for all items, or one for each; a `Condition` is one too."""


class Condition(Mapping[str, Tensor]):
    """Tensors (N, ...) by name, checked and on one device; immutable. `len` counts fields, as of any mapping."""

    __slots__ = ("_tensors",)

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        self._tensors = dict(tensors or {})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __or__(self, other: Mapping[str, Tensor]) -> Condition:
        return Condition({**self._tensors, **other})

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {tuple(tensor.shape)}" for name, tensor in self.items())
        return f"Condition({shapes})"

    def rows(self, index: Tensor | slice) -> Condition:
        """That of some of the items: a slice, numbers or truths over the first axis."""
        return Condition({name: tensor[index] for name, tensor in self.items()})

    def repeat(self, times: int) -> Condition:
        """All items `times` times over, (times · N, ...): item after item, then all of them again."""
        return Condition({name: tensor.repeat(times, *[1] * (tensor.dim() - 1)) for name, tensor in self.items()})

    def repeat_each(self, times: int) -> Condition:
        """Every item `times` times in a row, (N · times, ...)."""
        return Condition({name: tensor.repeat_interleave(times, 0) for name, tensor in self.items()})

    def expand(self, n: int) -> Condition:
        """One value for n items, without a copy; of n items their own."""
        return Condition({name: tensor.expand(n, *tensor.shape[1:]) for name, tensor in self.items()})

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Condition:
        return Condition({name: tensor.to(device, non_blocking=non_blocking) for name, tensor in self.items()})

    def cat(self, other: Condition) -> Condition:
        """The items of both, one after the other; both have the same fields."""
        return Condition({name: torch.cat([tensor, other[name]]) for name, tensor in self.items()})
