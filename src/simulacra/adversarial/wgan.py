r"""Wasserstein GANs: the critic estimates max E D(x) - E D(G(z)) over functions of bounded slope.

    wgan      every weight of the critic in [-c, c]; the networks of dcgan
    wgan-gp   λ E (|∇D(x̂)| - 1)²; residual networks, without a norm in the critic, whose score is of one item alone

The rate of `wgan-gp` is five times that of the paper, for CIFAR-10, with a fraction of its steps.

Arjovsky et al. 2017, "Wasserstein GAN"; Gulrajani et al. 2017, "Improved Training of Wasserstein GANs". Both take five
steps of the critic for one of the generator.
"""

from __future__ import annotations

from simulacra.adversarial.games import Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.penalties import Clipping, GradientPenalty
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import DCCritic, DCGenerator
from simulacra.networks.residual import paper_critic, paper_generator
from simulacra.registry import register


@register(
    "wgan",
    paper="Arjovsky et al. 2017, Wasserstein GAN",
    # RMSProp in the paper, which β1 = 0 is but for a constant; ten times its rate: small images come in minutes
    defaults=TRAINING | {"learning_rate": 5e-4, "betas": (0.0, 0.99)},
)
def wgan(spec: DataSpec, latent: int = 64, width: int = 64, limit: float = 0.01, critic_steps: int = 5) -> GAN:
    """Convolutional networks under the Wasserstein game, the critic's weights clipped; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; both networks are conditioned on its condition.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with every halving of its sides.
        limit: c, the largest size of a weight of the critic.
        critic_steps: updates of the critic for one of the generator.
    """
    networks = DCGenerator(width), DCCritic(width)
    return GAN(spec, latent, *networks, Wasserstein(), (Clipping(limit),), critic_steps=critic_steps)


@register(
    "wgan-gp",
    paper="Gulrajani et al. 2017, Improved Training of Wasserstein GANs",
    defaults=TRAINING | {"learning_rate": 1e-3, "betas": (0.0, 0.9), "steps": 1500},
)
def wgan_gp(spec: DataSpec, latent: int = 128, width: int = 32, weight: float = 10.0, critic_steps: int = 5) -> GAN:
    """Residual networks under the Wasserstein game with a gradient penalty; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; both networks are conditioned on its condition.
        latent: numbers in a code z ~ N(0, I).
        width: channels of the critic next to the image; 128 in the paper, for CIFAR-10.
        weight: λ of the penalty.
        critic_steps: updates of the critic for one of the generator.
    """
    networks = paper_generator(spec, width), paper_critic(spec, width, "none", "mean")
    return GAN(spec, latent, *networks, Wasserstein(), (GradientPenalty(weight),), critic_steps=critic_steps)
