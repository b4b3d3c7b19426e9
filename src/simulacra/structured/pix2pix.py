r"""From a picture to a picture, learnt of pairs: min_G max_D of E log D(x, c) + E log(1 - D(G(z, c), c)) + λ E |x - G|.

The critic looks at patches of x beside the picture c; what they do not see, λ |x - G| has to put in its place.
Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", eq. 4. Two things differ: noise
is a code z that scales and shifts the norms, where the paper has dropout; and pairs are taken in batches, under norms
that are of an item by itself.
"""

from __future__ import annotations

from simulacra.adversarial.games import Game, NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.pairs import distance_to_pair
from simulacra.data.spec import DataSpec
from simulacra.networks import Concatenation, Critic, Generator, PatchCritic, UNetGenerator
from simulacra.registry import register

TRAINING = {  # the paper's 2e-4 for batches of one, of runs a hundred times as long
    "learning_rate": 1e-3,
    "betas": (0.5, 0.999),
    "batch": 16,
    "steps": 2000,
    "ema": 0.995,
    "schedule": "cosine",
}


@register(
    "pix2pix",
    paper="Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks",
    defaults=TRAINING,
)
def pix2pix(
    spec: DataSpec,
    latent: int = 8,
    generator: Generator = UNetGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = PatchCritic(),  # noqa: B008
    game: Game = NonSaturating(),  # noqa: B008
    weight: float = 100.0,
) -> GAN:
    """A U-Net and a critic of patches, on pairs; images from 8×8 up that are conditioned on a picture or a map.

    Args:
        spec: what x is, and the picture that it is made of: a field, or one that is derived of x.
        latent: numbers in a code z ~ N(0, I).
        generator: unet, or resnet.
        critic: patch, at one or several scales.
        game: of the two.
        weight: λ of the distance to the item of the pair; of maps of classes a tenth of it weighs the cross-entropy.
    """
    return GAN(spec, latent, generator, critic, game, (distance_to_pair(spec, weight),), Concatenation())
