"""Whole networks that several families share, and the parts by which a model asks for one of them."""

from simulacra.networks.auto import Auto
from simulacra.networks.biggan import BigGANGenerator
from simulacra.networks.conv import Conv
from simulacra.networks.critics import (
    Concatenation,
    Conditioning,
    Critic,
    CriticNetwork,
    DenseCritic,
    Projection,
    Unconditional,
)
from simulacra.networks.dcgan import DCCritic, DCGenerator
from simulacra.networks.dense import Dense, Perceptron
from simulacra.networks.generators import DenseGenerator, Generator, Growing, Styled
from simulacra.networks.pair import Decoder, Encoder, Network, Pair
from simulacra.networks.r3gan import R3Critic, R3Generator
from simulacra.networks.residual import ResidualCritic, ResidualGenerator

__all__ = [
    "Auto",
    "BigGANGenerator",
    "Concatenation",
    "Conditioning",
    "Conv",
    "Critic",
    "CriticNetwork",
    "DCCritic",
    "DCGenerator",
    "Decoder",
    "Dense",
    "DenseCritic",
    "DenseGenerator",
    "Encoder",
    "Generator",
    "Growing",
    "Network",
    "Pair",
    "Perceptron",
    "Projection",
    "R3Critic",
    "R3Generator",
    "ResidualCritic",
    "ResidualGenerator",
    "Styled",
    "Unconditional",
]
