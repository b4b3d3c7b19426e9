r"""The largest singular value σ of weights, by which a layer can stretch what it reads.

    v <- WᵀWv / |WᵀWv|,    σ = |Wv|

A matrix W is a linear map's weight, or a convolution's kernel reshaped to (outputs, inputs · kh · kw). That of a kernel
is not the norm of the convolution as a map of images, which can be up to √(kh · kw) times as large. Weights are those
that a layer computes with: divided by their norm where it is spectral, scaled where its learning rate is equalised.
Values that explode mark the collapse of large GANs: Brock et al. 2019, "Large Scale GAN Training", section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.spectral import Spectral

MOST, ENOUGH = 500, 1e-7  # iterations, and the share by which the last one changed σ


@torch.no_grad()
def largest_singular_value(matrix: Tensor) -> float:
    """σ of W (M, N), by power iteration from a constant start."""
    matrix = matrix.detach().to("cpu", torch.float32)
    v = torch.randn(matrix.shape[1], generator=torch.Generator().manual_seed(0))
    now = before = 0.0
    for _ in range(MOST):
        u = matrix @ F.normalize(v, dim=0)
        now = float(u.norm())
        if abs(now - before) <= ENOUGH * now:
            break
        v, before = matrix.t() @ u, now
    return now


def layers_of(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The name and the matrix of every linear map and convolution of a network."""
    for name, module in network.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Embedding) or not isinstance(weight, Tensor) or weight.dim() < 2:
            continue
        own = module.normalised() if isinstance(module, Spectral) else weight * getattr(module, "weight_scale", 1.0)
        yield name, own.detach().flatten(1)


@torch.no_grad()
def singular_values(network: nn.Module) -> dict[str, float]:
    """The largest singular value of every linear map and convolution, by its name."""
    return {name: largest_singular_value(matrix) for name, matrix in layers_of(network)}
