r"""Resampling of images by the filter [1, 3, 3, 1] along either axis, which takes out what a smaller image cannot show.

    halved    y_i = (x_{2i-1} + 3 x_{2i} + 3 x_{2i+1} + x_{2i+2}) / 8
    doubled   y_{2i} = (x_{i-1} + 3 x_i) / 4,   y_{2i+1} = (3 x_i + x_{i+1}) / 4

Pixels beyond an edge are those at the edge. Karras et al. 2019, "A Style-Based Generator Architecture", section 2
(nearest pixels and [1, 2, 1] are the same filter); Karras et al. 2020, section 2 and appendix B; Zhang 2019, "Making
Convolutional Networks Shift-Invariant Again".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = (0.125, 0.375, 0.375, 0.125)


def filtered(x: Tensor) -> Tensor:
    """Every channel of (N, C, H, W) by itself, without padding: (N, C, H - 3, W - 3)."""
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, groups=x.shape[1])


def halved(x: Tensor) -> Tensor:
    """(N, C, 2H, 2W) -> (N, C, H, W), by sums of every other row and column: strided depthwise convolutions take
    longer on CPUs, in bfloat16 several times."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., 0:-3:2, :] + padded[..., 3::2, :] + 3 * (padded[..., 1:-2:2, :] + padded[..., 2:-1:2, :])
    return (rows[..., 0:-3:2] + rows[..., 3::2] + 3 * (rows[..., 1:-2:2] + rows[..., 2:-1:2])) / 64


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W): bilinear interpolation, which is this filter."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
