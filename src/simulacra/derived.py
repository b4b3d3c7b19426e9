"""Conditions that are made of x itself: a small picture, a grey one, its edges, what a mask leaves of it, its parts.

So super-resolution, colourisation and completion need no files: `fit gated-pixelcnn digits --condition down:factor=2`.
What is random in a derivation is a function of the number of the item alone.

A value v = f(x) says of which x it can have been made. `impose` moves any x to one of these; where a network ends with
it, what it makes agrees with its condition by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from simulacra.errors import UsageError
from simulacra.fields import Classes, Column, Field, Levels, Real, numeric
from simulacra.parts import above, as_part, kind, named, part, share, spelled, within
from simulacra.randomness import uniforms

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-6  # distance of a mean from the end of its range, at least
BRIGHTNESS = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


@kind("derivation")
class Derivation(Protocol):
    """A field that is a function of x."""

    def field(self, x: Field) -> Field:
        """What it makes of such an x; raises UsageError for an x of which it makes nothing."""
        ...

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        """x (n, *shape), values of the field `of`, items number `index` (n,) of their split -> values of the field."""
        ...

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        """Items x (N, *shape) in [-1, 1] -> the same with f(x) = value; `value` (N, ...) is in [-1, 1] too, where it is
        `known`. Differentiable in x. The identity where f is not to be undone so."""
        ...

    def known(self, value: Tensor) -> Tensor | None:
        """Where the value, as integers, is a pixel of x, whose levels begin at 1: truths (N, 1, H, W). None where it is
        no picture with holes."""
        ...


class _Whole:
    """A derivation without holes, and nothing imposed."""

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        return x

    def known(self, value: Tensor) -> Tensor | None:
        return None


@part("field", "derived")
class Derived(Field):
    """A field made of x by a derivation; a user may give its values all the same."""

    by: Derivation
    own: Field

    @classmethod
    def from_words(cls, words: str, x: Field) -> Derived | None:
        """`down:factor=2` -> the field that it makes of x; None where no derivation is called so."""
        if words.partition(":")[0] not in named("derivation"):
            return None
        by = as_part("derivation", words)
        return cls(by, by.field(x))

    def columns(self, name: str) -> dict[str, Column]:
        return self.own.columns(name)

    def convert(self, name: str, values: Any, single: bool) -> dict[str, np.ndarray]:
        return self.own.convert(name, values, single)

    def check(self, name: str, arrays: Mapping[str, np.ndarray], items: np.ndarray | None = None) -> None:
        self.own.check(name, arrays, items)

    def is_single(self, values: Any) -> bool:
        return self.own.is_single(values)

    def describe(self) -> str:
        return f"{self.own.describe()} ({spelled(self.by)} of x)"


def images(x: Field, what: object) -> Levels | Real:
    """x itself; raises UsageError unless it is images (C, H, W)."""
    if not isinstance(x, Levels | Real) or isinstance(x, Classes) or len(x.shape) != 3:
        raise UsageError(f"{spelled(what)} is made of images (C, H, W), and x is {x.describe()}")
    return x


def levels_of(x: Field) -> int | None:
    return x.levels if isinstance(x, Levels) else None


def _rounded(values: np.ndarray, of: Field) -> np.ndarray:
    """Real numbers to the grid of x, half up, as area means of its levels are; real numbers stay."""
    return np.floor(values + 0.5).astype(of.dtype) if isinstance(of, Levels) else values.astype(np.float32)


def _met(x: Tensor, value: Tensor, mean: Callable[[Tensor], Tensor], spread: Callable[[Tensor], Tensor]) -> Tensor:
    """x in [-1, 1], moved so that weighted means of it are the value, and within [-1, 1].

    What is missing is added to all numbers of a mean alike. Where that goes beyond -1 or 1 the rest is met by moving
    them towards that end, all by the same share of the way.
    """
    x = (x + spread(value - mean(x))).clamp(-1, 1)
    have = mean(x)
    up = spread((value - have).clamp(min=0) / (1 - have).clamp(min=SMALLEST))
    down = spread((have - value).clamp(min=0) / (1 + have).clamp(min=SMALLEST))
    return (x + up * (1 - x) - down * (1 + x)).clamp(-1, 1)


@part("derivation", "down")
class Down(_Whole):
    """The image at 1/factor of its sides: area means of factor × factor pixels, rounded to the grid; rests are cut off.

    Attributes:
        factor: by which the sides shrink.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        within(2, factor=self.factor)

    def field(self, x: Field) -> Field:
        channels, height, width = images(x, self).shape
        if self.factor > min(height, width):
            raise UsageError(f"down:factor={self.factor} leaves nothing of {height}×{width} pixels")
        return numeric((channels, height // self.factor, width // self.factor), levels_of(x))

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        k, (n, channels, height, width) = self.factor, x.shape
        cut = x[:, :, : height // k * k, : width // k * k].astype(np.float64)
        return _rounded(cut.reshape(n, channels, height // k, k, width // k, k).mean((3, 5)), of)

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        """Area means become the value; what is cut off stays."""
        k, (height, width) = self.factor, value.shape[2:]
        inside = x[:, :, : height * k, : width * k]

        def mean(items: Tensor) -> Tensor:
            return items.unflatten(3, (width, k)).unflatten(2, (height, k)).mean((3, 5))

        met = _met(inside, value, mean, lambda means: means.repeat_interleave(k, 2).repeat_interleave(k, 3))
        return x.slice_scatter(x[:, :, : height * k].slice_scatter(met, 3, 0, width * k), 2, 0, height * k)


@part("derivation", "grey")
class Grey(_Whole):
    """The brightness 0.299 R + 0.587 G + 0.114 B of a colour image, rounded to the grid (ITU-R BT.601)."""

    def field(self, x: Field) -> Field:
        if images(x, self).shape[0] != 3:
            raise UsageError(f"grey is made of colour images (3, H, W), and x is {x.describe()}")
        return numeric((1, *images(x, self).shape[1:]), levels_of(x))

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        return _rounded(np.tensordot(x.astype(np.float64), BRIGHTNESS, (1, 0))[:, None], of)

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        """The brightness of each pixel becomes the value."""
        share = x.new_tensor(BRIGHTNESS).view(1, 3, 1, 1)
        return _met(x, value, lambda items: (items * share).sum(1, keepdim=True), lambda brightness: brightness)


@part("derivation", "edges")
class Edges(_Whole):
    """A drawing: 1 where the brightness changes by more than a share of its range, else 0; (1, H, W) of two levels.

    Attributes:
        threshold: that share, of the largest length of the gradient (Sobel) that a step from dark to bright has.
    """

    threshold: float = 0.25

    def __post_init__(self) -> None:
        above(0, threshold=self.threshold)
        share(threshold=self.threshold)

    def field(self, x: Field) -> Field:
        if levels_of(images(x, self)) is None:
            raise UsageError("edges are drawn of images on a grid of levels, and these are real numbers")
        return Levels((1, *images(x, self).shape[1:]), 2)

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        grey = x.astype(np.float64).mean(1) / (cast(Levels, of).levels - 1)
        p = np.pad(grey, ((0, 0), (1, 1), (1, 1)), mode="edge")
        smooth_rows, smooth_columns = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:], p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]
        across, down = smooth_rows[..., 2:] - smooth_rows[..., :-2], smooth_columns[:, 2:] - smooth_columns[:, :-2]
        return (np.hypot(across, down) / 4 > self.threshold)[:, None].astype(np.uint8)


class _Holes:
    """Abstract: a picture of which a part is unknown. Known pixels are one level up, and 0 stands for unknown ones, on
    levels + 1 levels."""

    def field(self, x: Field) -> Field:
        levels = levels_of(images(x, self))
        if levels is None:
            raise UsageError(f"{spelled(self)} is for images on a grid of levels, and these are real numbers")
        return Levels(images(x, self).shape, levels + 1)

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        """Known pixels are put in."""
        return x if known is None else value.where(known, x)

    def known(self, value: Tensor) -> Tensor:
        return (value > 0).all(1, keepdim=True)

    def _with_holes(self, x: np.ndarray, known: np.ndarray, of: Field) -> np.ndarray:
        """x (n, C, H, W) where it is known, (n or 1, H, W)."""
        return np.where(known[:, None], x.astype(np.int16) + 1, 0).astype(self.field(of).columns("")[""].dtype)


@part("derivation", "mask")
class Mask(_Holes):
    """What a mask leaves of an image: known pixels one level up, 0 in the place of unknown ones, on levels + 1 levels.

    Attributes:
        kind: half: the upper half is known; centre: the middle half of both sides is unknown; random: a share of the
            pixels is unknown, drawn anew for each item.
        share: of unknown pixels, for random.
    """

    kind: Literal["half", "centre", "random"] = "half"
    share: float = 0.5

    def __post_init__(self) -> None:
        above(0, 1, share=self.share)

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        return self._with_holes(x, self._known(x.shape[2], x.shape[3], index), of)

    def _known(self, height: int, width: int, index: np.ndarray) -> np.ndarray:
        """(n or 1, H, W) of truths."""
        rows, columns = np.indices((height, width))
        if self.kind == "half":
            return (rows < height // 2)[None]
        if self.kind == "centre":
            inside = abs(2 * rows - height + 1) < height / 2
            return (~(inside & (abs(2 * columns - width + 1) < width / 2)))[None]
        return uniforms(index, height * width, "mask").reshape(len(index), height, width) >= self.share


@part("derivation", "parts")
class Parts(_Holes):
    """Some of the parts of an image that is cut into a grid, which ones drawn anew for each item.

    Attributes:
        grid: of so many parts each way; what is left of the sides belongs to the last ones.
        kept: how many of the parts are there; without it any number from one to all but one, drawn for each item.
        loose: whether the parts lie where they were drawn to lie, in the place of any part, and not where they belong.
    """

    grid: int = 2
    kept: int | None = None
    loose: bool = False

    def __post_init__(self) -> None:
        within(2, grid=self.grid)
        within(1, kept=self.kept)
        if self.kept is not None and self.kept >= self.grid**2:
            raise UsageError(f"of {self.grid}×{self.grid} parts at most {self.grid**2 - 1} are kept, not {self.kept}")

    def field(self, x: Field) -> Field:
        _, height, width = images(x, self).shape
        if min(height, width) < self.grid:
            raise UsageError(f"{height}×{width} pixels cannot be cut into {self.grid}×{self.grid} parts")
        if self.loose and (height % self.grid or width % self.grid):
            raise UsageError(f"loose parts are of one size, and {self.grid} does not divide {height}×{width} pixels")
        return super().field(x)

    def derive(self, x: np.ndarray, index: np.ndarray, of: Field) -> np.ndarray:
        held = self._with_holes(x, self._there(index)[:, self.cells(x.shape[2], x.shape[3])], of)
        return self._scattered(held, index) if self.loose else held

    def cells(self, height: int, width: int) -> np.ndarray:
        """The number of the part that each pixel belongs to, (H, W): 0 to grid² - 1, row by row."""
        rows, columns = (np.minimum(np.arange(side) * self.grid // side, self.grid - 1) for side in (height, width))
        return rows[:, None] * self.grid + columns

    def impose(self, x: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
        """Known pixels are put in; of loose parts nothing is known of where they belong."""
        return x if self.loose else super().impose(x, value, known)

    def _there(self, index: np.ndarray) -> np.ndarray:
        """Which parts are kept, (n, grid²) of truths."""
        count = self.grid**2
        drawn = uniforms(index, count + 1, "parts")
        rank = drawn[:, :count].argsort(1).argsort(1)
        kept = 1 + np.floor(drawn[:, count] * (count - 1)).astype(int) if self.kept is None else self.kept
        return rank < np.broadcast_to(kept, len(index))[:, None]

    def _scattered(self, held: np.ndarray, index: np.ndarray) -> np.ndarray:
        """The parts of each item in places of others."""
        n, channels, height, width = held.shape
        h, w, k = height // self.grid, width // self.grid, self.grid
        parts = held.reshape(n, channels, k, h, k, w).transpose(0, 2, 4, 1, 3, 5).reshape(n, k * k, channels, h, w)
        places = uniforms(index, k * k, "places of parts").argsort(1)
        moved = np.take_along_axis(parts, places[:, :, None, None, None], 1)
        return moved.reshape(n, k, k, channels, h, w).transpose(0, 3, 1, 4, 2, 5).reshape(held.shape)
