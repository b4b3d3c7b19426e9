r"""Class morphs: one code under a condition that moves from c to c',

    x_t = G(z, (1 - t) e(c) + t e(c')),    0 <= t <= 1,

where e(c) is what the network makes of a condition before it computes with it: rows of a table for classes, vectors
and maps for all else. There is nothing between two classes, but there is between their rows. Every embedding of a
network is moved alike, in the input, the norms and the layers; at t = 0 and t = 1 the items are those of c and c'.
Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", figure 9.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from simulacra.borders import trusted
from simulacra.capabilities import Decoder, need
from simulacra.condition import Condition
from simulacra.errors import NotSupported
from simulacra.feed import at_once, slices
from simulacra.model import Model, evaluating
from simulacra.nn import Embed, Vectors

Embedded = Tensor | Mapping[str, Tensor]


def morphed(model: Model, z: Tensor, one: Condition, other: Condition, t: Tensor) -> Tensor:
    """E[x|z] of codes (N, ...) at the share t (N,) of the way from one condition to another, (N, *shape).

    Raises NotSupported for a model that does not embed its condition by `simulacra.nn` or an `nn.Embedding`.
    """
    decoder, found, moved = need(model, Decoder), [], False
    with evaluating(model), trusted():  # checks may call a model to know the shape of its codes, its embeddings too
        for part in slices(len(z), at_once(model)):
            ends: list[Embedded] = []
            with _hooked(model, ends.append):
                decoder.decode(z[part], other.rows(part))
            blend = _Blend(ends, t[part])
            with _hooked(model, blend):
                found.append(decoder.decode(z[part], one.rows(part)).mean)
            moved |= blend.moved
    if not moved and any(not torch.equal(values, other[name]) for name, values in one.items()):
        raise NotSupported(
            f"{model.name} reads its condition without embedding it: there is nothing between two conditions; "
            "interpolate between two codes"
        )
    return torch.cat(found)


class _Blend:
    """Moves the outputs of embeddings, in the order of the calls, toward those of another condition."""

    def __init__(self, ends: list[Embedded], t: Tensor) -> None:
        self.ends, self.t, self.moved = iter(ends), t, False

    def __call__(self, begin: Embedded) -> Embedded:
        end = next(self.ends)
        if isinstance(begin, Tensor) and isinstance(end, Tensor):
            return self._between(begin, end)
        assert isinstance(begin, Mapping)
        assert isinstance(end, Mapping)
        between = {name: self._between(values, end[name]) for name, values in begin.items()}
        return Condition(between) if isinstance(begin, Condition) else between

    def _between(self, begin: Tensor, end: Tensor) -> Tensor:
        if not begin.is_floating_point() or torch.equal(begin, end):  # classes, of which a later layer has its rows
            return begin
        self.moved = True
        return torch.lerp(begin, end, self.t.to(begin).view(-1, *[1] * (begin.dim() - 1)))


@contextlib.contextmanager
def _hooked(model: Model, see: Callable[[Embedded], Embedded | None]) -> Iterator[None]:
    """Within the context, `see` is called with each embedding of the condition, and what it returns takes its place."""

    def hook(module: nn.Module, inputs: Any, output: Embedded) -> Embedded | None:
        return see(output)

    hooks = [module.register_forward_hook(hook) for module in _outermost(model)]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def _outermost(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that embed a condition, none of which lies within another one."""
    for child in module.children():
        if isinstance(child, Embed | Vectors | nn.Embedding):
            yield child
        else:
            yield from _outermost(child)
