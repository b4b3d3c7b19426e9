r"""Deep convolutional GAN: min_G max_D of E log D(x) + E log(1 - D(G(z))), with networks that made it stable.

Radford et al. 2016, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks";
Adam with β1 = 0.5. The networks are those of `simulacra.networks.dcgan`.
"""

from __future__ import annotations

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import DCCritic, DCGenerator
from simulacra.registry import register


@register(
    "dcgan",
    paper="Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs",
    defaults=TRAINING,
)
def dcgan(spec: DataSpec, latent: int = 64, width: int = 64) -> GAN:
    """Convolutional generator and critic under the non-saturating game; images from 8×8 up.

    Args:
        spec: what x is: images on a grid of levels; both networks are conditioned on its condition.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image; they double with every halving of its sides.
    """
    return GAN(spec, latent, DCGenerator(width), DCCritic(width), NonSaturating(), ())
