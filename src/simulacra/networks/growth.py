r"""Networks that grow from small images to large ones, and the sizes on the way.

With K doublings from the coarsest size to the image's, and the share s of training that is done, the *reach* r of a
network goes from 0 to K: in 2K equal periods up to s = `grown` it rests at a size and passes to the next in turns,

    r = k + max(0, 2K s / grown - 2k - 1),    k = ⌊K s / grown⌋,

and is K from then on. A network whose reach is k + α, 0 < α < 1, has a part 1 - α of size k and a part α of size k + 1,
so that it changes continuously. Items are of full size at any time: what a network of reach r makes is repeated to
full size, and what it sees is averaged to its own.
Karras et al. 2018, "Progressive Growing of GANs", section 2 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.errors import UsageError
from simulacra.networks.generators import Growing
from simulacra.networks.images import SMALLEST

UNIT = 1 << 20  # of the buffer of the reach


def sizes_of(shape: Sequence[int]) -> list[tuple[int, int]]:
    """From the coarsest (h, w), whose shorter side is 4 to 7, by doubling to the first that holds an image (C, H, W).

    Sides are halved as long as the shorter one has 8 pixels, rounding up: 8×8 of 4×4, 28×28 of 7×7, 30×40 (in 32×40)
    of 4×5.
    """
    height, width = shape[1:]
    count = 0
    while min(height, width) >= SMALLEST:
        height, width, count = -(-height // 2), -(-width // 2), count + 1
    return [(height << level, width << level) for level in range(count + 1)]


def widths(count: int, width: int, widest: int) -> list[int]:
    """Channels at each of `count` sizes, the coarsest first: `width` next to the image, doubled up to `widest`."""
    return [min(max(width, widest), width << level) for level in reversed(range(count))]


def reach(share: float, doublings: int, grown: float) -> float:
    """r once a share of training is done."""
    if share >= grown:
        return float(doublings)
    periods = 2 * doublings * share / grown
    resting = math.floor(periods / 2)
    return resting + max(0.0, periods - 2 * resting - 1)


class Grown(nn.Module):
    """Abstract: a network for images of a shape, fully grown until `grow` is called.

    sizes: from the coarsest to the canvas, which holds the image.
    """

    growth: Tensor

    def __init__(self, shape: Sequence[int], grown: float) -> None:
        super().__init__()
        self.size, self.sizes, self.grown = tuple(shape[1:]), sizes_of(shape), grown
        self.finest = len(self.sizes) - 1
        # An integer: the averaged weights belong to the network of now, not to an average of its forms.
        self.register_buffer("growth", torch.tensor(self.finest * UNIT))
        self._grown_to: int | None = None

    def grow(self, share: float) -> None:
        """Take the form of this share of training; as a buffer it is saved, resumed and copied with the weights."""
        self._grown_to = round(UNIT * reach(share, self.finest, self.grown))
        self.growth.fill_(self._grown_to)

    @property
    def level(self) -> tuple[int, float]:
        """The larger of the two sizes that the network works at, by number, and its part α in (0, 1]."""
        known = self._grown_to if self.training else None  # no look at the device within a step
        at = int(self.growth) if known is None else known
        level = -(-at // UNIT)
        return level, 1 - (level * UNIT - at) / UNIT

    def coarse(self, x: Tensor) -> Tensor:
        """Items (N, C, H, W) as a network of this form could make them: both sizes of a fade in their parts."""
        level, alpha = self.level
        if level == self.finest and alpha == 1:
            return x
        canvas = self.on_canvas(x)
        fine = self.of_full_size(self.reduced(canvas, level), level)
        if alpha == 1:
            return fine
        return faded(self.of_full_size(self.reduced(canvas, level - 1), level - 1), fine, alpha)

    def on_canvas(self, x: Tensor) -> Tensor:
        """An image (N, C, H, W) with its last row and column repeated up to a size that can be halved to the end."""
        (height, width), (own_height, own_width) = self.sizes[-1], self.size
        if (height, width) == self.size:
            return x
        return F.pad(x, (0, width - own_width, 0, height - own_height), mode="replicate")

    def reduced(self, canvas: Tensor, level: int) -> Tensor:
        """Means of squares of pixels: a canvas at the size number `level`."""
        factor = 2 ** (self.finest - level)
        return canvas if factor == 1 else F.avg_pool2d(canvas, factor)

    def of_full_size(self, x: Tensor, level: int) -> Tensor:
        """An image of the size number `level`, its pixels repeated up to the canvas, which is cropped."""
        factor = 2 ** (self.finest - level)
        large = x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="nearest")
        return large[..., : self.size[0], : self.size[1]]


class InStep:
    """What grows of a generator and its critic, neither ahead of the other. Raises UsageError where their shares of
    training differ."""

    def __init__(self, generator: nn.Module, critic: nn.Module) -> None:
        self.makers = [module for module in generator.modules() if isinstance(module, Growing)]
        self.every = [*self.makers, *(module for module in critic.modules() if isinstance(module, Growing))]
        if len({network.grown for network in self.every}) > 1:
            shares = " and ".join(str(network.grown) for network in self.every)
            raise UsageError(f"generator and critic grow together: give both the same share `grown`, not {shares}")

    def grow(self, share: float) -> None:
        """Take the form that both have once this share of training is done."""
        for network in self.every:
            network.grow(share)

    def coarse(self, x: Tensor) -> Tensor:
        """Items (N, *shape) with no finer detail than the generator makes now."""
        for network in self.makers:
            x = network.coarse(x)
        return x


def faded(coarse: Tensor, fine: Tensor, alpha: float) -> Tensor:
    """(1 - α) coarse + α fine; under autocast a resized image has another precision than one that was not."""
    return torch.lerp(coarse.to(fine.dtype), fine, alpha)
