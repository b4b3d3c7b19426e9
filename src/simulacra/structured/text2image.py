r"""Text to image: a generator whose places read the words, and a critic that is aware of matching and describes.

    critic     L(D(x, c), D(G(z, c), c)) + λ_m L(D(x, c), D(x, c̄)) - λ_d E log P(words | x)
    generator  L(D(G(z, c), c)) - λ_d E log P(words | G(z, c))

with L those of a game, and c̄ the sentence of another item.
Reed et al. 2016, "Generative Adversarial Text to Image Synthesis" (wrong sentences); Zhang et al. 2017, "StackGAN" (two
stages); Xu et al. 2018, "AttnGAN" (attention over words); Qiao et al. 2019, "MirrorGAN" (what is made is described).
"""

from __future__ import annotations

from simulacra.adversarial import GAN, Described, Hinge, Matching, SentenceKL
from simulacra.adversarial.games import Game
from simulacra.adversarial.penalties import Penalty
from simulacra.data.spec import DataSpec
from simulacra.networks import AttentionalGenerator, Critic, PatchCritic, Reading
from simulacra.nn import refuse_without_text
from simulacra.registry import register


@register(
    "text2image",
    paper="Xu et al. 2018, AttnGAN: Fine-Grained Text to Image Generation with Attentional GANs",
    defaults={
        "learning_rate": 2e-3,
        "betas": (0.0, 0.99),
        "batch": 16,
        "steps": 3000,
        "ema": 0.995,
        "schedule": "cosine",
    },
)
def text2image(
    spec: DataSpec,
    latent: int = 32,
    width: int = 32,
    words: int = 64,
    stages: int = 1,
    augmented: int = 0,
    critic: Critic = PatchCritic(),  # noqa: B008 (parts are immutable)
    game: Game = Hinge(),  # noqa: B008
    matching: float = 1.0,
    described: float = 1.0,
) -> GAN:
    """Places of the picture read the words; the critic sees wrong sentences too, and describes what it sees.

    Args:
        spec: what x is: images from 8×8 up, conditioned on words and on whatever else.
        latent: numbers in a code z ~ N(0, I).
        width: channels of the generator next to the image; they double with every halving of its sides.
        words: features of a word.
        stages: 1, or 2: a picture of half the size first, which a second network reads beside the words.
        augmented: numbers of conditioning augmentation, which are the first of the code; 0 is without it.
        critic: the network from pictures to features of patches.
        game: of the two.
        matching: λ_m, of real items under wrong sentences; 0 leaves them out.
        described: λ_d, of the words that are read from pictures; 0 leaves them out.
    """
    refuse_without_text(spec.condition, "text2image")
    generator = AttentionalGenerator(width, 4 * width, words, stages=stages, augmented=augmented)
    penalties: list[Penalty] = [Matching(matching)] if matching else []
    penalties += [Described(described)] if described else []
    penalties += [SentenceKL()] if augmented else []
    return GAN(spec, latent, generator, critic, game, tuple(penalties), Reading(words))
