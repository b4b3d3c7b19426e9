"""Adversarial networks: a generator, a critic and a game between them."""

from simulacra.adversarial.aae import AAE
from simulacra.adversarial.dcgan import DCGAN

__all__ = ["AAE", "DCGAN"]
