r"""BigGAN: class-conditional residual networks with self-attention, orthogonal weights, spectral norm, large batches.

Every batch norm of the generator reads the class, by an embedding that all of them share, and a part of z of its own;
the critic sums over places and projects on the class. Samples may be drawn of z with |z_i| <= t (`truncation`): less
varied, and more typical. Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis"; the
paper's width for ImageNet at 128×128 is 96, with a batch of 2048, and its learning rates are 2e-4 for the critic and
5e-5 for the generator, for fifty times as many steps.
"""

from __future__ import annotations

from simulacra.adversarial.cgan import refuse_without_condition
from simulacra.adversarial.games import Hinge
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import BigGANGenerator, ResidualCritic
from simulacra.networks.residual import at_most_half
from simulacra.registry import register


@register(
    "biggan",
    paper="Brock et al. 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis",
    defaults=TRAINING | {"learning_rate": 5e-4, "betas": (0.0, 0.999), "ema": 0.999, "steps": 2000},
)
def biggan(
    spec: DataSpec, latent: int = 120, width: int = 32, attention: int | None = None, critic_steps: int = 2
) -> GAN:
    """Residual networks of BigGAN under the hinge game; labelled images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels, and its condition, which it needs.
        latent: numbers in a code z ~ N(0, I), split into a part for each resolution.
        width: channels next to the image; they double with every halving of its sides, 16 times at most.
        attention: self-attention at the largest feature map whose shorter side is at most this; without it half the
            side of the image, at most 64.
        critic_steps: updates of the critic for one of the generator.
    """
    refuse_without_condition(spec, "biggan", "sagan")
    place = attention or at_most_half(spec, 64)
    networks = BigGANGenerator(width, attention=place), ResidualCritic(width, attention=place, initial="orthogonal")
    return GAN(spec, latent, *networks, Hinge(), (), critic_steps=critic_steps, critic_rate=4.0)
