"""Blocks that know no probability."""

from simulacra.nn.attention import CausalAttention
from simulacra.nn.batchnorm import synchronise
from simulacra.nn.bottleneck import Bottleneck
from simulacra.nn.causal import DownConv2d, Memory, RightConv2d, side_by_side
from simulacra.nn.embed import AddCondition, Embed, Vectors, vector_of
from simulacra.nn.gated import Features, concat_elu, features
from simulacra.nn.masked import MaskedConv2d, group_mask, groups_of
from simulacra.nn.pyramid import Double, Halve, halvings, padding
from simulacra.nn.residual import ResidualStack
from simulacra.nn.strided import Grow, ShrinkDown, ShrinkRight

__all__ = [
    "AddCondition",
    "Bottleneck",
    "CausalAttention",
    "Double",
    "DownConv2d",
    "Embed",
    "Features",
    "Grow",
    "Halve",
    "MaskedConv2d",
    "Memory",
    "ResidualStack",
    "RightConv2d",
    "ShrinkDown",
    "ShrinkRight",
    "Vectors",
    "concat_elu",
    "features",
    "group_mask",
    "groups_of",
    "halvings",
    "padding",
    "side_by_side",
    "synchronise",
    "vector_of",
]
