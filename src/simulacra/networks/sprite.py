r"""A generator of clips in layers: a sprite that is drawn from the content, and a path along which it moves.

    x_t = shift(m f, p_t) + (1 - shift(m, p_t)) ⊙ b,    0 < m < 1
    h_0 = tanh(W [ε_0, E c]),   p_0 = P h_0
    h_t = GRU([ε_t, E c, p_{t-1}], h_{t-1}),   p_t = p_{t-1} + V h_t,    ε_t ~ N(0, I)

f, m and b are images of the content z: the sprite, how much of what is behind it each of its pixels covers, and the
background. `shift` moves an image by p_t, in half sides, to the right and down; between pixels it is bilinear, and
from outside nothing comes in. Since the state reads where the sprite is, it can turn round at a wall. With `changing`
a sprite is drawn for each frame, of [z, h_t].

Our own composition of layers that move (Jojic & Frey 2001, "Learning Flexible Sprites in Video Layers"), of bilinear
shifts (Jaderberg et al. 2015, "Spatial Transformer Networks"), and of content and recurrent motion (Tulyakov et al.
2018, "MoCoGAN").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.fields import Levels
from simulacra.networks.dcgan import DCGenerator
from simulacra.networks.generators import BesideCode, Generator
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.networks.options import options_in
from simulacra.networks.shared_frames import Framewise
from simulacra.nn import precise
from simulacra.parts import part, within

FIRST, STEP = 1.0, 0.3  # deviations of the weights that make a place of a state, and a step of it: half sides


class MovedSprite(Framewise):
    """z (N, content + (1 + T)·motion) -> x (N, T, C, H, W), for any T >= 1."""

    def __init__(self, spec: DataSpec, latent: int, part: SpriteGenerator) -> None:
        super().__init__(spec, latent, part.motion)
        self.changing = part.changing
        self.beside = BesideCode(spec.condition, part.motion)
        self.begin = nn.Sequential(nn.Linear(self.beside.outputs, part.hidden), nn.Tanh())
        self.path = nn.GRUCell(self.beside.outputs + 2, part.hidden)
        self.place, self.step = (nn.Linear(part.hidden, 2, bias=False) for _ in range(2))
        for each, deviation in ((self.place, FIRST), (self.step, STEP)):
            nn.init.normal_(each.weight, 0.0, deviation * part.hidden**-0.5)
        frame = frame_of(spec)
        layer = DataSpec(Levels((spec.shape[1] + 1, *spec.shape[2:]), spec.grid_levels), spec.condition)
        self.sprite = part.image.build(layer, self.content + (part.hidden if part.changing else 0))
        self.background = part.image.build(frame, self.content)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        content, noise = self.apart(z)
        with without_autocast(z.device):  # places need more digits than bfloat16 has
            states, path = self.moves(precise(noise), condition)
        sprite = self.sprites(content, states, condition)
        behind = self.background(content, condition).unsqueeze(1)
        cover = (sprite[:, :, -1:] + 1) / 2
        moved = shifted(torch.cat([cover * sprite[:, :, :-1], cover], dim=2), path.to(sprite.dtype))
        return moved[:, :, :-1] + (1 - moved[:, :, -1:]) * behind

    def moves(self, noise: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Noise (N, 1 + T, motion) -> states (N, T, hidden) and places (N, T, 2)."""
        n, steps = noise.shape[:2]
        inputs = self.beside(noise.flatten(0, 1), Condition(condition).repeat_each(steps)).unflatten(0, (n, steps))
        state = self.begin(inputs[:, 0])
        place, states, places = self.place(state), [], []
        for given in inputs[:, 1:].unbind(1):
            state = self.path(torch.cat([given, place], dim=1), state)
            place = place + self.step(state)
            states.append(state)
            places.append(place)
        return torch.stack(states, 1), torch.stack(places, 1)

    def sprites(self, content: Tensor, states: Tensor, condition: Condition) -> Tensor:
        """Of each clip one, (N, 1, C + 1, H, W), or with `changing` one for each frame; the last channel covers."""
        if not self.changing:
            return self.sprite(content, condition).unsqueeze(1)
        n, steps = states.shape[:2]
        codes = torch.cat([content.unsqueeze(1).expand(-1, steps, -1), states.to(content.dtype)], dim=2)
        return self.sprite(codes.flatten(0, 1), Condition(condition).repeat_each(steps)).unflatten(0, (n, steps))


def shifted(x: Tensor, path: Tensor) -> Tensor:
    """Images (N, T or 1, C, H, W) at places (N, T, 2) in half sides right and down: bilinear, with zeros around.

    A shift is a matrix for either axis, of which row i holds max(0, 1 - |i - j - p|): exact where p are whole pixels.
    """
    height, width = x.shape[-2:]
    across, down = (_hats(path[..., axis] * side / 2, side) for axis, side in ((0, width), (1, height)))
    return down @ x @ across.transpose(-1, -2)


def _hats(offset: Tensor, side: int) -> Tensor:
    """Offsets in pixels (N, T) -> (N, T, 1, side, side)"""
    pixel = torch.arange(side, device=offset.device, dtype=offset.dtype)
    return (1 - (pixel[:, None] - pixel - offset[..., None, None, None]).abs()).clamp(min=0)


@part("generator", "sprite")
class SpriteGenerator(Generator):
    """A sprite drawn from the content of a clip, moved along a recurrent path before a background.

    Attributes:
        motion: numbers of noise for each frame.
        hidden: numbers in the state of the motion.
        changing: whether the sprite is drawn anew for each frame.
        image: the generator of the sprite, and of the background.
    """

    options: ClassVar[Sequence[str]] = tuple(options_in(MovedSprite))
    motion: int = 10
    hidden: int = 64
    changing: bool = False
    image: Generator = DCGenerator(16)

    def __post_init__(self) -> None:
        within(1, motion=self.motion, hidden=self.hidden)

    def moving(self, spec: DataSpec) -> int:
        return (1 + spec.shape[0]) * self.motion

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_clips(spec, "sprite")
        return MovedSprite(spec, latent, self)
