r"""A label map and a style become an image, where the style is drawn, or is that of another image:

    critic       min_D E max(0, 1 - D(x, m)) + max(0, 1 + D(G(z, m), m)),              z ~ q(z | x)
    generator    min_{G,q} E -D(G(z, m), m) + λ |f(x, m) - f(G(z, m), m)| + α |x - G(z, m)| + β KL(q(z | x) || N(0, I))

x and its map m are a pair. The encoder q reads x alone and what it finds passes through a few nats of a code, while the
map stands at every size of the generator: the code holds what the map does not say, such as colours and light. After
training z ~ N(0, I) are styles nobody has seen, and z ~ q(z | x') is that of a photograph x', under any map.
Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 3 and appendix A. In the place of
features of a network that was trained on other images is the distance |x - G| itself. These distances are smaller than
those of the paper, and so is β: with its 0.05 codes of short runs hold nothing. The critic of what a variational
autoencoder decodes: Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor, nn

from simulacra.adversarial.games import Game, Hinge
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.pairs import MatchedFeatures, distance_to_pair
from simulacra.adversarial.penalties import Penalty
from simulacra.adversarial.rounds import Round
from simulacra.condition import Condition, ConditionLike
from simulacra.data.spec import DataSpec
from simulacra.distributions import DiagonalGaussian, Distribution, kl_divergence
from simulacra.latent.priors import gaussian
from simulacra.networks import Auto, Concatenation, Critic, Encoder, Generator, Network, PatchCritic, SpadeGenerator
from simulacra.parts import above
from simulacra.registry import register
from simulacra.structured.pix2pix import TRAINING
from simulacra.turns import Player, Turn


@register(
    "spade",
    paper="Park et al. 2019, Semantic Image Synthesis with Spatially-Adaptive Normalization",
    defaults=TRAINING,
)
class Spade(GAN):
    """A generator whose norms are scaled and shifted by a map place by place, and an encoder of styles.

    Args:
        spec: what x is, and the map or picture that it is made of: --condition map; images from 8×8 up.
        latent: numbers in a code of a style.
        generator: spade, or another that reads pictures of the condition: unet, resnet.
        critic: patch, at one or several scales.
        encoder: the network of q(z | x): auto, conv or dense.
        game: of the two.
        penalties: terms of either's loss; by default the distance to the item of the pair, in the critic's features and
            in pixels, whose cross-entropy it is where they are classes.
        kl: β of KL(q(z | x) || N(0, I)), nats: the larger, the less a code holds, and the more draws are like codes.
        critic_rate: the critic's learning rate in units of the generator's.
    """

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 16,
        generator: Generator = SpadeGenerator(),  # noqa: B008 (parts are immutable)
        critic: Critic = PatchCritic(scales=2),  # noqa: B008
        encoder: Network = Auto(),  # noqa: B008
        game: Game = Hinge(),  # noqa: B008
        penalties: tuple[Penalty, ...] | None = None,
        kl: float = 0.005,
        critic_rate: float = 1.0,
    ) -> None:
        above(0, kl=kl)
        if penalties is None:
            penalties = MatchedFeatures(10.0), distance_to_pair(spec, 10.0)
        super().__init__(spec, latent, generator, critic, game, penalties, Concatenation(), critic_rate=critic_rate)
        self.kl = kl
        self.encoder = Encoder(DataSpec(self.form.made.x), 2 * latent, encoder)

    def encode(self, x: Tensor, condition: ConditionLike | None = None) -> DiagonalGaussian:
        """q(z | x), codes (N, latent): that of x alone, whose condition may be left out."""
        if condition is not None:
            self.conditioned(condition, len(x))
        return self._styles(x)

    def _styles(self, x: Tensor) -> DiagonalGaussian:
        return gaussian(self.encoder.from_centred(self._as_made(x), Condition()).unflatten(1, (self.latent, 2)))

    def averaged(self) -> Sequence[nn.Module]:
        return [self.generator, self.encoder]

    def _player(self, name: str) -> Player:
        own = super()._player(name)
        if name == "critic":
            return own
        return replace(own, modules=[*cast(tuple[nn.Module, ...], own.modules), self.encoder])

    def _codes_in(self, turn: Turn) -> Distribution:
        return self._styles(turn.x)

    def _penalised(self, seen: Round, player: str) -> dict[str, Tensor]:
        terms = super()._penalised(seen, player)
        if player == "critic":
            return terms
        assert seen.codes is not None
        nats = kl_divergence(seen.codes, self.prior(len(seen.z)), seen.z)
        return terms | {"kl": self.kl * nats.mean()}
