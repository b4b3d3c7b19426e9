r"""Progressive growing under the Wasserstein game: a gradient penalty, and a drift term for the critic's level,

    min_D E D(G(z)) - E D(x) + λ E (|∇D(x̂)| - 1)² + ε E D(x)²

as the game fixes D up to a constant only, which otherwise drifts.
Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation", appendix A.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from simulacra.adversarial.games import Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.penalties import GradientPenalty, Weighed
from simulacra.adversarial.rounds import Round
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.networks import ProCritic, ProGenerator
from simulacra.parts import part
from simulacra.registry import register


@part("penalty", "drift")
class Drift(Weighed):
    """ε E D(x)² on real items.

    Attributes:
        weight: ε.
        every: steps from one to the next.
    """

    weight: float = 1e-3
    every: int = 1

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        return self.weight * seen.real.scores.square().mean()


@register(
    "progan",
    paper="Karras et al. 2018, Progressive Growing of GANs for Improved Quality, Stability, and Variation",
    defaults=TRAINING | {"learning_rate": 1e-3, "betas": (0.0, 0.99)},
)
def progan(spec: DataSpec, latent: int = 64, width: int = 32, widest: int = 256, grown: float = 0.5) -> GAN:
    """Generator and critic grow from 4×4 to full size under the Wasserstein game; images from 8×8 up.

    At 1024×1024 the networks of the paper are `latent=512, width=16, widest=512`.

    Args:
        spec: what x is: images; a condition stands beside the code, and the critic sees it by projection.
        latent: numbers in a code, of which the direction alone counts: a temperature changes nothing.
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most.
        grown: the share of training after which images have their full size; 0: from the beginning.
    """
    generator, critic = ProGenerator(width, widest, grown), ProCritic(width, widest, grown=grown)
    return GAN(spec, latent, generator, critic, Wasserstein(), (GradientPenalty(), Drift()))
