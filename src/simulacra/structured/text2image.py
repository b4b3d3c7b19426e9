r"""Text to image: words that find their places in pictures, and are painted there; a critic that is aware of matching.

    critic     L(D(x, c), D(G(z, c), c)) + λ_m L(D(x, c), D(x, c̄)) + γ/2 E |∇D|²
    generator  L(D(G(z, c), c)) + R(x, c) + λ E |x - G(z, c; b)|² + μ E m(b̂, b) + ν E o(b̂, b)

with L those of a game, c̄ the sentence of another item, R what tells apart which sentence is of which picture, b the
boxes in which the words of c are found in x, b̂ those in which the generator puts them, m how far off these are and o
how far they lie on each other (`grounded`). For the larger part of a run the generator learns to find and to paint
words, and nothing else; the game then makes what is blurred sharp.
Reed et al. 2016, "Generative Adversarial Text to Image Synthesis" (wrong sentences); Hong et al. 2018, "Inferring
Semantic Layout for Hierarchical Text-to-Image Synthesis" (a layout first); Xu et al. 2018, "AttnGAN" (words and regions
that are matched before the game); Huang et al. 2024, "The GAN is dead; long live the GAN!" (the relativistic game with
r1 and r2). With `--generator attentional`, whose words have no place, pictures must be `described` instead (Qiao et al.
2019, "MirrorGAN"); that is AttnGAN's network, and with `:stages=2,augmented=16` StackGAN's two stages (Zhang et al.
2017).
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
from simulacra.structured.grounded import Grounded

SLOPES = R1(0.5, every=4, end=0.1), R2(0.5, every=4, end=0.1)


@register(
    "text2image",
    paper="Xu et al. 2018, AttnGAN: Fine-Grained Text to Image Generation with Attentional GANs",
    defaults={
        "learning_rate": 2e-3,
        "betas": (0.0, 0.99),
        "batch": 32,
        "steps": 4000,
        "ema": 0.98,
        "schedule": "cosine",
    },
)
def text2image(
    spec: DataSpec,
    latent: int = 32,
    generator: Generator = WordLayoutGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = PatchCritic(normalise="none"),  # noqa: B008
    game: Game = Relativistic(),  # noqa: B008
    penalties: tuple[Penalty, ...] | None = None,
    conditioning: Reading = Reading(),  # noqa: B008
) -> GAN:
    """Words lay the picture out, where they were found in real ones; the critic sees wrong sentences too.

    Args:
        spec: what x is: images from 8×8 up, conditioned on words and on whatever else.
        latent: numbers in a code z ~ N(0, I).
        generator: word-layout, where each word has a place of its own, or attentional, where places read the words.
        critic: the network from pictures to features of patches.
        game: of the two.
        penalties: by default matching (λ_m), grounded:first=0.75 (λ, μ and ν), and r1 and r2 with
            weight=0.5,every=4,end=0.1 (γ); of a generator without places described:first=0.2 in the place of grounded,
            and sentence-kl where its sentences are augmented.
        conditioning: how the critic reads.
    """
    refuse_without_text(spec.condition, "text2image")
    if penalties is None:
        read: Penalty = Grounded(first=0.75) if isinstance(generator, WordLayoutGenerator) else Described(first=0.2)
        penalties = Matching(), read, *SLOPES
    if isinstance(generator, AttentionalGenerator) and generator.augmented:
        penalties = (*penalties, *(() if _has_kl(penalties) else (SentenceKL(),)))
    return GAN(spec, latent, generator, critic, game, penalties, conditioning)


def _has_kl(penalties: tuple[Penalty, ...]) -> bool:
    return any(isinstance(penalty, SentenceKL) for penalty in penalties)
