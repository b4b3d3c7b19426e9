r"""The adversarial autoencoder: the critic D reads codes, and the encoder f takes the place of the generator,

    reconstruction    min_{f,g} E[-log p(x | f(x))]
    critic            max_D E_{z~p} log D(z) + E_x log(1 - D(f(x)))
    encoder           max_f E_x log D(f(x))

in turns. At the optimum codes of the data are distributed like draws of p(z), whatever p(z) is, and decoded draws of
p(z) are samples of x. With labels, D is conditioned on them, and so compares q(z|y) with p(z|y).
Makhzani et al. 2016, "Adversarial Autoencoders", sections 2, 2.3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import Game, NonSaturating
from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import at_least_float32
from simulacra.latent.likelihoods import Likelihood
from simulacra.latent.matched import MatchedCodes
from simulacra.latent.sampled_priors import Gaussian, SampledPrior
from simulacra.networks import Auto, Network, Perceptron
from simulacra.nn import Embed
from simulacra.parts import within
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn

CRITIC_LAYERS = 2


@register(
    "aae",
    paper="Makhzani et al. 2016, Adversarial Autoencoders",
    defaults={"learning_rate": 5e-4, "betas": (0.5, 0.999), "batch": 128, "steps": 4000},
)
class AAE(MatchedCodes):
    r"""min E[-log p(x|f(x))], with q(z) matched to p(z) by a critic.

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition, p(x | condition).
        latent: coordinates of a code z.
        network: encoder and decoder: dense (fully connected), conv (strided convolutions, for images), or auto: conv
            from 32×32 on, dense below.
        likelihood: p(x|z): bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture; without it the
            one that suits the grid.
        prior: p(z): gaussian, ring, swiss-roll (both with latent 2), or one of your own.
        game: what critic and encoder minimise.
        critic_hidden: units of each of the critic's two layers.
    """

    bf16_from: ClassVar[int | None] = 784

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 8,
        network: Network = Auto(layers=2),  # noqa: B008 (parts are immutable)
        likelihood: Likelihood | None = None,
        prior: SampledPrior = Gaussian(),  # noqa: B008
        game: Game = NonSaturating(),  # noqa: B008
        critic_hidden: int = 400,
    ) -> None:
        within(1, critic_hidden=critic_hidden)
        super().__init__(spec, latent, network, likelihood, prior)
        self.game, self.embed = game, Embed(spec.condition)
        self.critic = Perceptron(latent, critic_hidden, CRITIC_LAYERS, (1,), spec.condition)

    def phases(self) -> Sequence[Phase]:
        return [
            Phase(Player([self.encoder, self.decoder]), self.reconstruction_loss),
            Phase(Player([self.critic, self.embed]), self.critic_loss),
            Phase(self.encoder, self.encoder_loss),
        ]

    def averaged(self) -> Sequence[nn.Module]:
        return [self.encoder, self.decoder]

    def reconstruction_loss(self, turn: Turn) -> dict[str, Tensor]:
        codes = self.encode(turn.x, turn.condition).value
        return {"reconstruction": self.reconstruction(codes, turn.x, turn.condition)}

    def critic_loss(self, turn: Turn) -> dict[str, Tensor]:
        with torch.no_grad():
            codes = self.encode(turn.x, turn.condition).value
        drawn = self.prior(len(turn), turn.condition).sample()
        return {"critic": self.game.critic(self._scores(drawn, turn.condition), self._scores(codes, turn.condition))}

    def encoder_loss(self, turn: Turn) -> dict[str, Tensor]:
        codes = self.encode(turn.x, turn.condition).value
        drawn = self.prior(len(turn), turn.condition).sample() if self.game.paired else None
        real = None if drawn is None else self._scores(drawn, turn.condition)
        return {"encoder": self.game.generator(self._scores(codes, turn.condition), real)}

    def _scores(self, z: Tensor, condition: Condition) -> Tensor:
        """Logits of D, (N,)."""
        return at_least_float32(self.critic(z, self.embed(condition))).squeeze(1)
