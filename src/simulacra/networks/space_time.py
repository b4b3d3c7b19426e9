r"""Critics of clips: convolutions over space and time, and two critics, one of frames and one of clips.

    space-time   3-D convolutions in two steps, 4×4 over a frame, which halve it, and then along time, halved as well
    clips        D(x) = D_S of k frames that are drawn anew each time, at full size, and D_T of the clip

D_S judges content, each frame by itself, and D_T what moves, on frames that may be coarser. The two are like two
patches of a clip: the game scores each by itself, and each has weights of its own in the head, since their features
stand side by side with zeros in the other's place. The score of D_S is the mean over its frames.
Tulyakov et al. 2018, "MoCoGAN", 3.2 (one frame, and the clip); Clark et al. 2019, "Adversarial Video Generation on
Complex Datasets", 3 (eight frames, and the clip at half the size). Convolutions in two steps: Tran et al. 2018, "A
Closer Look at Spatiotemporal Convolutions for Action Recognition".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra import whole
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks.blocks import HALF, Beginning
from simulacra.networks.critics import Critic, Initialising
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.networks.residual import ResidualCritic
from simulacra.nn import halvings, padding
from simulacra.parts import part, within

SLOPE = 0.2  # of the leaky ReLU


class SpaceTime(nn.Module):
    """x (N, T, C, H, W) -> features (N, outputs): all that is left after the last halving, place by place."""

    def __init__(self, shape: Sequence[int], part: SpaceTimeCritic) -> None:
        super().__init__()
        steps, channels, *sides = shape
        self.coarse, self.begin = part.coarse, Beginning("orthogonal", part.spectral)
        size = (channels, *(-(-side // part.coarse) for side in sides))
        count, coarsest = halvings(size)
        self.whole = padding(tuple(shape[1:]), 0, (size[1] * part.coarse, size[2] * part.coarse))
        self.padding = padding(size, count, coarsest)
        own = [channels, *(part.width << i for i in range(max(1, count)))]
        self.frames, self.along, self.steps = nn.ModuleList(), nn.ModuleList(), [steps]
        for number, (before, after) in enumerate(itertools.pairwise(own)):
            halve = number < count  # of frames that are coarse already none is
            self.frames.append(self._begun(nn.Conv2d(before, after, 4 if halve else 3, 2 if halve else 1, 1)))
            kernel, stride = (4, 2) if steps > 2 else (3, 1)
            steps = -(-steps // stride)
            self.steps.append(steps)
            self.along.append(self._begun(nn.Conv2d(after, after, (kernel, 1), (stride, 1), (kernel // 2, 0))))
        self.outputs = own[-1] * steps * coarsest[0] * coarsest[1]

    def _begun(self, conv: nn.Conv2d) -> nn.Conv2d:
        return self.begin(conv, gain=HALF)

    def initialise(self, module: nn.Module) -> None:
        self.begin(module)

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(x.flatten(0, 1), self.whole)
        h = F.pad(F.avg_pool2d(h, self.coarse), self.padding)
        for frame, along, (before, after) in zip(self.frames, self.along, itertools.pairwise(self.steps), strict=True):
            h = F.leaky_relu(frame(h), SLOPE)
            size = h.shape[2:]
            h = along(h.unflatten(0, (len(x), before)).transpose(1, 2).flatten(3))[:, :, :after]
            h = F.leaky_relu(h, SLOPE).unflatten(3, size).transpose(1, 2).flatten(0, 1)
        return h.unflatten(0, (len(x), self.steps[-1])).flatten(1)


class FramesAndClips(nn.Module):
    """x (N, T, C, H, W) -> features (N, 2, outputs), those of frames and of the clip."""

    def __init__(self, spec: DataSpec, shape: Sequence[int], part: ClipsCritic) -> None:
        super().__init__()
        self.seen = min(part.seen, shape[0])
        self.frames = part.frames.build(frame_of(spec), shape[1:])
        self.clips = part.clips.build(spec, shape)
        self.of_frames, self.of_clips = int(self.frames.outputs), int(self.clips.outputs)  # pyright: ignore[reportArgumentType]
        self.outputs = self.of_frames + self.of_clips

    def initialise(self, module: nn.Module) -> None:
        if isinstance(self.clips, Initialising):
            self.clips.initialise(module)

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        frames = self.frames(self.some_of(x).flatten(0, 1))
        frames = frames.unflatten(0, (n, self.seen)).flatten(1, -2).mean(1)
        clips = self.clips(x)
        clips = clips if clips.dim() == 2 else clips.mean(1)
        return torch.stack([F.pad(frames, (0, self.of_clips)), F.pad(clips, (self.of_frames, 0))], dim=1)

    def some_of(self, x: Tensor) -> Tensor:
        """Frames (N, k, C, H, W) of clips: of each its own ones in a loss, else evenly spaced ones."""
        if not (self.training and torch.is_grad_enabled()):
            places = (torch.arange(self.seen, device=x.device) * 2 + 1) * x.shape[1] // (2 * self.seen)
            return x[:, places]
        places = whole.uniform(x.shape[:2], x).argsort(1)[:, : self.seen]
        return x[torch.arange(len(x), device=x.device)[:, None], places]


@part("critic", "space-time")
class SpaceTimeCritic(Critic):
    """Convolutions over frames and along time in turns.

    Attributes:
        width: channels after the first halving; they double with every further one.
        coarse: pixels to a side of the squares by whose means it sees the frames.
        spectral: whether every weight is normalised by its largest singular value.
    """

    width: int = 32
    coarse: int = 1
    spectral: bool = True

    def __post_init__(self) -> None:
        within(1, width=self.width, coarse=self.coarse)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_clips(spec, "space-time")
        _refuse_more_frames(spec, shape)
        return SpaceTime(shape, self)


@part("critic", "clips")
class ClipsCritic(Critic):
    """Two critics: one of some frames, and one of the clip.

    Attributes:
        frames: the critic of a frame.
        clips: the critic of the clip.
        seen: frames of a clip that the first looks at, drawn anew each time.
    """

    frames: Critic = ResidualCritic(16, 64)
    clips: Critic = SpaceTimeCritic(16)
    seen: int = 2

    def __post_init__(self) -> None:
        within(1, seen=self.seen)

    def build(self, spec: DataSpec, shape: Sequence[int]) -> nn.Module:
        refuse_unless_clips(spec, "clips")
        _refuse_more_frames(spec, shape)
        return FramesAndClips(spec, shape, self)


def _refuse_more_frames(spec: DataSpec, shape: Sequence[int]) -> None:
    if tuple(shape) != spec.shape:
        raise UsageError("a critic of clips sees the condition by --conditioning projection, not by concatenation")
