"""Distributions: what priors, encoders and decoders return, so that each likelihood, draw and KL is written once."""

from simulacra.distributions.base import Distribution, Factorised, GridDistribution, at_least_float32
from simulacra.distributions.categorical import Bernoulli, Categorical
from simulacra.distributions.discretised import DiscretisedGaussian, DiscretisedLogisticMixture
from simulacra.distributions.gaussian import DiagonalGaussian, PointMass
from simulacra.distributions.kl import kl_divergence
from simulacra.distributions.mixture_of_gaussians import MixtureOfGaussians

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiagonalGaussian",
    "DiscretisedGaussian",
    "DiscretisedLogisticMixture",
    "Distribution",
    "Factorised",
    "GridDistribution",
    "MixtureOfGaussians",
    "PointMass",
    "at_least_float32",
    "kl_divergence",
]
