"""Distributions: what priors, encoders and decoders return, so that each likelihood, draw and KL is written once."""

from simulacra.distributions.above import AboveLowest
from simulacra.distributions.ancestral import Ancestral
from simulacra.distributions.base import Distribution, Factorised, GridDistribution, at_least_float32, grid_dtype
from simulacra.distributions.categorical import Bernoulli, Categorical
from simulacra.distributions.codes import BinaryCode, OneHotCode
from simulacra.distributions.continuous_bernoulli import DiscretisedContinuousBernoulli
from simulacra.distributions.correlated import CorrelatedGaussian
from simulacra.distributions.discretised import DiscretisedGaussian, DiscretisedLogisticMixture
from simulacra.distributions.gaussian import DiagonalGaussian, Laplace, Peaked, PointMass
from simulacra.distributions.gaussian_mixture import GaussianMixture
from simulacra.distributions.kl import kl_divergence, kl_each
from simulacra.distributions.mixture_of_gaussians import MixtureOfGaussians
from simulacra.distributions.truncated import TruncatedGaussian

__all__ = [
    "AboveLowest",
    "Ancestral",
    "Bernoulli",
    "BinaryCode",
    "Categorical",
    "CorrelatedGaussian",
    "DiagonalGaussian",
    "DiscretisedContinuousBernoulli",
    "DiscretisedGaussian",
    "DiscretisedLogisticMixture",
    "Distribution",
    "Factorised",
    "GaussianMixture",
    "GridDistribution",
    "Laplace",
    "MixtureOfGaussians",
    "OneHotCode",
    "Peaked",
    "PointMass",
    "TruncatedGaussian",
    "at_least_float32",
    "grid_dtype",
    "kl_divergence",
    "kl_each",
]
