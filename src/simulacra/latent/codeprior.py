r"""The prior of grids of codes: a Gated PixelCNN for each, from coarse to fine, exactly.

    log p(k_1, ..., k_G | c) = Σ_g log p(k_g | k_<g, c),    log p(k_g | k_<g, c) = Σ_i log p(k_gi | k_g,<i, k_<g, c)

Codes are no points of a line: they enter the network by a learned embedding. What the coarser grids say, by embeddings
of their own, is added in every layer to what the rows above say.
van den Oord et al. 2017, "Neural Discrete Representation Learning", section 3.3; Razavi, van den Oord & Vinyals 2019,
"Generating Diverse High-Fidelity Images with VQ-VAE-2", section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Generator, Tensor, nn

from simulacra.autoregressive.gated_pixelcnn import GatedStacks
from simulacra.capabilities import Condition
from simulacra.data.spec import ClassLabel, DataSpec
from simulacra.nn import Memory, ResidualStack

COARSER = "the coarser codes"  # their name among the conditions of a finer grid


class Told(nn.Module):
    """Codes of coarser grids, at the size of the finer one, (N, grids, h, w) -> (N, maps, h, w) for every layer."""

    def __init__(self, codes: int, coarser: int, width: int, maps: Sequence[int]) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(codes, width) for _ in range(coarser))
        self.around = nn.Conv2d(width, width, 5, padding=2)
        self.residual = ResidualStack(width, 1)
        self.layers = nn.ModuleList(nn.Conv2d(width, count, 1, bias=False) for count in maps)

    def forward(self, coarser: Tensor) -> list[Tensor]:
        embedded = [table(own) for table, own in zip(self.tables, coarser.long().unbind(1), strict=True)]
        features = self.residual(self.around(torch.stack(embedded).sum(0).movedim(-1, 1)))
        return [layer(features) for layer in self.layers]


class CodePixelCNN(GatedStacks):
    """p(k_g | k_<g, label): a grid of codes as an image of one channel with as many levels as codes."""

    def __init__(self, spec: DataSpec, coarser: int, width: int, layers: int, dropout: float) -> None:
        super().__init__(spec, width, layers, kernel=5, inner_kernel=3, dropout=dropout, per_value=width)
        self.embedding = nn.Embedding(spec.grid_levels, width)
        self.told = Told(spec.grid_levels, coarser, width, [2 * width] * layers) if coarser else None

    def enter(self, x: Tensor) -> Tensor:
        """Indices (N, 1, ...) -> (N, width, ...)"""
        return self.embedding(x[:, 0].long()).movedim(-1, 1)

    def above(self, image: Tensor, given: Condition, memory: Memory | None = None) -> list[Tensor]:
        told = super().above(image, given, memory)
        if self.told is None:
            return told
        if memory is None:
            maps = self.told(given[COARSER])
        else:
            everywhere = memory.keep(self.told, lambda: cast(Told, self.told)(given[COARSER]))
            maps = [each[:, :, memory.row : memory.row + 1] for each in everywhere]
        return [word + each for word, each in zip(told, maps, strict=True)]

    def conditioned(self, condition: Condition | None, n: int) -> dict[str, Tensor]:
        """The labels, checked, and the coarser codes beside them."""
        given = dict(condition or {})
        coarser = {COARSER: given.pop(COARSER)} if COARSER in given else {}
        return super().conditioned(given, n) | coarser


class CodePrior(nn.Module):
    """p(all grids | label); lists go from coarse to fine.

    Args:
        sizes: (h, w) of each grid, of which each divides the next.
        codes: levels of every grid.
        classes: the fields of the condition.
        width, layers, dropout: of each Gated PixelCNN.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        codes: int,
        classes: dict[str, ClassLabel],
        width: int,
        layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.grids = nn.ModuleList(
            CodePixelCNN(DataSpec((1, *size), codes, classes), coarser, width, layers, dropout)
            for coarser, size in enumerate(sizes)
        )

    @property
    def networks(self) -> list[CodePixelCNN]:
        return cast(list[CodePixelCNN], list(self.grids))

    def log_prob_each(self, indices: Sequence[Tensor], given: Condition) -> list[Tensor]:
        """log p of every grid, (N,) nats, given the coarser ones; indices (N, h, w) each."""
        return [
            net.log_prob(own[:, None], self._given(indices[:i], given))
            for i, (net, own) in enumerate(zip(self.networks, indices, strict=True))
        ]

    def sample(
        self, n: int, given: Condition, temperature: float, generator: Generator | None, sampler: str
    ) -> list[Tensor]:
        """Indices of all grids, (n, h, w) each."""
        drawn: list[Tensor] = []
        for net in self.networks:
            drawn.append(net.sample(n, self._given(drawn, given), temperature, generator, sampler)[:, 0])
        return drawn

    def _given(self, coarser: Sequence[Tensor], given: Condition) -> Condition:
        """The condition of the grid that follows the `coarser` ones, which are brought to its size."""
        if not coarser:
            return given
        height, _ = self.sizes[len(coarser)]
        return {**given, COARSER: torch.stack([_enlarged(own, height // own.shape[1]) for own in coarser], dim=1)}


def _enlarged(indices: Tensor, times: int) -> Tensor:
    """(N, h, w) -> (N, times · h, times · w), every index spread over a square."""
    return indices.repeat_interleave(times, 1).repeat_interleave(times, 2)
