r"""The networks of the deep convolutional GAN, for images of any size from 8×8 up.

Strided convolutions instead of pooling, batch norm (but not at the generator's output nor the critic's input), ReLU and
tanh in the generator, LeakyReLU in the critic, weights from N(0, 0.02²).
Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.critics import Critic
from simulacra.networks.generators import LABEL_SCALE, BesideCode, Generator, scale_rows
from simulacra.networks.images import refuse_unless_images
from simulacra.nn import halvings, padding
from simulacra.parts import part, within

SCALE = 0.02  # of the initial weights


class ConvGenerator(nn.Module):
    """z (N, latent) -> x (N, C, H, W) in [-1, 1]: from `coarsest` doubled to the size of the image, then cropped."""

    def __init__(self, spec: DataSpec, latent: int, width: int) -> None:
        super().__init__()
        channels, *self.size = spec.shape
        doublings, self.coarsest = halvings(spec.shape)
        widest = width * 2 ** (doublings - 1)
        self.beside = BesideCode(spec.condition, latent)
        self.project = nn.Linear(self.beside.outputs, widest * self.coarsest[0] * self.coarsest[1], bias=False)
        self.enter = nn.Sequential(nn.BatchNorm2d(widest), nn.ReLU())
        self.up = nn.Sequential(
            *(_up(width * 2 ** (i + 1), width * 2**i) for i in reversed(range(doublings - 1))),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )
        self.apply(_initialise)
        scale_rows(self.beside.vectors, LABEL_SCALE)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        h = self.project(self.beside(z, condition))
        x = self.up(self.enter(h.unflatten(1, (-1, *self.coarsest))))
        return x[..., : self.size[0], : self.size[1]]


class ConvCritic(nn.Module):
    """x (N, C, H, W) -> features (N, F): zero-padded to a multiple of the coarsest size and halved down to it."""

    def __init__(self, shape: Sequence[int], width: int, batch_norm: bool) -> None:
        super().__init__()
        doublings, coarsest = halvings(tuple(shape))
        self.padding = padding(tuple(shape), doublings, coarsest)
        self.down = nn.Sequential(
            nn.Conv2d(shape[0], width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            *(_down(width * 2**i, width * 2 ** (i + 1), batch_norm) for i in range(doublings - 1)),
        )
        self.outputs = width * 2 ** (doublings - 1) * coarsest[0] * coarsest[1]
        self.apply(_initialise)

    def initialise(self, module: nn.Module) -> None:
        _initialise(module)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.pad(x, self.padding)).flatten(1)


def _up(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _down(inputs: int, outputs: int, batch_norm: bool) -> nn.Module:
    halve = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=not batch_norm)
    return nn.Sequential(halve, nn.BatchNorm2d(outputs) if batch_norm else nn.Identity(), nn.LeakyReLU(0.2))


def _initialise(module: nn.Module) -> None:
    """Convolutions and linear maps from N(0, 0.02²), batch norm gains from N(1, 0.02²): section 4 of the paper."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, SCALE)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, SCALE)


@part("generator", "dcgan")
class DCGenerator(Generator):
    """Strided transposed convolutions.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
    """

    width: int = 64

    def __post_init__(self) -> None:
        within(1, width=self.width)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "dcgan", on_grid=True)
        return ConvGenerator(spec, latent, self.width)


@part("critic", "dcgan")
class DCCritic(Critic):
    """Strided convolutions.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        batch_norm: normalise over the batch; not under a gradient penalty, which is of each item by itself.
    """

    width: int = 64
    batch_norm: bool = True

    def __post_init__(self) -> None:
        within(1, width=self.width)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_images(spec, "dcgan", on_grid=True)
        return ConvCritic(shape, self.width, self.batch_norm)
