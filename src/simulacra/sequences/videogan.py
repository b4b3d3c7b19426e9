"""Video by the parts of a GAN: frames of one image generator along a path of motion, critics of frames and of clips.

    MoCoGAN    --generator mocogan    content and a recurrent motion (by default)
    TGAN       --generator tgan       codes of frames by convolutions along time
    VGAN       --generator vgan       what moves, before a background that does not
    DVD-GAN    --critic clips         some frames at full size, and the clip (by default)

The game is the relativistic one with r1 and r2 every fourth step; that of DVD-GAN is `gan --game hinge` with critics
under spectral norm. Conditioning is that of any `gan`, of which it is a composition.
Tulyakov et al. 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation"; Clark et al. 2019, "Adversarial
Video Generation on Complex Datasets"; Huang et al. 2024, "The GAN is dead; long live the GAN!".
"""

from __future__ import annotations

from simulacra.adversarial import GAN, Relativistic
from simulacra.adversarial.zero_centred import gamma_of, zero_centred
from simulacra.data.spec import DataSpec
from simulacra.networks import ClipsCritic, Critic, DCCritic, Generator, MoCoGenerator, Moving, SpaceTimeCritic
from simulacra.networks.images import frame_of, refuse_unless_clips
from simulacra.registry import register

FRAMES, CLIPS = DCCritic(24, batch_norm=False), SpaceTimeCritic(24, coarse=2, spectral=False)  # bounded by r1 and r2
EVERY = 4  # steps from one penalty to the next


@register(
    "videogan",
    paper="Tulyakov et al. 2018, MoCoGAN: Decomposing Motion and Content for Video Generation",
    defaults={
        "learning_rate": 5e-4,
        "betas": (0.0, 0.99),
        "batch": 16,
        "steps": 4000,
        "ema": 0.995,
        "schedule": "constant",
    },
)
def videogan(
    spec: DataSpec,
    content: int = 50,
    generator: Generator = MoCoGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = ClipsCritic(FRAMES, CLIPS),  # noqa: B008
    gamma: float | None = None,
) -> GAN:
    """Frames that move, under the relativistic game with critics of frames and of clips; frames from 8×8 up.

    Args:
        spec: what x is: clips on a grid of levels; both networks are conditioned on its condition.
        content: numbers in the code of a clip; those of the motion of its frames come after them.
        generator: the network from codes to clips.
        critic: the network from clips to features, on which the scores depend.
        gamma: weight of r1 and r2; by default twice the pixels of a frame over 2048, and at least 1.
    """
    refuse_unless_clips(spec, "videogan")
    latent = content + (generator.moving(spec) if isinstance(generator, Moving) else 0)
    gamma = 2 * gamma_of(frame_of(spec)) if gamma is None else gamma
    return GAN(spec, latent, generator, critic, Relativistic(), zero_centred(gamma, EVERY))
