r"""The modern baseline: the relativistic game with both zero-centred penalties in every step, and plain residual nets.

    critic     E ζ(D(G(z)) - D(x)) + γ/2 E |∇D(x)|² + γ/2 E |∇D(G(z))|²        generator     E ζ(D(x) - D(G(z)))

γ follows from the size of the image, by the rule of `gamma_of`: H·W / 2048, and at least 2, that of 64×64: with less
this critic wins against its generator on small images. It falls to a tenth: a critic that tells the last differences
apart needs steeper slopes than one that is to find its way.
Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline", eq. 2 and section 4.
"""

from __future__ import annotations

from simulacra.adversarial.games import Relativistic
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.zero_centred import gamma_of, zero_centred
from simulacra.data.spec import DataSpec
from simulacra.networks import R3Critic, R3Generator
from simulacra.registry import register

LEAST = 2.0  # γ


@register(
    "r3gan",
    paper="Huang et al. 2024, The GAN is dead; long live the GAN! A Modern GAN Baseline",
    defaults={
        "learning_rate": 3e-3,
        "betas": (0.0, 0.99),
        "batch": 64,
        "steps": 4000,
        "ema": 0.998,
        "schedule": "cosine",
    },
)
def r3gan(spec: DataSpec, latent: int = 64, width: int = 16, gamma: float | None = None) -> GAN:
    """Residual networks without normalisation under the relativistic game with r1 and r2; images from 8×8 up.

    Args:
        spec: what x is: images; both networks are conditioned on its condition.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with the first two halvings of its sides.
        gamma: weight of both penalties; by default the pixels of an image over 2048, and at least 2.
    """
    gamma = max(LEAST, gamma_of(spec)) if gamma is None else gamma
    return GAN(spec, latent, R3Generator(width), R3Critic(width), Relativistic(), zero_centred(gamma))
