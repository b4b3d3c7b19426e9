"""Paths between codes."""

from __future__ import annotations

import torch
from torch import Tensor


def walk(a: Tensor, b: Tensor, steps: int, spherical: bool) -> Tensor:
    """(N, D), (N, D) -> (N, steps, D): from a to b, both ends included."""
    t = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[None, :, None]
    join = slerp if spherical else torch.lerp
    return join(a[:, None, :].expand(-1, steps, -1), b[:, None, :].expand(-1, steps, -1), t)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation of directions, linear interpolation of norms (..., D).

    In many dimensions a Gaussian has its mass near a sphere, through whose hollow middle a straight line would lead.
    Parallel and opposite codes, where no arc is defined, are joined by the straight line.
    """
    long, wide = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    u, v = a / long.clamp(min=1e-12), b / wide.clamp(min=1e-12)
    angle = torch.acos((u * v).sum(-1, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / sine.clamp(min=1e-6)
    return torch.where(sine > 1e-4, torch.lerp(long, wide, t) * direction, torch.lerp(a, b, t))
