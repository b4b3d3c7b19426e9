r"""Least squares GAN: the networks of dcgan under min_D ½E (D(x) - 1)² + ½E D(G(z))², min_G ½E (D(G(z)) - 1)².

An item that is on the right side of the critic and far from its boundary is still pulled to it.
Mao et al. 2017, "Least Squares Generative Adversarial Networks".
"""

from __future__ import annotations

from simulacra.adversarial.games import LeastSquares
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import DCCritic, DCGenerator
from simulacra.registry import register


@register("lsgan", paper="Mao et al. 2017, Least Squares Generative Adversarial Networks", defaults=TRAINING)
def lsgan(spec: DataSpec, latent: int = 64, width: int = 64) -> GAN:
    """Convolutional generator and critic under the game of least squares; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; both networks are conditioned on its condition.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with every halving of its sides.
    """
    return GAN(spec, latent, DCGenerator(width), DCCritic(width), LeastSquares(), ())
