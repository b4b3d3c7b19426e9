r"""Puzzle-GAN: from some of the parts of a picture to the whole, E |x - G| + E -log D(G, parts).

The picture is cut into a grid; any subset of its parts is there, in their places or loose, and many wholes agree with
them: a code z says which, the critic looks at the whole and at the seams at several scales, and the distance to the
true whole counts little. The lectures on which this library is built name such a network and give no paper: the
construction is ours, of the parts of pix2pix (Isola et al. 2017).
"""

from __future__ import annotations

from simulacra.adversarial.games import NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.pairs import L1
from simulacra.data.spec import DataSpec
from simulacra.networks import Concatenation, PatchCritic, UNetGenerator
from simulacra.registry import register
from simulacra.structured.pix2pix import TRAINING


@register("puzzle-gan", paper="no paper; the parts of Isola et al. 2017", defaults=TRAINING)
def puzzle_gan(spec: DataSpec, latent: int = 32, width: int = 24, scales: int = 2, weight: float = 10.0) -> GAN:
    """A U-Net and a critic of patches at several scales, on pictures of which some parts are given.

    Args:
        spec: what x is, and its parts: --condition parts, or parts:kept=2,loose=true.
        latent: numbers in a code z ~ N(0, I).
        width: channels next to the image.
        scales: at how many sizes the critic looks at the whole.
        weight: of the distance to the true whole.
    """
    critic = PatchCritic(halvings=3, scales=scales)
    return GAN(spec, latent, UNetGenerator(width), critic, NonSaturating(), (L1(weight),), Concatenation())
