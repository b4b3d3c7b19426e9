r"""A generator of clips in two streams: what moves, before a background that does not.

    x_t = m_t(z) ⊙ f_t(z) + (1 - m_t(z)) ⊙ b(z),    0 < m < 1

f and m are two ends of one stack of transposed convolutions over space and time, which doubles both, and b is the image
of an image generator, the same in all frames. The camera stands still, and so may most of a clip without being learnt
for each frame anew.
Vondrick et al. 2016, "Generating Videos with Scene Dynamics", 3.2; their penalty on the size of m, which begins at
σ(-2) here, is left out.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.networks.dcgan import DCGenerator
from simulacra.networks.generators import LABEL_SCALE, BesideCode, Generator, scale_rows
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.nn import halvings
from simulacra.parts import part, within

BEHIND = -2.0  # logit of the mask in the beginning: most of a clip is background


class Streams(NamedTuple):
    """What a clip is mixed of.

    moving:     (N, T, C, H, W) in [-1, 1].
    mask:       (N, T, 1, H, W), the share of it.
    background: (N, 1, C, H, W).
    """

    moving: Tensor
    mask: Tensor
    background: Tensor


class TwoStreams(nn.Module):
    """z (N, latent) -> x (N, T, C, H, W)"""

    def __init__(self, spec: DataSpec, latent: int, part: TwoStreamGenerator) -> None:
        super().__init__()
        steps, channels, *sides = spec.shape
        count, coarsest = halvings(spec.shape[1:])
        self.size = (steps, *sides)
        self.coarsest = (-(-steps // 2**count), *coarsest)
        own = [part.width << i for i in reversed(range(count))]
        self.beside = BesideCode(spec.condition, latent)
        self.enter = nn.Linear(self.beside.outputs, own[0] * self.coarsest[0] * coarsest[0] * coarsest[1])
        layers: list[nn.Module] = [nn.BatchNorm3d(own[0]), nn.ReLU()]
        for before, after in itertools.pairwise(own):
            layers += [nn.ConvTranspose3d(before, after, 4, 2, 1, bias=False), nn.BatchNorm3d(after), nn.ReLU()]
        self.stack = nn.Sequential(*layers)
        self.last = nn.ConvTranspose3d(own[-1], channels + 1, 4, 2, 1)
        assert self.last.bias is not None
        with torch.no_grad():
            self.last.bias[-1] = BEHIND
        self.image = part.image.build(frame_of(spec), latent)
        scale_rows(self.beside.vectors, LABEL_SCALE)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        own = self.streams(z, condition)
        return torch.lerp(own.background.expand_as(own.moving), own.moving, own.mask.expand_as(own.moving))

    def streams(self, z: Tensor, condition: Condition) -> Streams:
        """Both streams of a clip, and the mask between them."""
        h = self.enter(self.beside(z, condition)).unflatten(1, (-1, *self.coarsest))
        h = self.last(self.stack(h)).transpose(1, 2)
        h = h[:, : self.size[0], :, : self.size[1], : self.size[2]]
        background = self.image(z, condition).unsqueeze(1).to(h.dtype)
        return Streams(torch.tanh(h[:, :, :-1]), torch.sigmoid(h[:, :, -1:]), background)


@part("generator", "vgan")
class TwoStreamGenerator(Generator):
    """What moves, by convolutions over space and time, before a background that does not.

    Attributes:
        width: channels next to the clip; they double with every halving of its sides.
        image: the generator of the background.
    """

    width: int = 16
    image: Generator = DCGenerator(16)

    def __post_init__(self) -> None:
        within(1, width=self.width)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_clips(spec, "vgan")
        return TwoStreams(spec, latent, self)
