r"""Batch norm over the items of all processes: y = (x - μ) / √(σ² + ε) · γ + β with the moments of the whole batch.

Gradients pass through the moments to the items of the other processes, as they do to those of its own, so that several
processes are one on the same batch. Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1.
`torch.nn.SyncBatchNorm` is for GPUs alone.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from simulacra import whole


def synchronise(model: nn.Module) -> None:
    """From now on every batch norm of the model takes its moments over the whole batch of a loss; see `whole`."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            vars(module)["forward"] = functools.partial(_forward, module)


def _forward(norm: BatchNorm, x: Tensor) -> Tensor:
    if not whole.shared() or not (norm.training or norm.running_mean is None):
        return type(norm).forward(norm, x)
    axes, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
    with torch.autocast(x.device.type, enabled=False):
        values = x if x.dtype == torch.float64 else x.float()
        mean = whole.mean(values.mean(axes))
        centred = values - mean.view(shape)  # the mean first: that of squares would lose the digits of the variance
        variance = whole.mean(centred.square().mean(axes))
        y = centred * torch.rsqrt(variance + norm.eps).view(shape)
        if norm.affine:
            y = y * norm.weight.view(shape) + norm.bias.view(shape)
    if norm.training and norm.running_mean is not None:
        _remember(norm, mean.detach(), variance.detach(), whole.numbers(len(x), x.device)[1] * x[0, 0].numel())
    return y.to(x.dtype)


@torch.no_grad()
def _remember(norm: BatchNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Update the running statistics by those of `count` numbers; the variance without bias, as torch does."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    factor = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), factor)
    norm.running_var.lerp_((variance * (count / max(1, count - 1))).to(norm.running_var.dtype), factor)
