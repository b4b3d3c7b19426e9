"""Adversarial networks: a generator, a critic and a game between them."""

from simulacra.adversarial.aae import AAE
from simulacra.adversarial.augmentation import Augment, Shown
from simulacra.adversarial.dcgan import dcgan
from simulacra.adversarial.games import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.lengths import PathLength
from simulacra.adversarial.penalties import R1, R2, Clipping, FeatureMatching, GradientPenalty, Orthogonal, Penalty
from simulacra.adversarial.progan import Drift, progan
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.styles import stylegan, stylegan2

__all__ = [
    "AAE",
    "GAN",
    "R1",
    "R2",
    "Augment",
    "Clipping",
    "Drift",
    "FeatureMatching",
    "GradientPenalty",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Orthogonal",
    "PathLength",
    "Penalty",
    "Relativistic",
    "Round",
    "Shown",
    "Side",
    "Wasserstein",
    "dcgan",
    "progan",
    "stylegan",
    "stylegan2",
]
