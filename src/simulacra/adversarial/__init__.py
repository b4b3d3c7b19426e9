"""Adversarial networks: a generator, a critic and a game between them."""

from simulacra.adversarial.aae import AAE
from simulacra.adversarial.augmentation import Augment, Shown
from simulacra.adversarial.biggan import biggan
from simulacra.adversarial.cgan import cgan
from simulacra.adversarial.dcgan import dcgan
from simulacra.adversarial.games import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.lsgan import lsgan
from simulacra.adversarial.penalties import R1, R2, Clipping, FeatureMatching, GradientPenalty, Orthogonal, Penalty
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.sngan import sagan, sngan
from simulacra.adversarial.wgan import wgan, wgan_gp

__all__ = [
    "AAE",
    "GAN",
    "R1",
    "R2",
    "Augment",
    "Clipping",
    "FeatureMatching",
    "GradientPenalty",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Orthogonal",
    "Penalty",
    "Relativistic",
    "Round",
    "Shown",
    "Side",
    "Wasserstein",
    "biggan",
    "cgan",
    "dcgan",
    "lsgan",
    "sagan",
    "sngan",
    "wgan",
    "wgan_gp",
]
