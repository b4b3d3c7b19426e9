"""From an image to grids of codes, from coarse to fine, and back.

The encoder makes features at every resolution. The coarsest grid quantises its own; every finer one quantises its own
features concatenated with features decoded from the coarser codes, so that it adds only detail. The decoder reads all.
Razavi, van den Oord & Vinyals 2019, "Generating Diverse High-Fidelity Images with VQ-VAE-2", figure 2a and algorithm 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.latent.quantise import Codebook, Quantised
from simulacra.nn import ResidualStack

LARGE = 16  # images with a shorter side of this or more are shrunk by 4 before the finest grid, smaller ones by 2


def is_large(shape: tuple[int, ...]) -> bool:
    """Whether images (C, H, W) are shrunk by 4 before the finest grid."""
    return min(shape[1:]) >= LARGE


class Down(nn.Module):
    """(N, inputs, H, W) -> (N, width, H / 2^halvings, W / 2^halvings), by strided 4×4 convolutions."""

    def __init__(self, inputs: int, width: int, blocks: int, halvings: int) -> None:
        super().__init__()
        sizes = [inputs, *[max(1, width // 2)] * (halvings - 1), width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(sizes))
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.residual = ResidualStack(width, blocks)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.residual(self.mix(x))


class Up(nn.Module):
    """(N, inputs, h, w) -> (N, outputs, h · 2^doublings, w · 2^doublings), the way back."""

    def __init__(self, inputs: int, width: int, blocks: int, doublings: int, outputs: int) -> None:
        super().__init__()
        sizes = [width, *[max(1, width // 2)] * (doublings - 1), outputs]
        self.mix = nn.Conv2d(inputs, width, 3, padding=1)
        self.residual = ResidualStack(width, blocks)
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in itertools.pairwise(sizes)
        )

    def forward(self, h: Tensor) -> Tensor:
        h = self.residual(self.mix(h))
        for i, conv in enumerate(self.convs):
            h = conv(F.relu(h) if i else h)
        return h


class CodeGrids(nn.Module):
    """Encoder, codebooks and decoder of grids, each of half the sides of the next; lists go from coarse to fine.

    Attributes:
        sizes: (h, w) of each grid.
        dim: numbers in a code.
    """

    def __init__(
        self, spec: DataSpec, grids: int, codes: int, dim: int, width: int, blocks: int, parameters: int
    ) -> None:
        super().__init__()
        channels, height, columns = spec.shape
        halvings = 2 if is_large(spec.shape) else 1
        most = (2 * max(height, columns) - 1).bit_length() - halvings  # with more, most of the input would be padding
        if grids > most:
            raise UsageError(
                f"{grids} grids, each of half the sides of the next, are too many for {height}×{columns}: "
                f"at most {most}"
            )
        coarsest = 1 << (halvings + grids - 1)
        self.shape, self.dim, self.parameters_each = spec.shape, dim, parameters
        smallest = (-(-height // coarsest), -(-columns // coarsest))
        self.sizes = [(smallest[0] << i, smallest[1] << i) for i in range(grids)]
        self.padding = (0, smallest[1] * coarsest - columns, 0, smallest[0] * coarsest - height)
        stages = [Down(channels, width, blocks, halvings)]
        stages += [Down(width, width, blocks, 1) for _ in range(grids - 1)]
        self.down = nn.ModuleList(stages)  # from fine to coarse, as they are run
        self.narrow = nn.ModuleList(nn.Conv2d(width if i == 0 else 2 * width, dim, 1) for i in range(grids))
        self.books = nn.ModuleList(Codebook(codes, dim) for _ in range(grids))
        self.up = nn.ModuleList(Up(dim if i == 0 else dim + width, width, blocks, 1, width) for i in range(grids - 1))
        self.last = Up(dim if grids == 1 else dim + width, width, blocks, halvings, channels * parameters)

    @property
    def codebooks(self) -> list[Codebook]:
        return cast(list[Codebook], list(self.books))

    def forward(self, x: Tensor, learn: bool = False, updates: float = math.inf) -> list[Quantised]:
        """x centred, (N, C, H, W) -> its codes on each grid; with `learn` the codebooks are updated by it, one
        of so many `updates`."""
        h, features = F.pad(x, self.padding, mode="replicate"), []
        for stage in self.down:
            h = stage(h)
            features.insert(0, h)
        found, coarser = [], None
        for i, (own, narrow, book) in enumerate(zip(features, self.narrow, self.codebooks, strict=True)):
            found.append(book(narrow(own if coarser is None else torch.cat((own, coarser), dim=1)), learn, updates))
            if i < len(self.up):
                coarser = self.up[i](_with_coarser(found[-1].vectors, coarser))
        return found

    def decode(self, vectors: Sequence[Tensor]) -> Tensor:
        """The vectors of all grids, (N, D, h, w) each -> the parameters of a likelihood, (N, *shape, parameters)."""
        coarser = None
        for up, own in zip(self.up, vectors, strict=False):
            coarser = up(_with_coarser(own, coarser))
        _, height, columns = self.shape
        raw = self.last(_with_coarser(vectors[-1], coarser))[..., :height, :columns]
        return raw.unflatten(1, (self.shape[0], self.parameters_each)).movedim(2, -1)

    def look_up(self, indices: Sequence[Tensor]) -> list[Tensor]:
        """Indices of all grids, (N, h, w) each -> their vectors, (N, D, h, w) each."""
        return [book.look_up(own) for book, own in zip(self.codebooks, indices, strict=True)]

    def flat(self, vectors: Sequence[Tensor]) -> Tensor:
        """The vectors of all grids as one code, (N, numbers)."""
        return torch.cat([own.flatten(1) for own in vectors], dim=1)

    def split(self, z: Tensor) -> list[Tensor]:
        """The way back of `flat`."""
        counts = [self.dim * height * width for height, width in self.sizes]
        parts = zip(z.flatten(1).split(counts, dim=1), self.sizes, strict=True)
        return [part.unflatten(1, (self.dim, *size)) for part, size in parts]


def _with_coarser(own: Tensor, coarser: Tensor | None) -> Tensor:
    return own if coarser is None else torch.cat((own, coarser.to(own.dtype)), dim=1)
