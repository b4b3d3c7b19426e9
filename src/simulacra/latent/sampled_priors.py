r"""Priors p(z) of which draws are all that is asked: what codes are matched to by a critic or by the MMD.

gaussian    N(0, I), in any number of dimensions.
ring        of the plane: Gaussians around a circle of radius 2, the k-th of K at the angle 2πk/K, with σ = 0.4 along
            the radius and 0.1 across it, after the figure of the paper, which does not tell its numbers.
swiss-roll  of the plane: with u uniform in [0, 1) and s = √u, the point at the angle 4πs and the radius 3s, two turns
            with draws about evenly along the arc, and noise of σ = 0.05.

Ring and roll have modes, ten of them: the Gaussians, and equal parts of the arc (u in [k/K, (k+1)/K)). A supervised
model has as many as classes, and each class has its own: Makhzani et al. 2016, "Adversarial Autoencoders", section 2.3.
`@sampled_prior` adds a prior of one's own, `@modal_prior` one with modes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from simulacra.distributions import DiagonalGaussian, Distribution
from simulacra.errors import NotSupported, UsageError, did_you_mean

MODES = 10  # where no label tells how many
RADIUS, ALONG, ACROSS = 2.0, 0.4, 0.1  # of the ring and its Gaussians
TURNS, REACH, WIDTH = 2, 3.0, 0.05  # of the swiss roll: turns, radius at its end, noise
AVERAGED = 4096  # draws behind a mean

Draw = Callable[[int, int, Generator | None], Tensor]
"""(n, latent, generator) -> n codes, (n, latent)"""
DrawModes = Callable[[Tensor, int, int, Generator | None], Tensor]
"""(mode, modes, latent, generator) -> one code of each mode, (n, latent); mode (n,) holds integers 0..modes-1"""


@dataclass(frozen=True)
class SampledPrior:
    """A prior by name; `codes(mode, modes, latent, like)` is p(z) of len(mode) items, each of its mode, or any for -1.

    modal: its modes can stand for classes; otherwise all classes have the same p(z). plane: it has two dimensions and
    no others.
    """

    name: str
    codes: Callable[[Tensor, int, int, Tensor], Distribution]
    modal: bool = False
    plane: bool = False


class Drawn(Distribution):
    """A distribution of codes (N, latent) that is known by its draws alone. mode (N,) as above."""

    def __init__(self, name: str, draw: DrawModes, mode: Tensor, modes: int, latent: int, like: Tensor) -> None:
        self.name, self.draw, self.mode, self.modes, self.latent = name, draw, mode, modes, latent
        self.like = like.new_empty(len(mode), 0, dtype=torch.promote_types(like.dtype, torch.float32))

    def sample(self, generator: Generator | None = None, temperature: float = 1.0) -> Tensor:
        """One draw for each item. Temperature changes nothing: there is no density that it could sharpen.

        The noise is of the CPU, so that a function of one's own need not know where the model is.
        """
        if generator is not None and generator.device.type != "cpu":
            seed = torch.randint(1 << 62, (), generator=generator, device=generator.device)
            generator = Generator().manual_seed(int(seed))
        return self._drawn(self.mode.cpu(), generator).to(self.like)

    def _drawn(self, mode: Tensor, generator: Generator | None) -> Tensor:
        any_mode = torch.randint(self.modes, mode.shape, generator=generator)
        z = self.draw(torch.where(mode < 0, any_mode, mode), self.modes, self.latent, generator)
        if z.shape != (len(mode), self.latent):
            raise UsageError(
                f"prior {self.name!r} drew codes of shape {tuple(z.shape)}, asked for {(len(mode), self.latent)}"
            )
        return z

    @property
    def mean(self) -> Tensor:
        """Of 4096 draws of each mode, the same ones every time."""
        modes, place = self.mode.cpu().unique(return_inverse=True)
        z = self._drawn(modes.repeat_interleave(AVERAGED), Generator().manual_seed(0))
        return z.view(len(modes), AVERAGED, self.latent).mean(1)[place].to(self.like)

    def log_prob(self, x: Tensor) -> Tensor:
        """Raises NotSupported."""
        raise NotSupported(f"prior {self.name!r} is known by its draws alone: it gives no density to a code")


def sampled_prior(name: str) -> Callable[[Draw], Draw]:
    """Decorator: make a function (n, latent, generator) -> codes (n, latent) known to models as prior `name`.

    All its noise is drawn with `generator`, on the CPU. A saved model names its prior and does not hold it: whoever
    loads the model imports the module of the function first. Raises UsageError for the name of a prior that is built
    in; one of your own may be told again.
    """

    def enter(draw: Draw) -> Draw:
        def of_any_mode(mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
            return draw(len(mode), latent, generator)

        _enter(SampledPrior(name, partial(Drawn, name, of_any_mode)))
        return draw

    return enter


def modal_prior(name: str, plane: bool = False) -> Callable[[DrawModes], DrawModes]:
    """The same for a function (mode, modes, latent, generator) -> codes (n, latent), each of its own mode."""

    def enter(draw: DrawModes) -> DrawModes:
        _enter(SampledPrior(name, partial(Drawn, name, draw), modal=True, plane=plane))
        return draw

    return enter


def _enter(prior: SampledPrior) -> None:
    if prior.name in _BUILT_IN:
        raise UsageError(f"prior {prior.name!r} is built in, and saved models mean that one: call yours otherwise")
    _PRIORS[prior.name] = prior


def find(name: str, latent: int) -> SampledPrior:
    """The prior called `name`; raises UsageError for one that does not exist, or not in so many dimensions."""
    if name not in _PRIORS:
        raise UsageError(
            f"there is no prior {name!r} to draw from.{did_you_mean(name, _PRIORS)} One of your own is known once the "
            "module with its @sampled_prior has been imported."
        )
    found = _PRIORS[name]
    if found.plane and latent != 2:
        raise UsageError(f"prior {name!r} lies in the plane: it needs latent = 2, not {latent}")
    return found


def _unit_gaussian(mode: Tensor, modes: int, latent: int, like: Tensor) -> DiagonalGaussian:
    return DiagonalGaussian.standard(len(mode), latent, like=like)


_PRIORS = {"gaussian": SampledPrior("gaussian", _unit_gaussian)}
_BUILT_IN: set[str] = set()


@modal_prior("ring", plane=True)
def ring(mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
    angle = 2 * math.pi * mode / modes
    noise = torch.randn(len(mode), 2, generator=generator)
    along, across = RADIUS + ALONG * noise[:, 0], ACROSS * noise[:, 1]
    return torch.stack([along * angle.cos() - across * angle.sin(), along * angle.sin() + across * angle.cos()], dim=1)


@modal_prior("swiss-roll", plane=True)
def swiss_roll(mode: Tensor, modes: int, latent: int, generator: Generator | None) -> Tensor:
    s = ((mode + torch.rand(len(mode), generator=generator)) / modes).sqrt()
    angle = 2 * math.pi * TURNS * s
    arc = REACH * s[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    return arc + WIDTH * torch.randn(len(mode), 2, generator=generator)


_BUILT_IN.update(_PRIORS)
