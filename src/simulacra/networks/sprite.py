r"""A generator of clips in layers: a sprite that is drawn from the content, and a path along which it moves.

    x_t = shift(m f, p_t) + (1 - shift(m, p_t)) ⊙ b,    0 < m < 1
    h_0 = tanh(W [ε_0, E c]),   p_0 = P h_0,   v_0 = V h_0
    h_t = GRU([ε_t, E c, p_{t-1}, v_{t-1}], h_{t-1}),    ε_t ~ N(0, I)
    v_t = tanh(A h_t + a) ⊙ v_{t-1} + B h_t,   p_t = p_{t-1} + v_t

f and m are images of the content z: the sprite, and how much of what is behind it each of its pixels covers. The
background b is that of one code for all clips or, with `behind=drawn`, of z too, and may take what should move. `shift`
moves an image by p_t, in half sides, to the right and down; between pixels it is bilinear, and from outside nothing
comes in. In the beginning a sprite keeps most of its velocity, and the state, which reads where it is and how it moves,
learns when it turns round. With `changing` a sprite is drawn for each frame, of [z, h_t].

Our own composition of layers that move (Jojic & Frey 2001, "Learning Flexible Sprites in Video Layers"), of bilinear
shifts (Jaderberg et al. 2015, "Spatial Transformer Networks"), and of content and recurrent motion (Tulyakov et al.
2018, "MoCoGAN").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.fields import Levels
from simulacra.networks.dcgan import DCGenerator
from simulacra.networks.generators import BesideCode, Generator
from simulacra.networks.images import SMALLEST, frame_of, refuse_unless_clips
from simulacra.networks.options import options_in
from simulacra.networks.shared_frames import Framewise
from simulacra.nn import precise
from simulacra.parts import above, part, within

FIRST, FASTEST, PUSHED, SHAKEN = 1.0, 0.2, 0.02, 0.1  # of p_0, v_0 and B h_t in half sides, and of the noise of a frame
STEEP, BEHIND = 6.0, -2.0  # of the logit of m: in the beginning most of a clip is background
KEPT = 2.0  # a: a sprite begins with tanh 2 = .96 of its velocity kept


class MovedSprite(Framewise):
    """z (N, content + (1 + T)·motion) -> x (N, T, C, H, W), for any T >= 1."""

    constant: Tensor | None  # the code of a background for all clips

    def __init__(self, spec: DataSpec, latent: int, part: SpriteGenerator) -> None:
        super().__init__(spec, latent, part.motion)
        self.changing = part.changing
        self.beside = BesideCode(spec.condition, part.motion)
        self.begin = nn.Sequential(nn.Linear(self.beside.outputs, part.hidden), nn.Tanh())
        self.path = nn.GRUCell(self.beside.outputs + 4, part.hidden)
        self.place, self.velocity, self.push, self.keep = (nn.Linear(part.hidden, 2) for _ in range(4))
        self._begin()
        frame = frame_of(spec)
        sides = tuple(max(min(SMALLEST, side), round(part.share * side)) for side in frame.shape[1:])
        layer = DataSpec(Levels((spec.shape[1] + 1, *sides), spec.grid_levels), spec.condition)
        self.around = around(sides, frame.shape[1:])
        self.sprite = part.image.build(layer, self.content + (part.hidden if part.changing else 0))
        self.background = part.image.build(frame, self.content)
        self.register_buffer("constant", torch.randn(1, self.content) if part.behind == "one" else None)

    @torch.no_grad()
    def _begin(self) -> None:
        """Paths that begin anywhere within a frame and are nearly straight, with little noise."""
        near = ((self.place, FIRST), (self.velocity, FASTEST), (self.push, PUSHED), (self.keep, PUSHED))
        for each, deviation in near:
            nn.init.normal_(each.weight, 0.0, deviation * self.path.hidden_size**-0.5)
            nn.init.constant_(each.bias, KEPT if each is self.keep else 0.0)
        self.path.weight_ih[:, : self.motion] *= SHAKEN

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        content, noise = self.apart(z)
        with without_autocast(z.device):  # places need more digits than bfloat16 has
            states, path = self.moves(precise(noise), condition)
        sprite = self.sprites(content, states, condition)
        behind = self.background(content if self.constant is None else self.constant.expand_as(content), condition)
        cover = torch.sigmoid(STEEP * sprite[:, :, -1:] + BEHIND)
        layer = F.pad(torch.cat([cover * sprite[:, :, :-1], cover], dim=2), self.around)
        moved = shifted(layer, path.to(sprite.dtype))
        return moved[:, :, :-1] + (1 - moved[:, :, -1:]) * behind.unsqueeze(1)

    def moves(self, noise: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        """Noise (N, 1 + T, motion) -> states (N, T, hidden) and places (N, T, 2)."""
        n, steps = noise.shape[:2]
        inputs = self.beside(noise.flatten(0, 1), Condition(condition).repeat_each(steps)).unflatten(0, (n, steps))
        state = self.begin(inputs[:, 0])
        place, velocity, states, places = self.place(state), self.velocity(state), [], []
        for given in inputs[:, 1:].unbind(1):
            state = self.path(torch.cat([given, place, velocity], dim=1), state)
            velocity = torch.tanh(self.keep(state)) * velocity + self.push(state)
            place = place + velocity
            states.append(state)
            places.append(place)
        return torch.stack(states, 1), torch.stack(places, 1)

    def sprites(self, content: Tensor, states: Tensor, condition: Condition) -> Tensor:
        """Of each clip one, (N, 1, C + 1, H, W), or with `changing` one for each frame; the last channel is m's."""
        if not self.changing:
            return self.sprite(content, condition).unsqueeze(1)
        n, steps = states.shape[:2]
        codes = torch.cat([content.unsqueeze(1).expand(-1, steps, -1), states.to(content.dtype)], dim=2)
        return self.sprite(codes.flatten(0, 1), Condition(condition).repeat_each(steps)).unflatten(0, (n, steps))


def around(sides: Sequence[int], whole: Sequence[int]) -> tuple[int, int, int, int]:
    """Zeros left, right, above and below that put a smaller picture (H, W) in the middle of a larger one."""
    (above, below), (left, right) = (
        ((large - small) // 2, (large - small + 1) // 2) for small, large in zip(sides, whole, strict=True)
    )
    return left, right, above, below


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
        share: of the sides of a frame, that the picture of a sprite has; a larger one may be a curtain with holes.
        behind: the background: one for all clips of a condition, or drawn from the content of each.
        image: the generator of the sprite, and of the background.
    """

    options: ClassVar[Sequence[str]] = tuple(options_in(MovedSprite))
    motion: int = 10
    hidden: int = 64
    changing: bool = False
    share: float = 0.5
    behind: Literal["one", "drawn"] = "one"
    image: Generator = DCGenerator(16)

    def __post_init__(self) -> None:
        within(1, motion=self.motion, hidden=self.hidden)
        above(0, 1, share=self.share)

    def moving(self, spec: DataSpec) -> int:
        return (1 + spec.shape[0]) * self.motion

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_clips(spec, "sprite")
        return MovedSprite(spec, latent, self)
