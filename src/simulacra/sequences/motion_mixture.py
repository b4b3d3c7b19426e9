r"""An exact density of clips: each frame is the one before, moved by one of some motions, and then changed a little,

    p(x) = p(x_0) Π_t Σ_d π_d(h_t) Π_i p(x_ti | x_t-1, moved by d),    h_t = GRU(h_t-1, [r_t-1, place(x_t-1)]).

d goes over all displacements by whole pixels, up to `reach` along either axis; what comes in over a side repeats the
pixels there, or is dark. A moved pixel is kept with probability w, and otherwise drawn from a discretised logistic
about it; w, the shift of its mean and its scale are those of the pixel in the frame before, and move with it. r_t says
how well each displacement explains frame t: r_t(d) is in proportion to exp -|x_t - (x_t-1 moved by d)|, on the grid
from -1 to 1. It is what the network is told of the motion so far, beside where things are. The first frame is a chain
over its pixels, or over those of what there is, beside where it is.

That frames are displaced frames, with motions that follow each other as a chain, is the transformed hidden Markov model
of Jojic, Petrovic, Frey & Huang 2000, "Transformed hidden Markov models: Estimating mixture models of images and
inferring spatial transformations in video sequences"; that a network weighs displacements of pixels, from Finn,
Goodfellow & Levine 2016, "Unsupervised Learning for Physical Interaction through Video Prediction".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from simulacra.autoregressive.pixels import PixelPart
from simulacra.autoregressive.pixelsnail import PixelSNAIL
from simulacra.autoregressive.placed import Placed
from simulacra.autoregressive.raster import Raster
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiscretisedLogisticMixture
from simulacra.distributions.base import bin_edges, uniform
from simulacra.distributions.discretised import MAX_LOG_SCALE, MIN_LOG_SCALE, log_logistic_mass
from simulacra.errors import UsageError
from simulacra.model import Model
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.nn import AddCondition, Embed
from simulacra.parts import share
from simulacra.registry import register
from simulacra.turns import Phase, Turn

TINY = 1e-30  # of a probability, whose logarithm is taken
KEPT, SPREAD = 2.0, -2.0  # in the beginning: logit of w, and log of the scale on the grid from -1 to 1


@register(
    "motion-mixture",
    paper="Jojic et al. 2000, Transformed hidden Markov models; Finn et al. 2016, Unsupervised Learning for Physical "
    "Interaction through Video Prediction",
    defaults={"learning_rate": 4e-3, "batch": 16, "steps": 3000, "schedule": "cosine", "clip": 1.0, "every": 1000},
)
class MotionMixture(Model):
    r"""log p(x|c) = log p(x_0|c) + Σ_t log Σ_d π_d(x_<t, c) p(x_t | x_t-1 moved by d), exact, for clips on a grid.

    Args:
        spec: what x is: clips (T, C, H, W) on a grid of levels, with any condition.
        network: of the chain over the pixels of the first frame: pixelsnail, gated-pixelcnn, ... Attention sees how
            many things there are already, wherever they lie.
        reach: pixels that a frame moves along either axis, at most; (2 reach + 1)² motions.
        hidden: units of the recurrent state.
        width: channels of what is known of each pixel.
        padding: what comes in over a side: its pixels again (replicate), or the lowest level (zeros).
        first: the first frame: a chain over all of it (raster), or, of what lies on a ground of the lowest level, what
            there is and where (placed).
        dropout: share of what is said of where things are that is dropped in training.
    """

    def __init__(
        self,
        spec: DataSpec,
        network: PixelPart = PixelSNAIL(width=16, blocks=1, layers=4, dropout=0.0),  # noqa: B008 (parts are immutable)
        reach: int = 3,
        hidden: int = 256,
        width: int = 16,
        padding: Literal["replicate", "zeros"] = "replicate",
        first: Literal["raster", "placed"] = "raster",
        dropout: float = 0.3,
    ) -> None:
        super().__init__(spec)
        refuse_unless_clips(spec, "motion-mixture", smallest=1)
        if min(hidden, width) < 1 or reach < 0:
            raise UsageError("motion-mixture needs hidden and width >= 1, and reach >= 0")
        share(dropout=dropout)
        channels = spec.shape[1]
        self.reach, self.motions, self.padding = reach, (2 * reach + 1) ** 2, padding
        self.first = Raster(frame_of(spec), network) if first == "raster" else Placed(frame_of(spec), network)
        self.embed = Embed(spec.condition)
        self.where = _Profiles(spec.shape[1:], hidden, dropout)
        self.recurrent = nn.GRU(self.motions + hidden, hidden, batch_first=True)
        self.condition = AddCondition(spec.condition, hidden)
        self.weigh = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, self.motions))
        last = nn.Conv2d(width, 3 * channels, 3, padding=1)
        self.pixels = nn.Sequential(nn.Conv2d(2 * channels, width, 3, padding=1), nn.ReLU(), last)
        with torch.no_grad():
            cast(Tensor, last.bias).copy_(torch.tensor([KEPT, 0.0, SPREAD]).repeat_interleave(channels))

    def phases(self) -> Sequence[Phase]:
        return [Phase(self, self.loss)]

    def loss(self, turn: Turn) -> dict[str, Tensor]:
        """A bound of -log p, with r in the place of the posterior of a motion: one motion of each frame is drawn from
        it, so that the pixels are looked at once."""
        x, given = turn.x, self.conditioned(turn.condition, len(turn.x))
        first = self.first.log_prob(x[:, 0], given)
        with torch.autocast(x.device.type, enabled=False):
            matched = self.matched(x)
            weights = self.weights_of(x, matched, given)
            moved = self.moving(x[:, :-1]).by(_drawn(matched).flatten())
            frames = Edges.of(x[:, 1:].flatten(0, 1), weights, self.spec.grid_levels)
            pixels = moved.log_each(frames).view(len(x), -1).sum(1)
            motions = (matched * (weights - matched.clamp(min=TINY).log())).sum((1, 2))
            return {"nats": -(first + motions + pixels).mean()}

    def log_prob(self, x: Tensor, condition: ConditionLike | None = None) -> Tensor:
        """log p(x | condition), exact, (N,) nats; x (N, T, C, H, W) on the grid."""
        given = self.conditioned(condition, len(x))
        first = self.first.log_prob(x[:, 0], given)
        with torch.autocast(x.device.type, enabled=False):  # states that add up, and densities, need 24 bits
            weights = self.weights_of(x, self.matched(x), given)
            return first + (weights + self.under_each(x)).logsumexp(2).sum(1)

    @torch.no_grad()
    def matched(self, x: Tensor) -> Tensor:
        """r_t of every frame but the first of clips (N, T, ...), (N, T - 1, motions)."""
        u = self.spec.centred(x).to(self.weigh[-1].weight)
        padded = self.padded(u[:, :-1].flatten(0, 1), -1.0).unflatten(0, (len(x), -1))
        gaps = [(u[:, 1:] - seen).abs().flatten(2).sum(2) for seen in windows(padded, self.reach)]
        return torch.stack(gaps, dim=2).neg().softmax(2)

    def padded(self, pictures: Tensor, lowest: float | None) -> Tensor:
        """Pictures (M, ..., H, W) with `reach` more pixels on each side."""
        sides = (self.reach,) * 4
        if lowest is None or self.padding == "replicate":
            return F.pad(pictures, sides, mode="replicate") if self.reach else pictures
        return F.pad(pictures, sides, value=lowest)

    def under_each(self, x: Tensor) -> Tensor:
        """log p(x_t | x_t-1 moved by d) of clips (N, T, ...) for t from 1 on and each motion, (N, T - 1, motions)."""
        moving = self.moving(x[:, :-1])
        frames = Edges.of(x[:, 1:].flatten(0, 1), moving.padded, self.spec.grid_levels)
        each = [moved.log_each(frames).flatten(1).sum(1) for moved in moving.by_each()]
        return torch.stack(each, dim=1).view(len(x), -1, self.motions)

    def weights_of(self, x: Tensor, matched: Tensor, given: Condition) -> Tensor:
        """log π_d of every frame but the first, (N, T - 1, motions)."""
        h, _ = self.walked(x[:, :-1], F.pad(matched[:, :-1], (0, 0, 1, 0)))
        return self.weights(h, self.embed(given))

    def moving(self, x: Tensor) -> Moving:
        """What may move of every frame of clips (N, T, ...), from it and the one before it; the frames in a row."""
        u = self.spec.centred(x).to(self.weigh[-1].weight)
        before = torch.cat((u[:, :1], u[:, :-1]), dim=1)
        kept, shift, log_scale = self.pixels(torch.cat((u, before), dim=2).flatten(0, 1)).chunk(3, dim=1)
        levels, mean = self.padded(x.to(u).flatten(0, 1), 0.0), self.padded(u.flatten(0, 1) + shift, -1.0)
        how = self.padded(torch.cat((kept, log_scale), dim=1), None)
        return Moving(torch.cat((levels, mean, how), dim=1), self.reach, self.spec.grid_levels)

    def walked(self, x: Tensor, told: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The states (N, T, hidden) from which the frame after each of (N, T, ...) is drawn, and the last one, with
        which the walk goes on; told (N, T, motions): r_t of the motion to every frame, zeros for the very first."""
        seen = self.where(self.spec.centred(x).to(told).flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.recurrent(torch.cat((told, seen), dim=2), state)

    def weights(self, h: Tensor, embedded: Condition) -> Tensor:
        """log π_d of states (N, T, hidden), (N, T, motions)."""
        h = self.condition(h.transpose(1, 2), embedded).transpose(1, 2)
        return self.weigh(h).log_softmax(2)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        condition: ConditionLike | None = None,
        temperature: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """(n, T, C, H, W) draws; every choice is sharpened to p^(1/temperature): of a motion, of keeping a pixel, of
        what it changes to."""
        given = self.conditioned(condition, n)
        first = self.first.sample(n, given, temperature, generator)[:, None]
        return torch.cat((first, self._gone_on(first, self.spec.shape[0] - 1, given, temperature, generator)), dim=1)

    @torch.no_grad()
    def forecast(
        self, past: Tensor, steps: int, condition: ConditionLike | None = None, generator: Generator | None = None
    ) -> Tensor:
        """One future (N, steps, C, H, W) of each past (N, P, C, H, W): draws of p(what follows | the past)."""
        return self._gone_on(past, steps, self.conditioned(condition, len(past)), 1.0, generator)

    def _gone_on(
        self, past: Tensor, steps: int, given: Condition, temperature: float, generator: Generator | None
    ) -> Tensor:
        embedded, state, drawn = self.embed(given), None, []
        before, last = past[:, :1], past  # the frame before the last ones, and those that the walk has not seen
        told = F.pad(self.matched(past), (0, 0, 1, 0))
        for _ in range(steps):
            h, state = self.walked(last, told, state)
            motion = _drawn((self.weights(h[:, -1:], embedded)[:, 0] / temperature).softmax(1), generator)
            two = torch.cat((before, last), dim=1)[:, -2:]
            frame = self.moving(two).every_second().by(motion).sample(temperature, generator)[:, None]
            told = self.matched(torch.cat((last, frame), dim=1)[:, -2:])
            before, last = two[:, 1:], frame
            drawn.append(frame)
        return torch.cat(drawn, dim=1)


@dataclass(frozen=True)
class Edges:
    """Levels x of frames, (M, C, H, W), and the edges of their bins on the centred grid."""

    x: Tensor
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, x: Tensor, like: Tensor, levels: int) -> Edges:
        lower, upper = (edge[x.long()] for edge in bin_edges(levels, like))
        return cls(x.to(like), lower, upper)


@dataclass(frozen=True)
class Moving:
    """M frames, and what is known of each of their pixels, before they move.

    Attributes:
        padded: (M, 4 C, H + 2 reach, W + 2 reach): of each channel the level, the mean on the centred grid of what it
            changes to, the logit of the probability that it is kept, and the log of the scale.
        reach: of a motion, in pixels.
        levels: of the grid.
    """

    padded: Tensor
    reach: int
    levels: int

    def every_second(self) -> Moving:
        return Moving(self.padded[1::2], self.reach, self.levels)

    def by_each(self) -> Iterator[Moved]:
        """Moved by every displacement in turn: `reach` pixels up and left first, then row by row."""
        return (self._moved(seen) for seen in windows(self.padded, self.reach))

    def by(self, motion: Tensor) -> Moved:
        """Every frame by its own displacement, (M,) numbers in the order of `by_each`."""
        side, (channels, high, wide) = 2 * self.reach + 1, self.padded.shape[1:]
        down, right = side - 1 - motion // side, side - 1 - motion % side
        rows, columns = (
            first[:, None] + torch.arange(length - side + 1, device=motion.device)
            for first, length in ((down, high), (right, wide))
        )
        places = (rows[:, :, None] * wide + columns[:, None]).flatten(1)[:, None].expand(-1, channels, -1)
        return self._moved(self.padded.flatten(2).gather(2, places).unflatten(2, (rows.shape[1], columns.shape[1])))

    def _moved(self, seen: Tensor) -> Moved:
        return Moved(*seen.chunk(4, dim=1), levels=self.levels)


@dataclass(frozen=True)
class Moved:
    """p of a frame of independent pixels: that of another one at its place, x, with probability σ(kept), and else a
    logistic, discretised."""

    x: Tensor
    mean: Tensor
    kept: Tensor
    log_scale: Tensor
    levels: int

    def log_each(self, frame: Edges) -> Tensor:
        """log p of every pixel, (M, C, H, W)."""
        inverse = torch.exp(-self.log_scale.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE))
        mass = log_logistic_mass((frame.lower - self.mean) * inverse, (frame.upper - self.mean) * inverse)
        changed = F.logsigmoid(-self.kept) + mass
        return torch.where(frame.x == self.x, torch.logaddexp(F.logsigmoid(self.kept), changed), changed)

    def sample(self, temperature: float, generator: Generator | None) -> Tensor:
        kept = uniform(self.kept, generator) < torch.sigmoid(self.kept / temperature)
        one = torch.zeros_like(self.mean)[..., None], self.mean[..., None], self.log_scale[..., None]
        changed = DiscretisedLogisticMixture(*one, levels=self.levels).sample(generator, temperature)
        return torch.where(kept, self.x.to(changed.dtype), changed)


def windows(padded: Tensor, reach: int) -> Iterator[Tensor]:
    """What is seen of padded pictures, (..., H, W), when they have moved by each displacement."""
    height, width = (length - 2 * reach for length in padded.shape[-2:])
    for down, right in itertools.product(range(2 * reach, -1, -1), repeat=2):
        yield padded[..., down : down + height, right : right + width]


def _drawn(shares: Tensor, generator: Generator | None = None) -> Tensor:
    """A number for each row of probabilities, (N, ..., K) -> (N, ...)."""
    below = shares.cumsum(-1) <= uniform(shares[..., :1], generator)
    return below.sum(-1).clamp(max=shares.shape[-1] - 1)


class _Profiles(nn.Module):
    """Frames (N, C, H, W) -> where things are, (N, outputs), of the means over their rows and over their columns.

    All of these are centred and scaled together, so that neither an even ground nor how bright a thing is matters.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, dropout: float) -> None:
        super().__init__()
        channels, height, width = shape
        first, last = nn.Linear(channels * (height + width), outputs), nn.Linear(outputs, outputs)
        self.layers = nn.Sequential(first, nn.ReLU(), nn.Dropout(dropout), last, nn.ReLU(), nn.Dropout(dropout))

    def forward(self, frames: Tensor) -> Tensor:
        profiles = torch.cat((frames.mean(2), frames.mean(3)), dim=2).flatten(1)
        return self.layers(F.layer_norm(profiles, profiles.shape[1:]))
