r"""The conditional GAN: a vector for the condition c stands beside z in the generator, and beside x in the critic.

    min_G max_D  E log D(x, c) + E log(1 - D(G(z, c), c))

Mirza & Osindero 2014, "Conditional Generative Adversarial Nets".
"""

from __future__ import annotations

from simulacra.adversarial.games import Game, NonSaturating
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.training import TRAINING
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks import Concatenation, DenseCritic, DenseGenerator
from simulacra.registry import register


@register("cgan", paper="Mirza & Osindero 2014, Conditional Generative Adversarial Nets", defaults=TRAINING)
def cgan(
    spec: DataSpec,
    latent: int = 64,
    hidden: int = 256,
    layers: int = 2,
    game: Game = NonSaturating(),  # noqa: B008 (parts are immutable)
) -> GAN:
    """Fully connected networks that read the condition beside their inputs.

    Args:
        spec: what x is, and its condition, which it needs.
        latent: numbers in a code z ~ N(0, I).
        hidden: units of a layer.
        layers: hidden layers of each network.
        game: what the two minimise.
    """
    refuse_without_condition(spec, "cgan", "gan")
    networks = DenseGenerator(hidden, layers), DenseCritic(hidden, layers)
    return GAN(spec, latent, *networks, game, conditioning=Concatenation())


def refuse_without_condition(spec: DataSpec, name: str, other: str) -> None:
    """Raise UsageError for a model of p(x) alone."""
    if not spec.condition:
        raise UsageError(f"{name} generates items of a class: add --condition label; {other} needs none")
