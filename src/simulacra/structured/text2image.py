r"""Text to image: words that place themselves, a critic that is aware of matching, and one that describes.

    critic     L(D(x, c), D(G(z, c), c)) + λ_m L(D(x, c), D(x, c̄)) - λ_d E log P(words | x) + γ/2 E |∇D|²
    generator  L(D(G(z, c), c)) - λ_d E log P(words | G(z, c))

with L those of a game, and c̄ the sentence of another item. In the first part of a run the critic learns to describe,
and nothing else: the game begins once words can be read of pictures.
Reed et al. 2016, "Generative Adversarial Text to Image Synthesis" (wrong sentences); Hong et al. 2018, "Inferring
Semantic Layout for Hierarchical Text-to-Image Synthesis" (a layout first); Xu et al. 2018, "AttnGAN" (attention over
words, and what compares pictures with words trained before the game); Qiao et al. 2019, "MirrorGAN" (what is made is
described); Huang et al. 2024, "The GAN is dead; long live the GAN!" (the relativistic game with r1 and r2). With
`--generator attentional:stages=2,augmented=16` it is StackGAN's two stages (Zhang et al. 2017), and AttnGAN's network.
"""

from __future__ import annotations

from simulacra.adversarial import GAN, R1, R2, Described, Matching, Relativistic, SentenceKL
from simulacra.adversarial.games import Game
from simulacra.adversarial.penalties import Penalty
from simulacra.data.spec import DataSpec
from simulacra.networks import (
    AttentionalGenerator,
    Critic,
    Generator,
    PatchCritic,
    Reading,
    WordLayoutGenerator,
)
from simulacra.nn import refuse_without_text
from simulacra.registry import register

PENALTIES: tuple[Penalty, ...] = (
    Matching(1.0), Described(1.0, first=0.2), R1(0.5, every=4, end=0.1), R2(0.5, every=4, end=0.1)
)  # fmt: skip


@register(
    "text2image",
    paper="Xu et al. 2018, AttnGAN: Fine-Grained Text to Image Generation with Attentional GANs",
    defaults={
        "learning_rate": 1e-3,
        "betas": (0.0, 0.99),
        "batch": 64,
        "steps": 4000,
        "ema": 0.995,
        "schedule": "cosine",
    },
)
def text2image(
    spec: DataSpec,
    latent: int = 32,
    generator: Generator = WordLayoutGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = PatchCritic(normalise="none"),  # noqa: B008
    game: Game = Relativistic(),  # noqa: B008
    penalties: tuple[Penalty, ...] = PENALTIES,
    conditioning: Reading = Reading(),  # noqa: B008
) -> GAN:
    """Words lay the picture out; the critic sees wrong sentences too, and describes what it sees.

    Args:
        spec: what x is: images from 8×8 up, conditioned on words and on whatever else.
        latent: numbers in a code z ~ N(0, I).
        generator: word-layout, where each word has a place of its own, or attentional, where places read the words.
        critic: the network from pictures to features of patches.
        game: of the two.
        penalties: matching is λ_m, described λ_d, r1 and r2 are γ; of a generator whose sentences are augmented
            `sentence-kl` is added.
        conditioning: how the critic reads.
    """
    refuse_without_text(spec.condition, "text2image")
    if isinstance(generator, AttentionalGenerator) and generator.augmented:
        penalties = (*penalties, *(() if _has_kl(penalties) else (SentenceKL(),)))
    return GAN(spec, latent, generator, critic, game, penalties, conditioning)


def _has_kl(penalties: tuple[Penalty, ...]) -> bool:
    return any(isinstance(penalty, SentenceKL) for penalty in penalties)
