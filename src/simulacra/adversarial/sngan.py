r"""GANs under the hinge game whose critics are normalised by the largest singular values of their weights.

    sngan   residual networks; spectral norm keeps the critic's slope bounded without looking at any data
    sagan   spectral norm in the generator too, self-attention in both, and a faster critic

Their learning rates are five times those of the papers, whose runs have many times as many steps: by a rate of 2e-4,
`sngan` has not learnt to draw the class that it is asked for when the default run of `digits` ends.

Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks"; conditioned by projection as in Miyato
& Koyama 2018, "cGANs with Projection Discriminator". Zhang et al. 2019, "Self-Attention Generative Adversarial
Networks".
"""

from __future__ import annotations

from simulacra.adversarial.games import Hinge
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks.residual import at_most_half, paper_critic, paper_generator
from simulacra.registry import register


@register(
    "sngan",
    paper="Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks",
    defaults=TRAINING | {"learning_rate": 1e-3, "betas": (0.0, 0.9), "steps": 1500},
)
def sngan(spec: DataSpec, latent: int = 128, width: int = 32, critic_steps: int = 5) -> GAN:
    """Residual networks under the hinge game, with spectral norm in the critic; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; its condition enters by conditional batch norm and by projection.
        latent: numbers in a code z ~ N(0, I).
        width: channels of the critic next to the image; 128 in the paper for CIFAR-10, 64 for ImageNet.
        critic_steps: updates of the critic for one of the generator.
    """
    networks = paper_generator(spec, width), paper_critic(spec, width)
    return GAN(spec, latent, *networks, Hinge(), (), critic_steps=critic_steps)


@register(
    "sagan",
    paper="Zhang et al. 2019, Self-Attention Generative Adversarial Networks",
    defaults=TRAINING | {"learning_rate": 5e-4, "betas": (0.0, 0.9), "steps": 3000},
)
def sagan(spec: DataSpec, latent: int = 128, width: int = 32, attention: int | None = None) -> GAN:
    """Residual networks with self-attention under the hinge game, with spectral norm in both; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; its condition enters by conditional batch norm and by projection.
        latent: numbers in a code z ~ N(0, I).
        width: channels of the critic next to the image; 64 in the paper, for ImageNet at 128×128.
        attention: self-attention at the largest feature map whose shorter side is at most this; without it half the
            side of the image, at most 32.
    """
    place = attention or at_most_half(spec)
    networks = paper_generator(spec, width, True, place), paper_critic(spec, width, attention=place)
    return GAN(spec, latent, *networks, Hinge(), (), critic_rate=4.0)
