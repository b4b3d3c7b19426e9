"""Whole networks that several families share, and the parts by which a model asks for one of them."""

from simulacra.networks.auto import Auto
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
from simulacra.networks.progan import ProCritic, ProGenerator
from simulacra.networks.stylegan import StyleGenerator
from simulacra.networks.stylegan2 import ResidualCritic, Style2Generator

__all__ = [
    "Auto",
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
    "ProCritic",
    "ProGenerator",
    "Projection",
    "ResidualCritic",
    "Style2Generator",
    "StyleGenerator",
    "Styled",
    "Unconditional",
]
