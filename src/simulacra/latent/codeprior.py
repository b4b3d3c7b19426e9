r"""The prior of grids of codes: a Gated PixelCNN for each, from coarse to fine, exactly.

    log p(k_1, ..., k_G | c) = Σ_g log p(k_g | k_<g, c),    log p(k_g | k_<g, c) = Σ_i log p(k_gi | k_g,<i, k_<g, c)

Codes have no order: they enter the network by a learned embedding. The coarser grids are maps of classes on which a
finer one is conditioned, as on any other field.
van den Oord et al. 2017, "Neural Discrete Representation Learning", section 3.3; Razavi, van den Oord & Vinyals 2019,
"Generating Diverse High-Fidelity Images with VQ-VAE-2", section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Generator, Tensor, nn

from simulacra.autoregressive.pixels import PixelPart
from simulacra.autoregressive.raster import Raster
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.fields import Field, LabelMap, Levels


class CodePrior(nn.Module):
    """p(all grids | label); lists go from coarse to fine.

    Args:
        sizes: (h, w) of each grid, of which each divides the next.
        codes: levels of every grid.
        fields: of the condition.
        network: of each chain.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        codes: int,
        fields: Mapping[str, Field],
        network: PixelPart,
    ) -> None:
        super().__init__()
        self.sizes, grids = list(sizes), {f"codes {height}x{across}": (height, across) for height, across in sizes}
        self.names, self.grids = list(grids), nn.ModuleList()
        for g, size in enumerate(sizes):
            coarser = {name: LabelMap(codes, grids[name]) for name in self.names[:g]}
            spec = DataSpec(Levels((1, *size), codes), {**fields, **coarser})
            self.grids.append(Raster(spec, network))

    @property
    def chains(self) -> list[Raster]:
        return cast(list[Raster], list(self.grids))

    def log_prob_each(self, indices: Sequence[Tensor], condition: Condition) -> list[Tensor]:
        """log p of every grid, (N,) nats, given the coarser ones; indices (N, h, w) each."""
        return [
            chain.log_prob(own[:, None], self._with_coarser(indices[:i], condition))
            for i, (chain, own) in enumerate(zip(self.chains, indices, strict=True))
        ]

    def sample(
        self, n: int, condition: Condition, temperature: float, generator: Generator | None, sampler: str
    ) -> list[Tensor]:
        """Indices of all grids, (n, h, w) each."""
        drawn: list[Tensor] = []
        for chain in self.chains:
            drawn.append(chain.sample(n, self._with_coarser(drawn, condition), temperature, generator, sampler)[:, 0])
        return drawn

    def _with_coarser(self, coarser: Sequence[Tensor], condition: Condition) -> Condition:
        """The condition of the next grid: that of the model, and the `coarser` grids."""
        return condition | dict(zip(self.names, coarser, strict=False))
