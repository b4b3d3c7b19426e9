r"""Spectral normalisation: a layer computes with W/σ(W), σ the largest singular value of its weight as a matrix.

    v <- Wᵀu/|Wᵀu|,   u <- Wv/|Wv|,   σ = uᵀWv

One such power iteration for each forward pass in training finds σ, since W changes little from one step to the next.
Gradients pass through σ, of which u and v are constants: ∂σ/∂W = u vᵀ. A convolution's matrix is its kernel, reshaped
to (outputs, inputs · kh · kw). The σ of that is not the norm of the convolution as a map of images, which can be up to
√(kh · kw) times as large: what a network of such layers has is a bound of its Lipschitz constant, not the constant 1.
Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", algorithm 1.
"""

from __future__ import annotations

from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.resampled import DoublingConv2d, HalvingConv2d

M = TypeVar("M", bound=nn.Module)
FIRST = 15  # power iterations for a new layer
SMALLEST = 1e-12  # σ, at least: a weight of zeros stays one


class Spectral(nn.Module):
    """Abstract: a layer with `weight`, and with the buffer u (outputs,), which is saved and resumed with it.

    u moves in a forward pass in training of a weight that has gradients: in turns of the player that owns it, and never
    because a weight is read, another player moves, or a sample is drawn. It follows from the weights alone, and is the
    same on all ranks.
    """

    weight: Tensor
    u: Tensor

    def normalised(self) -> Tensor:
        """W/σ, in float32 at least."""
        with torch.autocast("cpu" if self.weight.is_meta else self.weight.device.type, enabled=False):
            weight = self.weight if self.weight.dtype == torch.float64 else self.weight.float()
            matrix = weight.flatten(1)
            u, along = self.iterated(matrix, self.u)
            if self.training and torch.is_grad_enabled() and self.weight.requires_grad:
                with torch.no_grad():
                    self.u.copy_(u)
            return weight / torch.dot(u, along).clamp(min=SMALLEST)

    @staticmethod
    def iterated(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """u after one power iteration, and Wv, which alone has a gradient."""
        v = F.normalize(matrix.detach().t() @ u.to(matrix.dtype), dim=0, eps=SMALLEST)
        along = matrix @ v
        return F.normalize(along.detach(), dim=0, eps=SMALLEST), along


class SpectralLinear(Spectral, nn.Linear):
    """x (N, ..., inputs) -> (N, ..., outputs)"""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.normalised(), self.bias)


class SpectralConv2d(Spectral, nn.Conv2d):
    """x (N, inputs, H, W) -> (N, outputs, H', W')"""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.normalised(), self.bias)


class SpectralDoublingConv2d(SpectralConv2d, DoublingConv2d):
    """x (N, inputs, H, W) -> (N, outputs, 2H, 2W)"""


class SpectralHalvingConv2d(SpectralConv2d, HalvingConv2d):
    """x (N, inputs, 2H, 2W) -> (N, outputs, H, W)"""


class SpectralEmbedding(Spectral, nn.Embedding):
    """Numbers of classes (N,) -> rows (N, width) of a table that is normalised as a whole."""

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.normalised())


TWINS: dict[type[nn.Module], type[Spectral]] = {
    nn.Linear: SpectralLinear,
    nn.Conv2d: SpectralConv2d,
    DoublingConv2d: SpectralDoublingConv2d,
    HalvingConv2d: SpectralHalvingConv2d,
    nn.Embedding: SpectralEmbedding,
}


def spectral(module: M) -> M:
    """Let all linear maps, convolutions and tables of classes of a module be normalised; returns the same module.

    Each becomes its twin in place, with the parameters that it has; u begins with some power iterations for these. A
    layer that is normalised already stays as it is.
    """
    for layer in module.modules():
        if type(layer) in TWINS:
            weight = cast(Tensor, layer.weight).detach()
            layer.register_buffer("u", F.normalize(torch.randn(len(weight), device=weight.device), dim=0))
            layer.__class__ = TWINS[type(layer)]  # a twin made anew would register every parameter twice
            if not weight.is_meta:
                cast(Tensor, layer.u).copy_(_begun(weight.float().flatten(1), cast(Tensor, layer.u)))
    return module


def _begun(matrix: Tensor, u: Tensor) -> Tensor:
    """u after the first power iterations, each of which is normalised once."""
    for _ in range(FIRST):
        u = matrix @ (matrix.t() @ u)
        u = u / u.norm().clamp(min=SMALLEST**2)
    return u
