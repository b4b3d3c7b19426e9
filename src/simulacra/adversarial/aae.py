r"""The adversarial autoencoder: a bridge between two families. A critic sees codes; the encoder is the generator,

    reconstruction    min_{f,g} E[-log p(x | f(x))]
    critic            max_D E_{z~p} log D(z) + E_x log(1 - D(f(x)))
    encoder           max_f E_x log D(f(x))

in turns. At the end codes of the data are distributed like draws of p(z), whatever p(z) is, and the decoder makes items
of them. Given labels, D sees pairs of a code and a label, and so compares q(z|y) with p(z|y).
Makhzani et al. 2016, "Adversarial Autoencoders", sections 2, 2.3 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from simulacra.adversarial.games import NonSaturating
from simulacra.capabilities import Condition
from simulacra.data.spec import DataSpec
from simulacra.distributions import at_least_float32
from simulacra.latent.matched import MatchedCodes
from simulacra.latent.networks import Perceptron
from simulacra.registry import register
from simulacra.turns import Phase, Player, Turn

CRITIC_LAYERS = 2


@register("aae", paper="Makhzani et al. 2016, Adversarial Autoencoders")
class AAE(MatchedCodes):
    r"""Reconstruct x from f(x), and let no critic tell f(x) from draws of p(z).

    Args:
        spec: what x is: images or vectors, discrete or continuous; with a condition field, p(x | label).
        latent: coordinates of a code z.
        network: dense (fully connected) or conv (strided convolutions, for images).
        hidden: units of a layer of a dense network, and of the critic.
        layers: hidden layers of a dense network.
        width: channels next to the image of a conv network; they double with every halving of its sides.
        likelihood: p(x|z): auto, bernoulli, continuous-bernoulli, categorical, gaussian or logistic-mixture.
        prior: p(z): gaussian, ring, swiss-roll (both with latent 2), or one of your own.
    """

    defaults = {"learning_rate": 5e-4, "betas": (0.5, 0.999), "batch": 128, "steps": 4000}

    def __init__(
        self,
        spec: DataSpec,
        latent: int = 8,
        network: Literal["dense", "conv"] = "dense",
        hidden: int = 400,
        layers: int = 2,
        width: int = 32,
        likelihood: str = "auto",
        prior: str = "gaussian",
    ) -> None:
        super().__init__(spec, latent, network, hidden, layers, width, likelihood, prior)
        classes = {name: label.count for name, label in spec.condition.items()}
        self.critic = Perceptron(latent, hidden, CRITIC_LAYERS, 1, classes, dropout=0.0)
        self.game = NonSaturating()

    def phases(self) -> Sequence[Phase]:
        return [
            Phase(Player([self.encoder, self.decoder]), self.reconstruction_loss),
            Phase(self.critic, self.critic_loss),
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
        return {"encoder": self.game.generator(self._scores(codes, turn.condition))}

    def _scores(self, z: Tensor, condition: Condition) -> Tensor:
        """Logits of D, (N,)."""
        return at_least_float32(self.critic(z, condition)).squeeze(1)
