r"""Conditioning augmentation keeps near the standard normal: λ E KL(N(μ(c), diag σ(c)²) ‖ N(0, I)), c a sentence.

    KL = ½ Σ (μ² + σ² - 1 - log σ²)

The generator reads a draw of μ(c) + σ(c) ⊙ ε in place of the sentence. Without the penalty σ would vanish; with it
sentences that are alike overlap, so that what lies between them is made too.
Zhang et al. 2017, "StackGAN: Text to Photo-realistic Image Synthesis with Stacked Generative Adversarial Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from simulacra.adversarial.penalties import Weighed
from simulacra.adversarial.rounds import Round
from simulacra.data.spec import DataSpec
from simulacra.errors import UsageError
from simulacra.networks import CriticNetwork
from simulacra.networks.attentional import Attentional
from simulacra.parts import part


@part("penalty", "sentence-kl")
class SentenceKL(Weighed):
    """KL divergence, nats, of what the generator reads of a sentence from N(0, I).

    Attributes:
        weight: λ.
        every: steps from one to the next.
    """

    players: ClassVar[Sequence[str]] = ("generator",)
    weight: float = 1.0
    every: int = 1

    def memory(self, spec: DataSpec, generator: nn.Module, critic: CriticNetwork) -> nn.Module:
        if not (isinstance(generator, Attentional) and generator.moments is not None):
            raise UsageError(
                "penalty 'sentence-kl' is of conditioning augmentation: take --generator attentional:augmented=16"
            )
        return nn.Module()

    def loss(self, seen: Round, memory: nn.Module) -> Tensor:
        assert isinstance(seen.generator, Attentional)
        mean, log_sigma = seen.generator.of_sentence(seen.generator.text(seen.condition).sentence)
        return self.weight * kl(mean.float(), log_sigma.float()).mean()


def kl(mean: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, I)) of (N, D), (N,) nats."""
    return 0.5 * (mean.square() + torch.exp(2 * log_sigma) - 1 - 2 * log_sigma).sum(1)
