r"""What there is, and where: an exact density of pictures on a ground of the lowest level.

A picture x with anything above the lowest level is, one to one, a picture y, in which what there is has been moved to
the corner, so that its first row and its first column are not empty, and the place (top, left) that it was moved from:

    p(x|c) = p(not empty|c) p(y|c) p(top | h, w, c) p(left | top, h, w, c),    h × w the size of what there is.

The chain over the pixels of y need not learn a thing anew for each place. It leaves neither the first row nor the first
column empty: where all pixels of one have been so far, the last of them is drawn from the other levels, so that y
stands for one x only, and the sum over all x is one.

That a picture is taken apart into a thing and the displacement of it, which is inferred, is the transformation of
Frey & Jojic 2003, "Transformation-invariant clustering using the EM algorithm"; here it is known, and not summed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Generator, Tensor, nn

from simulacra.autoregressive.pixels import PixelPart
from simulacra.autoregressive.raster import Raster
from simulacra.capabilities import Steps
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import AboveLowest, Bernoulli, Categorical, GridDistribution
from simulacra.fields import Field
from simulacra.nn import AddCondition, Embed

SOMETHING = 3.0  # in the beginning: logit of there being something


class Cornered(Raster):
    """A chain over the pixels of images whose first row and first column are not empty."""

    def conditionals(
        self, x: Tensor, condition: ConditionLike | None = None, order: Tensor | None = None
    ) -> GridDistribution:
        must = torch.zeros(x.shape, dtype=torch.bool, device=x.device)
        for (row, column), line in zip(_last_chances(self.spec), (x[:, :, 0], x[:, :, :, 0]), strict=True):
            must[:, -1, row, column] |= ~line.transpose(1, 2).flatten(1)[:, :-1].bool().any(1)
        return AboveLowest(super().conditionals(x, condition, order), must)

    def steps(self, n: int, condition: ConditionLike | None = None, order: Tensor | None = None) -> Steps:
        return _CorneredSteps(super().steps(n, condition, order), n, self)


class _CorneredSteps:
    """A walk along the chain that remembers whether the first row and column are empty so far."""

    def __init__(self, chain: Steps, n: int, model: Cornered) -> None:
        self.chain, self.place = chain, 0
        (self.channels, _, self.width), self.ends = model.spec.shape, _last_chances(model.spec)
        self.empty = [torch.ones(n, dtype=torch.bool, device=model.device) for _ in self.ends]

    def conditional(self) -> GridDistribution:
        factor = self.chain.conditional()
        assert isinstance(factor, GridDistribution)
        pixel, channel = divmod(self.place, self.channels)
        for end, empty in zip(self.ends, self.empty, strict=True):
            if (*divmod(pixel, self.width), channel) == (*end, self.channels - 1):
                factor = AboveLowest(factor, empty)
        return factor

    def append(self, value: Tensor) -> None:
        row, column = divmod(self.place // self.channels, self.width)
        for first, empty in zip((row, column), self.empty, strict=True):
            if first == 0:
                empty &= value == 0
        self.chain.append(value)
        self.place += 1


def _last_chances(spec: DataSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """The last pixels of the first row and of the first column."""
    return (0, spec.shape[2] - 1), (spec.shape[1] - 1, 0)


@dataclass(frozen=True)
class Extent:
    """Where what there is of N pictures lies, in pixels, (N,) each; of an empty one nothing of it means anything."""

    some: Tensor
    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    @classmethod
    def of(cls, x: Tensor) -> Self:
        """Of pictures (N, C, H, W) on a grid of levels."""
        rows, columns = ((x != 0).any(1).any(axis).byte() for axis in (2, 1))
        (top, bottom), (left, right) = ((line.argmax(1), line.flip(1).argmax(1)) for line in (rows, columns))
        return cls(rows.any(1), top, left, rows.shape[1] - bottom - top, columns.shape[1] - right - left)

    def rows(self, index: Tensor) -> Self:
        return type(self)(*(getattr(self, each.name)[index] for each in fields(self)))


class _Place(nn.Module):
    """p(first row or column | what is known, the condition), over those places where what there is fits."""

    def __init__(self, known: Sequence[int], places: int, condition: Mapping[str, Field], hidden: int) -> None:
        super().__init__()
        self.known = nn.ModuleList(nn.Embedding(count, hidden) for count in known)
        self.condition = AddCondition(condition, hidden)
        self.last = nn.Linear(hidden, places)

    def forward(self, known: Sequence[Tensor], size: Tensor, embedded: Condition) -> Categorical:
        h = torch.stack([table(each) for table, each in zip(self.known, known, strict=True)]).sum(0)
        logits = self.last(torch.relu(self.condition(h, embedded)))
        fits = torch.arange(logits.shape[1], device=logits.device) <= logits.shape[1] - size[:, None]
        return Categorical(logits.masked_fill(~fits, -torch.inf))


class Placed(nn.Module):
    """p(x|c) for images (C, H, W) on a grid of levels.

    Args:
        spec: what x is.
        network: of the chain over the pixels of what there is.
        hidden: units of the networks of a place.
    """

    def __init__(self, spec: DataSpec, network: PixelPart, hidden: int = 64) -> None:
        super().__init__()
        self.spec, (_, height, width) = spec, spec.shape
        self.what = Cornered(spec, network)
        self.embed, self.some = Embed(spec.condition), AddCondition(spec.condition, 1)
        self.bias = nn.Parameter(torch.tensor([SOMETHING]))
        self.top = _Place((height, width), height, spec.condition, hidden)
        self.left = _Place((height, width, height), width, spec.condition, hidden)

    def log_prob(self, x: Tensor, given: Condition) -> Tensor:
        """log p(x|c), exact, (N,) nats."""
        embedded, there = self.embed(given), Extent.of(x)
        nats = self._something(len(x), embedded).log_each(there.some)
        own = there.some.nonzero()[:, 0]
        if not len(own):
            return nats
        there, embedded = there.rows(own), embedded.rows(own)
        what = self.what.log_prob(moved(x[own], -there.top, -there.left), given.rows(own))
        top, left = self._top(there, embedded), self._left(there, embedded)
        return nats.index_add(0, own, what + top.log_each(there.top) + left.log_each(there.left))

    @torch.no_grad()
    def sample(self, n: int, given: Condition, temperature: float = 1.0, generator: Generator | None = None) -> Tensor:
        """(n, C, H, W) draws; every choice is sharpened to p^(1/temperature)."""
        embedded = self.embed(given)
        something = self._something(n, embedded).sample(generator, temperature).bool()
        y = self.what.sample(n, given, temperature, generator)
        there = Extent.of(y)
        there = replace(there, top=self._top(there, embedded).sample(generator, temperature).long())
        left = self._left(there, embedded).sample(generator, temperature).long()
        return moved(y, there.top, left) * something[:, None, None, None]

    def _something(self, n: int, embedded: Condition) -> Bernoulli:
        return Bernoulli(self.some(self.bias.expand(n, 1), embedded)[:, 0])

    def _top(self, there: Extent, embedded: Condition) -> Categorical:
        return self.top((there.height - 1, there.width - 1), there.height, embedded)

    def _left(self, there: Extent, embedded: Condition) -> Categorical:
        return self.left((there.height - 1, there.width - 1, there.top), there.width, embedded)


def moved(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Pictures (N, C, H, W), each moved by its own numbers of pixels, (N,); what comes in is the lowest level."""
    for axis, by in ((2, down), (3, right)):
        length = x.shape[axis]
        place = torch.arange(length, device=x.device) - by[:, None]
        inside, index = (place >= 0) & (place < length), place.clamp(0, length - 1)
        inside, index = (each[:, None].unsqueeze(5 - axis).expand_as(x) for each in (inside, index))
        x = x.gather(axis, index) * inside
    return x
