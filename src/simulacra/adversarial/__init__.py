"""Adversarial networks: a generator, a critic and a game between them."""

from simulacra.adversarial.aae import AAE
from simulacra.adversarial.acgan import Auxiliary, acgan
from simulacra.adversarial.adaptive import Adaptive
from simulacra.adversarial.augmentation import Augment, Shown
from simulacra.adversarial.biggan import biggan
from simulacra.adversarial.cgan import cgan
from simulacra.adversarial.dcgan import dcgan
from simulacra.adversarial.described import Described
from simulacra.adversarial.diffaugment import DiffAugment
from simulacra.adversarial.games import Hinge, LeastSquares, Minimax, NonSaturating, Relativistic, Wasserstein
from simulacra.adversarial.gan import GAN
from simulacra.adversarial.infogan import Information, infogan
from simulacra.adversarial.lengths import PathLength
from simulacra.adversarial.lsgan import lsgan
from simulacra.adversarial.matching import Matching
from simulacra.adversarial.pairs import L1, CrossEntropy, MatchedFeatures
from simulacra.adversarial.penalties import (
    R1,
    R2,
    Clipping,
    FeatureMatching,
    GradientPenalty,
    Orthogonal,
    Penalty,
)
from simulacra.adversarial.progan import Drift, progan
from simulacra.adversarial.r3gan import r3gan
from simulacra.adversarial.rounds import Round, Side
from simulacra.adversarial.seeking import ModeSeeking
from simulacra.adversarial.sentences import SentenceKL
from simulacra.adversarial.sngan import sagan, sngan
from simulacra.adversarial.styles import stylegan, stylegan2
from simulacra.adversarial.wgan import wgan, wgan_gp

__all__ = [
    "AAE",
    "GAN",
    "L1",
    "R1",
    "R2",
    "Adaptive",
    "Augment",
    "Auxiliary",
    "Clipping",
    "CrossEntropy",
    "Described",
    "DiffAugment",
    "Drift",
    "FeatureMatching",
    "GradientPenalty",
    "Hinge",
    "Information",
    "LeastSquares",
    "MatchedFeatures",
    "Matching",
    "Minimax",
    "ModeSeeking",
    "NonSaturating",
    "Orthogonal",
    "PathLength",
    "Penalty",
    "Relativistic",
    "Round",
    "SentenceKL",
    "Shown",
    "Side",
    "Wasserstein",
    "acgan",
    "biggan",
    "cgan",
    "dcgan",
    "infogan",
    "lsgan",
    "progan",
    "r3gan",
    "sagan",
    "sngan",
    "stylegan",
    "stylegan2",
    "wgan",
    "wgan_gp",
]
