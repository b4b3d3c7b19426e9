r"""Vector quantisation: every vector of a grid is replaced by the nearest of K codes.

    k(z) = argmin_k |z - e_k|²,    z_q = e_k(z) + z - sg[z]

so that gradients pass straight through from z_q to z. The codes are no parameters but moving averages of the vectors
that are quantised to them: with n_k of the vectors of a batch nearest to code k,

    N_k <- γ N_k + (1 - γ) n_k,    m_k <- γ m_k + (1 - γ) Σ_{i: k(z_i) = k} z_i,    e_k = m_k / N_k.

van den Oord et al. 2017, "Neural Discrete Representation Learning", eq. 1 to 3 and appendix A.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra import whole
from simulacra.distributions import at_least_float32

DECAY = 0.99
MEMORY = 1 / 20  # of the updates of a stage, the most that the averages remember: a code that dies is found in time
SMOOTHING = 1e-5  # of the counts, when they divide
DEAD = 0.05  # of the mean use of a code: one with less is moved to a random vector


class Quantised(NamedTuple):
    """indices (N, h, w); vectors: the nearest codes (N, D, h, w), with gradients passed to z; distance: Σ |z - sg[e]|²
    over the grid of an item, (N,), the commitment of the encoder."""

    indices: Tensor
    vectors: Tensor
    distance: Tensor


class Codebook(nn.Module):
    """K codes of D numbers.

    `counts` (K,) and `sums` (K, D) are the raw moving averages N and m, per item and not per batch, so that they do not
    depend on its size.
    """

    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(self, codes: int, numbers: int, decay: float = DECAY) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", torch.randn(codes, numbers))
        self.register_buffer("started", torch.tensor(0))

    @property
    def codes(self) -> Tensor:
        """(K, D); counts are smoothed here and nowhere else, so that a code which is hardly used does not move."""
        total, k = self.counts.sum(), len(self.counts)
        smoothed = (self.counts + SMOOTHING) / (total + k * SMOOTHING) * total
        return self.sums / smoothed[:, None]

    def forward(self, z: Tensor, learn: bool = False, updates: float = math.inf) -> Quantised:
        """Quantise z (N, D, h, w); with `learn`, update the codes by it afterwards, one of so many `updates`.

        Where these are few, γ is 1 - 1 / (MEMORY · updates): a code that nothing chooses is dead, and moved, after
        3 MEMORY of them.
        """
        vectors = at_least_float32(z)
        if learn:
            self._revive(vectors.detach())
        indices = self.nearest(vectors)
        chosen = self.look_up(indices).to(vectors.dtype)
        if learn:
            self._update(vectors.detach(), indices, max(0.0, min(self.decay, 1 - 1 / (MEMORY * updates))))
        distance = (vectors - chosen).square().flatten(1).sum(1)
        passed = chosen + (vectors - vectors.detach())  # exactly the codes: the difference is zero, its gradient is not
        return Quantised(indices, passed, distance)

    def look_up(self, indices: Tensor) -> Tensor:
        """(N, h, w) -> (N, D, h, w)"""
        return F.embedding(indices.long(), self.codes).movedim(-1, 1)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """z (N, D, h, w) -> the indices of the nearest codes, (N, h, w); never in half precision."""
        codes = self.codes
        with torch.autocast(z.device.type, enabled=False):
            flat = z.movedim(1, -1).to(codes.dtype)
            return (codes.square().sum(1) - 2 * flat @ codes.t()).argmin(-1)  # |z|² is the same for all codes

    @torch.no_grad()
    def _revive(self, z: Tensor) -> None:
        """Put codes on random vectors of the batch: all of them at first, and later those that have died.

        They start with the mean use of a code. All processes find the same codes dead, as they share their counts, and
        put them on the same vectors of the items of all.
        """
        fair = z[0, 0].numel() / len(self.counts)  # vectors of an item for each code
        which = self.counts < (DEAD * fair if self.started else torch.inf)
        if not which.any():
            return
        vectors, needed = whole.gathered(z).movedim(1, -1).flatten(0, 2).to(self.sums.dtype), len(which)
        generator, like = whole.common(z.device), self.sums
        order = torch.randperm(len(vectors), generator=generator, device=z.device)
        noise = torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)
        nudges = 0.01 * vectors.std(0, correction=0) * noise  # few vectors may serve many codes
        places = vectors[order.repeat(-(-needed // len(order)))[:needed]] + nudges
        self.counts[which] = fair
        self.sums[which] = fair * places[which]
        self.started.fill_(1)

    @torch.no_grad()
    def _update(self, z: Tensor, indices: Tensor, decay: float) -> None:
        """Update the moving averages by the vectors that are nearest to each code, of the items of all processes."""
        vectors, chosen = z.movedim(1, -1).flatten(0, 2).to(self.sums.dtype), indices.flatten()
        counts = torch.bincount(chosen, minlength=len(self.counts)).to(self.counts.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, vectors)
        self.counts.lerp_(whole.mean(counts / len(z)), 1 - decay)
        self.sums.lerp_(whole.mean(sums / len(z)), 1 - decay)


@dataclass(frozen=True)
class CodeUse:
    """How a set of items uses a codebook: of `codes` codes `used` occur, as evenly as `perplexity` equal ones would.

    Perplexity is exp(-Σ_k p_k log p_k) with p_k over all items together: over a batch it would grow with its size.
    """

    grid: tuple[int, int]
    codes: int
    used: int
    perplexity: float


def code_use(counts: Tensor, grid: tuple[int, int]) -> CodeUse:
    """From how often each code occurs, (K,), in grids of h × w."""
    counts = counts.cpu()  # where there is double precision
    p = counts.double() / counts.sum()
    return CodeUse(grid, len(counts), int((counts > 0).sum()), float(torch.special.entr(p).sum().exp()))
