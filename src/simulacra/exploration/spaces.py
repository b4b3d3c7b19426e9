"""From codes to styles and from styles to items, of generators in two networks, w = f(z, c) and x = g(w)."""

from __future__ import annotations

import torch
from torch import Tensor

from simulacra.condition import Condition
from simulacra.feed import at_once, slices
from simulacra.inverse import styled
from simulacra.model import Model, evaluating


def styles_of(model: Model, z: Tensor, given: Condition) -> Tensor:
    """Codes (N, *code) -> w (N, layers, D)."""
    source = styled(model)
    with evaluating(model):
        return torch.cat([source.mapping(z[part], given.rows(part)) for part in slices(len(z), at_once(model))])


def synthesised(model: Model, w: Tensor) -> Tensor:
    """w (N, layers, D) -> x on the data grid, (N, *shape)."""
    source = styled(model)
    with evaluating(model):
        made = [source.synthesis(w[part]).float() for part in slices(len(w), at_once(model))]
    return model.spec.on_grid(torch.cat(made))
