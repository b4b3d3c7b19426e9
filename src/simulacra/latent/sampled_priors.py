r"""Priors p(z) of which only draws are needed, to which a critic or the MMD matches the distribution of codes.

gaussian    N(0, I), in any number of dimensions.
ring        of the plane: Gaussians around a circle of radius 2, the k-th of K at the angle 2πk/K, with σ = 0.4 along
            the radius and 0.1 across it, after the figure of the paper, which does not give its numbers.
swiss-roll  of the plane: with u uniform in [0, 1) and s = √u, the point at the angle 4πs and the radius 3s, two turns
            with draws about evenly along the arc, and noise of σ = 0.05.

Ring and roll have modes, ten of them: the Gaussians, and equal parts of the arc (u in [k/K, (k+1)/K)). A supervised
model has as many as classes, and each class has its own: Makhzani et al. 2016, "Adversarial Autoencoders", section 2.3.
A user's own prior is a part: `@part("sampled-prior", "mine")` above a subclass of `Draws`, or of `Modes`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import torch
from torch import Generator, Tensor

from simulacra import whole
from simulacra.distributions import DiagonalGaussian, Distribution
from simulacra.errors import NotSupported, UsageError
from simulacra.parts import called, kind, part

MODES = 10  # without a label
RADIUS, ALONG, ACROSS = 2.0, 0.4, 0.1  # of the ring and its Gaussians
TURNS, REACH, WIDTH = 2, 3.0, 0.05  # of the swiss roll: turns, radius at its end, noise
AVERAGED = 4096  # draws behind a mean


@kind("sampled-prior")
class SampledPrior(Protocol):
    """p(z) by its draws. `modal`: p(z | class) is one of its modes; else p(z) is the same for all classes."""

    modal: ClassVar[bool]

    def codes(self, mode: Tensor, modes: int, latent: int, like: Tensor) -> Distribution:
        """p(z) of len(mode) items, each of its mode, or of any for -1; raises UsageError for an unfit dimension."""
        ...


class Draws(ABC):
    """Abstract: a prior without modes, defined by a function that draws from it."""

    modal: ClassVar[bool] = False

    @abstractmethod
    def draw(self, n: int, latent: int, generator: Generator | None) -> Tensor:
        """n codes, (n, latent); all noise is drawn with `generator`, on the CPU."""

    def codes(self, mode: Tensor, modes: int, latent: int, like: Tensor) -> Distribution:
        return Drawn(self, mode, modes, latent, like)

    def draw_modes(self, mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
        return self.draw(len(mode), latent, generator)


class Modes(ABC):
    """Abstract: a prior with modes, defined by a function that draws from each. `plane`: it needs latent = 2."""

    modal: ClassVar[bool] = True
    plane: ClassVar[bool] = False

    @abstractmethod
    def draw_modes(self, mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
        """One code of each mode (n,), integers 0..modes-1 -> (n, latent); noise as in `Draws.draw`."""

    def codes(self, mode: Tensor, modes: int, latent: int, like: Tensor) -> Distribution:
        if self.plane and latent != 2:
            raise UsageError(f"prior {called(self)[1]!r} lies in the plane: it needs latent = 2, not {latent}")
        return Drawn(self, mode, modes, latent, like)


class Drawn(Distribution):
    """A distribution of codes (N, latent) that has draws and no density. which (N,): its mode, as above."""

    def __init__(self, prior: Draws | Modes, mode: Tensor, modes: int, latent: int, like: Tensor) -> None:
        self.prior, self.which, self.modes, self.latent = prior, mode, modes, latent
        self.like = like.new_empty(len(mode), 0, dtype=torch.promote_types(like.dtype, torch.float32))

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw for each item. Temperature changes nothing: there is no density that it could sharpen.

        The noise is drawn on the CPU, so that a user's own prior does not depend on the device of the model.
        """
        if generator is not None and generator.device.type != "cpu":
            seed = torch.randint(1 << 62, (), generator=generator, device=generator.device)
            generator = Generator().manual_seed(int(seed))
        mode = self.which.cpu()

        def draw(n: int, own: Generator | None) -> Tensor:
            return self._drawn(mode if n == len(mode) else whole.placed(mode), own)

        return whole.drawn(len(mode), draw, mode.device, generator).to(self.like)

    def _drawn(self, mode: Tensor, generator: Generator | None) -> Tensor:
        any_mode = torch.randint(self.modes, mode.shape, generator=generator)
        z = self.prior.draw_modes(torch.where(mode < 0, any_mode, mode), self.modes, self.latent, generator)
        if z.shape != (len(mode), self.latent):
            name, wanted = called(self.prior)[1], (len(mode), self.latent)
            raise UsageError(f"prior {name!r} drew codes of shape {tuple(z.shape)}, and {wanted} are needed")
        return z

    @property
    def mean(self) -> Tensor:
        """Of 4096 draws of each mode, the same ones every time."""
        modes, place = self.which.cpu().unique(return_inverse=True)
        z = self._drawn(modes.repeat_interleave(AVERAGED), Generator().manual_seed(0))
        return z.view(len(modes), AVERAGED, self.latent).mean(1)[place].to(self.like)

    def log_prob(self, x: Tensor) -> Tensor:
        """Raises NotSupported."""
        name = called(self.prior)[1]
        raise NotSupported(f"prior {name!r} has draws but no density of a code; use prior 'gaussian' to have one")


@part("sampled-prior", "gaussian")
class Gaussian:
    """N(0, I)"""

    modal: ClassVar[bool] = False

    def codes(self, mode: Tensor, modes: int, latent: int, like: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian.standard(len(mode), latent, like=like)


@part("sampled-prior", "ring")
class Ring(Modes):
    """Gaussians around a circle of the plane."""

    plane: ClassVar[bool] = True

    def draw_modes(self, mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
        angle = 2 * math.pi * mode / modes
        noise = torch.randn(len(mode), 2, generator=generator)
        along, across = RADIUS + ALONG * noise[:, 0], ACROSS * noise[:, 1]
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([along * cos - across * sin, along * sin + across * cos], dim=1)


@part("sampled-prior", "swiss-roll")
class SwissRoll(Modes):
    """An arc of two turns in the plane."""

    plane: ClassVar[bool] = True

    def draw_modes(self, mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
        s = ((mode + torch.rand(len(mode), generator=generator)) / modes).sqrt()
        angle = 2 * math.pi * TURNS * s
        arc = REACH * s[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
        return arc + WIDTH * torch.randn(len(mode), 2, generator=generator)
