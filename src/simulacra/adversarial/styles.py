r"""The style-based generators under the non-saturating game with R1: of 2019, which grows, and of 2020, which does not.

Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial Networks", appendix C; Karras et
al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B.
"""

from __future__ import annotations

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.lengths import PathLength
from simulacra.adversarial.penalties import R1
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import ProCritic, Style2Critic, Style2Generator, StyleGenerator
from simulacra.registry import register


@register(
    "stylegan",
    paper="Karras et al. 2019, A Style-Based Generator Architecture for Generative Adversarial Networks",
    defaults=TRAINING | {"learning_rate": 1e-3, "betas": (0.0, 0.99)},
)
def stylegan(
    spec: DataSpec,
    latent: int = 64,
    width: int = 32,
    widest: int = 256,
    mapping: int = 8,
    rate: float = 0.01,
    grown: float = 0.5,
    weight: float = 1.0,
) -> GAN:
    """Codes become styles, which recolour the layers of a growing generator; images from 8×8 up.

    At 1024×1024 the networks of the paper are `latent=512, width=16, widest=512`, with weight 10.

    Args:
        spec: what x is: images; styles are conditioned on its condition, the critic by projection.
        latent: numbers in a code, of which the direction alone counts (a temperature changes nothing), and in a style.
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        mapping: layers from codes to styles.
        rate: of learning of these layers, in units of that of the others.
        grown: the share of training after which images have their full size; 0: from the beginning.
        weight: of R1.
    """
    generator = StyleGenerator(width, widest, mapping, rate, grown=grown)
    critic = ProCritic(width, widest, smooth=True, grown=grown)
    return GAN(spec, latent, generator, critic, NonSaturating(), (R1(weight),))


@register(
    "stylegan2",
    paper="Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN",
    defaults=TRAINING | {"learning_rate": 2e-3, "betas": (0.0, 0.99)},
)
def stylegan2(
    spec: DataSpec,
    latent: int = 64,
    width: int = 32,
    widest: int = 256,
    mapping: int = 8,
    rate: float = 0.01,
    weight: float = 1.0,
) -> GAN:
    """Styles scale the weights of the generator, whose path lengths are regularised; images from 8×8 up.

    R1 is taken in every 16th step and the path lengths in every 8th. At 1024×1024 the networks of the paper are
    `latent=512, width=32, widest=512`, with weight 10.

    Args:
        spec: what x is: images; styles are conditioned on its condition, the critic by projection.
        latent: numbers in a code, of which the direction alone counts (a temperature changes nothing), and in a style.
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        mapping: layers from codes to styles.
        rate: of learning of these layers, in units of that of the others.
        weight: of R1.
    """
    generator, critic = Style2Generator(width, widest, mapping, rate), Style2Critic(width, widest)
    return GAN(spec, latent, generator, critic, NonSaturating(), (R1(weight, every=16), PathLength()))
