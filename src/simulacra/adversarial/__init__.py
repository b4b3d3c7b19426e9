"""Adversarial networks: a generator, a critic and a game between them."""

from simulacra.adversarial.aae import AAE
from simulacra.adversarial.dcgan import dcgan
from simulacra.adversarial.games import NonSaturating, Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.penalties import GradientPenalty

__all__ = ["AAE", "GAN", "GradientPenalty", "NonSaturating", "Wasserstein", "dcgan"]
