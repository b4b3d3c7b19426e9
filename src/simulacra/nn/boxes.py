r"""Boxes in an image: what is small, spread over a box, and what lies in a box, brought to one size.

    spread   M(y, x) = Σ_ij R_yi A_ij C_xj        A a mask of m×m numbers, M what is left of it at each of H×W pixels
    cropped  A(i, j) = Σ_yx R_iy X_yx C_jx        X an image, A the part within a box at m×m places

Boxes are (x0, y0, x1, y1) in shares of the sides, (0, 0) the corner at the upper left. The axes are interpolated one
after the other by hat functions, as wide as what they skip, that sum to 1 at every place. A pixel that a box covers in
part counts in part, so that the mass of a mask of ones is the area of the box, and everything is differentiable in the
boxes. A box without an area covers nothing.
Johnson et al. 2018, "Image Generation from Scene Graphs", 3.2 and 3.3; bilinear: Jaderberg et al. 2015, "Spatial
Transformer Networks", eq. 5.
"""

from __future__ import annotations

import torch
from torch import Tensor

THINNEST = 1e-3  # side of a box, at least, by which is divided
UNKNOWN = -1.0  # all four numbers of a box that is not given


def given(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...) False where all four numbers are -1: such a box is not known."""
    return (boxes != UNKNOWN).any(-1)


def spread(masks: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks (..., m, m) and boxes (..., 4) -> how much of each pixel they cover, (..., H, W)."""
    m = masks.shape[-1]
    rows, columns = (_onto(boxes[..., axis], boxes[..., axis + 2], size[1 - axis], m) for axis in (1, 0))
    return rows @ masks @ columns.transpose(-1, -2)


def cropped(x: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) and boxes (N, K, 4) -> what lies in each box, (N, K, C, side, side)."""
    rows, columns = (_from(boxes[..., axis], boxes[..., axis + 2], x.shape[3 - axis], side) for axis in (1, 0))
    return rows[:, :, None] @ x[:, None] @ columns[:, :, None].transpose(-1, -2)


def _onto(begin: Tensor, end: Tensor, pixels: int, m: int) -> Tensor:
    """Along one axis: weights (..., pixels, m) of the m numbers of a mask at each pixel, which sum to what the box
    covers of it."""
    edges = torch.arange(pixels + 1, device=begin.device, dtype=begin.dtype) / pixels
    begin, end = begin[..., None], end[..., None]
    covered = (torch.minimum(end, edges[1:]) - torch.maximum(begin, edges[:-1])).clamp(min=0) * pixels
    long = (end - begin).clamp(min=THINNEST)
    places = ((edges[1:] + edges[:-1]) / 2 - begin) / long * m - 0.5
    return covered[..., None] * _hats(places, m, m / (pixels * long.detach()))


def _from(begin: Tensor, end: Tensor, pixels: int, side: int) -> Tensor:
    """Along one axis: weights (..., side, pixels) of the pixels at each place of a crop."""
    shares = (torch.arange(side, device=begin.device, dtype=begin.dtype) + 0.5) / side
    places = (begin[..., None] + shares * (end - begin)[..., None]) * pixels - 0.5
    return _hats(places, pixels, (end - begin).detach()[..., None] * pixels / side)


def _hats(places: Tensor, count: int, width: Tensor) -> Tensor:
    """Weights (..., P, count) of the numbers 0 to count - 1 at places (..., P): hats of a width (..., 1) of 1 at least,
    which sum to 1; beyond the first and the last number these count alone."""
    numbers = torch.arange(count, device=places.device, dtype=places.dtype)
    away = places.clamp(0, count - 1)[..., None] - numbers
    hats = (1 - away.abs() / width.clamp(min=1)[..., None]).clamp(min=0)
    return hats / hats.sum(-1, keepdim=True)
