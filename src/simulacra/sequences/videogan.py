"""Video by the parts of a GAN: frames of one image generator along a path of motion, critics of frames and of clips.

    MoCoGAN    --generator mocogan    content and a recurrent motion (by default)
    TGAN       --generator tgan       codes of frames by convolutions along time
    VGAN       --generator vgan       what moves, before a background that does not
    DVD-GAN    --critic clips         the hinge game, spectral norm, some frames at full size, and the clip

Its game, penalties and conditioning are those of any `gan`, of which it is a composition.
Tulyakov et al. 2018, "MoCoGAN: Decomposing Motion and Content for Video Generation"; Clark et al. 2019, "Adversarial
Video Generation on Complex Datasets".
"""

from __future__ import annotations

from simulacra.adversarial import GAN, Hinge
from simulacra.data.spec import DataSpec
from simulacra.networks import ClipsCritic, Critic, Generator, MoCoGenerator, Moving
from simulacra.networks.images import refuse_unless_clips
from simulacra.registry import register


@register(
    "videogan",
    paper="Tulyakov et al. 2018, MoCoGAN: Decomposing Motion and Content for Video Generation",
    defaults={
        "learning_rate": 5e-4,  # of 1e-3 the critic of `bouncing` had won after 200 steps, and all clips were alike
        "betas": (0.0, 0.9),
        "batch": 16,
        "steps": 3000,
        "ema": 0.995,
        "schedule": "constant",
    },
)
def videogan(
    spec: DataSpec,
    content: int = 50,
    generator: Generator = MoCoGenerator(),  # noqa: B008 (parts are immutable)
    critic: Critic = ClipsCritic(),  # noqa: B008
    critic_steps: int = 1,
) -> GAN:
    """A generator of frames that move under the hinge game, with critics of frames and of clips; frames from 8×8 up.

    Args:
        spec: what x is: clips on a grid of levels; both networks are conditioned on its condition.
        content: numbers in the code of a clip; those of the motion of its frames come after them.
        generator: the network from codes to clips.
        critic: the network from clips to features, on which the scores depend.
        critic_steps: updates of the critic for one of the generator.
    """
    refuse_unless_clips(spec, "videogan")
    latent = content + (generator.moving(spec) if isinstance(generator, Moving) else 0)
    return GAN(spec, latent, generator, critic, Hinge(), (), critic_steps=critic_steps)
