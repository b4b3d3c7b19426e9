r"""Super-resolution: a large picture of a small one, E |x - G| + λ E |f(x) - f(G)| + α E -log D(G).

Of the large pictures that a small one can have been made of, the distance to the true one picks a blurred mean; the
critic asks for one of them, once the generator has learned what is likely (3.2 of the paper). What the generator makes
agrees with the small picture: its area means are imposed.
Ledig et al. 2017, "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", eq. 3, with
features of the critic in place of those of a network that was trained on other images.
"""

from __future__ import annotations

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.pairs import L1, MatchedFeatures
from simulacra.data.spec import DataSpec
from simulacra.networks import Concatenation, PatchCritic, UpscalingGenerator
from simulacra.registry import register
from simulacra.structured.pix2pix import TRAINING


@register(
    "srgan",
    paper="Ledig et al. 2017, Photo-Realistic Single Image Super-Resolution Using a GAN",
    defaults=TRAINING | {"learning_rate": 2e-3, "batch": 64},
)
def srgan(
    spec: DataSpec,
    latent: int = 8,
    width: int = 32,
    blocks: int = 6,
    weight: float = 20.0,
    matched: float = 10.0,
    first: float = 0.6,
) -> GAN:
    """Residual blocks at the size of the small picture, pixels shuffled into 2×2, and a critic of patches.

    Args:
        spec: what x is, and the small picture: --condition down:factor=4.
        latent: numbers in a code z ~ N(0, I).
        width: channels of the generator.
        blocks: residual blocks of the generator.
        weight: of the distance to the true picture.
        matched: λ of the distance in the critic's features.
        first: the share of a run in which the distance alone is learned, before the game begins.
    """
    penalties = L1(weight, first=first), MatchedFeatures(matched)
    critic = PatchCritic(halvings=3)
    return GAN(spec, latent, UpscalingGenerator(width, blocks), critic, NonSaturating(), penalties, Concatenation())
