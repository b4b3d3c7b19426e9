r"""The zero-centred penalties r1 and r2, without which the relativistic game does not converge, and their weight γ.

    γ = H·W / 2048, at least ½, of an image, T·H·W / 2048 of a clip        γ = D / 30 of a vector

Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", section 2.
"""

from __future__ import annotations

import math

from simulacra.adversarial.games import Game, Relativistic
from simulacra.adversarial.penalties import R1, R2, Penalty
from simulacra.data.spec import DataSpec

PIXELS, NUMBERS = 2048, 30  # of an image, and of a vector, at which γ is 1
LEAST = 0.5  # γ of an image
RARELY = 8  # steps from one to the next of a vector: beside its small networks they would take most of the time


def usual_penalties(game: Game, spec: DataSpec) -> tuple[Penalty, ...]:
    """Those without which a game does not converge: both for the relativistic one, none for another."""
    if not isinstance(game, Relativistic):
        return ()
    return zero_centred(gamma_of(spec), 1 if spec.is_image or spec.is_video else RARELY)


def zero_centred(gamma: float, every: int = 1) -> tuple[Penalty, ...]:
    """r1 and r2 of weight γ, which falls to a tenth in training."""
    return R1(gamma, every, end=0.1), R2(gamma, every, end=0.1)


def gamma_of(spec: DataSpec) -> float:
    """The weight γ of r1 and r2 that follows from what x is: of an image or a clip its pixels over 2048 and at least
    ½, of a vector its numbers over 30.

    Let a critic D' read an image of twice the size by the mean of each 2×2 pixels, and apply D to these. Each of four
    times as many pixels then has a quarter of the gradient, so that |∇D'|² = |∇D|²/4, although D' tells the same images
    apart: only a γ in proportion to the number of pixels weighs both alike. Over 2048 it is 2 at 64×64, that of Huang
    et al. 2024 for FFHQ; others of theirs are 0.05 at 32×32 (CIFAR-10) and 150 at 256×256 (FFHQ). Below
    32×32 images are no larger ones made small: each pixel holds more, and with less than ½ the critic of `digits` wins.
    A vector has units of its own: its numbers count in standard deviations.
    """
    if not (spec.is_image or spec.is_video):
        return math.prod(spec.shape) / NUMBERS
    return max(LEAST, math.prod(spec.shape) / spec.shape[-3] / PIXELS)
