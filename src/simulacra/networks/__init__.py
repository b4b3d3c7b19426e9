"""Whole networks that several families share, and the parts by which a model asks for one of them."""

from simulacra.networks.attentional import AttentionalGenerator
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
    of_items,
)
from simulacra.networks.dcgan import DCCritic, DCGenerator
from simulacra.networks.dense import Dense, Perceptron
from simulacra.networks.form import Form, form_of
from simulacra.networks.generators import DenseGenerator, Generator, Growing, Styled
from simulacra.networks.growth import InStep
from simulacra.networks.layout import LayoutGenerator
from simulacra.networks.pair import Decoder, Encoder, Network, Pair
from simulacra.networks.patch import PatchCritic
from simulacra.networks.progan import ProCritic, ProGenerator
from simulacra.networks.r3gan import R3Critic, R3Generator
from simulacra.networks.reading import Reading
from simulacra.networks.residual import ResidualCritic, ResidualGenerator
from simulacra.networks.resnet import ResNetGenerator
from simulacra.networks.shared_frames import MoCoGenerator, Moving, TGenerator
from simulacra.networks.space_time import ClipsCritic, SpaceTimeCritic
from simulacra.networks.spade import SpadeGenerator
from simulacra.networks.stylegan import StyleGenerator
from simulacra.networks.stylegan2 import Style2Critic, Style2Generator
from simulacra.networks.two_streams import TwoStreamGenerator
from simulacra.networks.unet import UNetGenerator
from simulacra.networks.upscaling import UpscalingGenerator
from simulacra.networks.word_layout import WordLayoutGenerator

__all__ = [
    "AttentionalGenerator",
    "Auto",
    "BigGANGenerator",
    "ClipsCritic",
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
    "Form",
    "Generator",
    "Growing",
    "InStep",
    "LayoutGenerator",
    "MoCoGenerator",
    "Moving",
    "Network",
    "Pair",
    "PatchCritic",
    "Perceptron",
    "ProCritic",
    "ProGenerator",
    "Projection",
    "R3Critic",
    "R3Generator",
    "Reading",
    "ResNetGenerator",
    "ResidualCritic",
    "ResidualGenerator",
    "SpaceTimeCritic",
    "SpadeGenerator",
    "Style2Critic",
    "Style2Generator",
    "StyleGenerator",
    "Styled",
    "TGenerator",
    "TwoStreamGenerator",
    "UNetGenerator",
    "Unconditional",
    "UpscalingGenerator",
    "WordLayoutGenerator",
    "form_of",
    "of_items",
]
