r"""Generators of clips whose frames are made one by one, by one image generator, of codes that move.

    x_t = G([z, m_t], c)       z the content, the same in all frames, m_1 .. m_T a path that says where and how

    mocogan   m_t = GRU([ε_t, E c], m_{t-1}),   m_0 = tanh(W [ε_0, E c]),   ε_t ~ N(0, I): any number of frames
    tgan      m = transposed convolutions along time of z, which double it: as many frames as in training

The code of a clip is z with ε_0 .. ε_T after it, or z alone: where a clip begins is as varied as where it goes on. G is
one image generator, and nothing but m_t distinguishes a frame from another.
Tulyakov et al. 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation", 3; Saito et al. 2017, "Temporal
Generative Adversarial Nets with Singular Value Clipping", 3. The state of the recurrent network is wider than its noise
here, and is itself the code of the motion; in MoCoGAN both have 10 numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.dcgan import DCGenerator
from simulacra.networks.generators import BesideCode, Generator
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.networks.options import options_in
from simulacra.parts import part, within


@runtime_checkable
class Moving(Protocol):
    """A part whose generator reads noise for each frame, after the content of a clip."""

    def moving(self, spec: DataSpec) -> int:
        """Numbers of a code that belong to the motion of a clip."""
        ...


class RecurrentFrames(nn.Module):
    """z (N, content + (1 + T)·motion) -> x (N, T, C, H, W), for any T >= 1."""

    def __init__(self, spec: DataSpec, latent: int, part: MoCoGenerator) -> None:
        super().__init__()
        self.content, self.motion = latent - part.moving(spec), part.motion
        if self.content < 1:
            raise UsageError(
                f"mocogan networks read {part.motion} numbers for each of {spec.shape[0]} frames and as many before "
                f"them: a code that has content too needs latent > {part.moving(spec)}, not {latent}"
            )
        self.beside = BesideCode(spec.condition, part.motion)
        self.begin = nn.Sequential(nn.Linear(self.beside.outputs, part.hidden), nn.Tanh())
        self.path = nn.GRU(self.beside.outputs, part.hidden, batch_first=True)
        nn.init.normal_(cast(Tensor, self.path.weight_ih_l0), 0.0, part.motion**-0.5)  # noise moves it at once
        self.image = part.image.build(frame_of(spec), self.content + part.hidden)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        content, noise = z[:, : self.content], z[:, self.content :].unflatten(1, (-1, self.motion))
        n, steps = len(z), noise.shape[1] - 1
        inputs = self.beside(noise.flatten(0, 1), Condition(condition).repeat_each(1 + steps)).unflatten(0, (n, -1))
        motion, _ = self.path(inputs[:, 1:], self.begin(inputs[:, 0]).unsqueeze(0))
        of_frames = Condition(condition).repeat_each(steps)
        codes = torch.cat([content.unsqueeze(1).expand(-1, steps, -1), motion.to(z.dtype)], dim=2)
        return self.image(codes.flatten(0, 1), of_frames).unflatten(0, (n, steps))

    def under_options(self, condition: Condition, frames: int | None = None) -> Condition:
        """The condition as it is: how many frames are drawn changes the code alone."""
        within(1, frames=frames)
        return condition

    def numbers(self, frames: int) -> int:
        return self.content + (1 + frames) * self.motion


class ConvolvedFrames(nn.Module):
    """z (N, latent) -> x (N, T, C, H, W)"""

    def __init__(self, spec: DataSpec, latent: int, part: TGenerator) -> None:
        super().__init__()
        self.steps, doublings = spec.shape[0], max(0, (spec.shape[0] - 1).bit_length())
        self.beside = BesideCode(spec.condition, latent)
        layers: list[nn.Module] = [nn.Conv1d(self.beside.outputs, part.hidden, 1)]
        for _ in range(doublings):
            double = nn.ConvTranspose1d(part.hidden, part.hidden, 4, stride=2, padding=1, bias=False)
            layers += [nn.BatchNorm1d(part.hidden), nn.ReLU(), double]
        self.path = nn.Sequential(*layers, nn.Tanh())
        self.image = part.image.build(frame_of(spec), latent + part.hidden)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        motion = self.path(self.beside(z, condition).unsqueeze(2))[..., : self.steps].transpose(1, 2)
        codes = torch.cat([z.unsqueeze(1).expand(-1, self.steps, -1), motion], dim=2)
        of_frames = Condition(condition).repeat_each(self.steps)
        return self.image(codes.flatten(0, 1), of_frames).unflatten(0, (len(z), self.steps))


@part("generator", "mocogan")
class MoCoGenerator(Generator):
    """A content code for each clip, a recurrent motion code for each frame, and an image generator for all frames.

    Attributes:
        motion: numbers of noise for each frame.
        hidden: numbers in the code of the motion, the state of the recurrent network.
        image: the generator of a frame.
    """

    options: ClassVar[Sequence[str]] = tuple(options_in(RecurrentFrames))
    motion: int = 10
    hidden: int = 64
    image: Generator = DCGenerator(16)

    def __post_init__(self) -> None:
        within(1, motion=self.motion, hidden=self.hidden)

    def moving(self, spec: DataSpec) -> int:
        return (1 + spec.shape[0]) * self.motion

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_clips(spec, "mocogan")
        return RecurrentFrames(spec, latent, self)


@part("generator", "tgan")
class TGenerator(Generator):
    """A code for each frame by transposed convolutions along time, and an image generator for all frames.

    Attributes:
        hidden: numbers in the code of a frame.
        image: the generator of a frame.
    """

    hidden: int = 64
    image: Generator = DCGenerator(16)

    def __post_init__(self) -> None:
        within(1, hidden=self.hidden)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_clips(spec, "tgan")
        return ConvolvedFrames(spec, latent, self)
