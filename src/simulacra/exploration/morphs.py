r"""Morphs: one code under a condition that moves from c to c',

    x_t = G(z, (1 - t) e(c) + t e(c')),    0 <= t <= 1,

where e(c) is what the network makes of a condition before it computes with it: rows of a table for classes, vectors
and maps for words and pictures, a channel for each class of a map. There is nothing between two classes, but there is
between their rows. Every embedding of a network is moved alike, in the input, the norms and the layers; pictures and
numbers that it reads as they are fade from one to the other. At t = 0 and t = 1 the items are those of c and c'.
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
from simulacra.data import DataSpec
from simulacra.errors import NotSupported
from simulacra.feed import at_once, slices
from simulacra.fields import Field, Levels, Real
from simulacra.model import Model, evaluating
from simulacra.nn import Embed, Pictures, Vectors
from simulacra.nn.embed import plain
from simulacra.nn.pictures import has_holes

Embedded = Tensor | Mapping[str, Tensor]


def morphed(model: Model, z: Tensor, one: Condition, other: Condition, t: Tensor) -> Tensor:
    """E[x|z] of codes (N, ...) at the share t (N,) of the way from one condition to another, (N, *shape).

    Raises NotSupported for a model that reads classes or words without embedding them by `simulacra.nn` or an
    `nn.Embedding`.
    """
    decoder, found, moved = need(model, Decoder), [], _fades(model.spec, one, other)
    with evaluating(model), trusted():  # checks may call a model to know the shape of its codes, its embeddings too
        for part in slices(len(z), at_once(model)):
            codes, begin, end, share = z[part], one.rows(part), other.rows(part), t[part]
            ends = [_embedded(model, decoder, codes, each) for each in (begin, end)]
            blend = _Blend(ends[0], ends[1], share)
            with _hooked(model, blend):
                found.append(decoder.decode(codes, _faded(model.spec, begin, end, share)).mean)
            moved |= blend.moved
    if not moved and any(not torch.equal(values, other[name]) for name, values in one.items()):
        raise NotSupported(
            f"{model.name} reads its condition without embedding it: there is nothing between two conditions; "
            "interpolate between two codes"
        )
    return torch.cat(found)


def _fading(spec: DataSpec) -> dict[str, Field]:
    """The fields between whose values there are others: pictures, levels and numbers."""
    return {name: own for name, own in spec.condition.items() if isinstance(plain(own), Levels | Real)}


def _fades(spec: DataSpec, one: Condition, other: Condition) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in _fading(spec))


def _faded(spec: DataSpec, one: Condition, other: Condition, t: Tensor) -> Condition:
    """The condition between two, for networks that read it as it is; classes, words and maps stay those of the first.

    Of pictures with holes what both know is known, except at the ends.
    """
    between = {}
    for name, field in _fading(spec).items():
        begin, end = one[name].float(), other[name].float()
        share = t.to(begin).view(-1, *[1] * (begin.dim() - 1))
        moved = torch.lerp(begin, end, share)
        if has_holes(field):
            inside = (share > 0) & (share < 1)
            moved = moved.where(~inside | ((begin > 0) & (end > 0)), 0.0)
        between[name] = moved
    return one | between


def _embedded(model: Model, decoder: Decoder, z: Tensor, condition: Condition) -> list[Embedded]:
    """What the embeddings of a model make of a condition, in the order of the calls."""
    found: list[Embedded] = []
    with _hooked(model, found.append):
        decoder.decode(z, condition)
    return found


class _Blend:
    """Replaces the outputs of embeddings, in the order of the calls, by those between two conditions."""

    def __init__(self, begins: list[Embedded], ends: list[Embedded], t: Tensor) -> None:
        self.pairs, self.t, self.moved = zip(begins, ends, strict=True), t, False

    def __call__(self, output: Embedded) -> Embedded:
        begin, end = next(self.pairs)
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
        if isinstance(child, Embed | Pictures | Vectors | nn.Embedding):
            yield child
        else:
            yield from _outermost(child)
