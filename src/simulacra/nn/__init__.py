"""Blocks that know no probability."""

from simulacra.nn.attention import CausalAttention
from simulacra.nn.batchnorm import synchronise
from simulacra.nn.bottleneck import Bottleneck
from simulacra.nn.causal import DownConv2d, Memory, RightConv2d, side_by_side
from simulacra.nn.conditional_group_norm import ConditionalGroupNorm, groups_for
from simulacra.nn.conditional_norm import ConditionalBatchNorm, ConditionRows
from simulacra.nn.cross_attention import Attend, CrossAttention
from simulacra.nn.deviation import BatchDeviation, Comparing
from simulacra.nn.embed import AddCondition, Embed, Vectors, is_map, plain, vector_of
from simulacra.nn.equalised import EqualConv2d, EqualLinear, leaky, pixel_norm, precise
from simulacra.nn.fir import doubled, filtered, halved
from simulacra.nn.gated import Features, concat_elu, features
from simulacra.nn.masked import MaskedConv2d, group_mask, groups_of
from simulacra.nn.pictures import Imposed, Pictures
from simulacra.nn.pyramid import Double, Halve, halvings, padding
from simulacra.nn.resampled import DoublingConv2d, HalvingConv2d, conv_of_doubled, repeated
from simulacra.nn.residual import ResidualStack
from simulacra.nn.running import RunningMean
from simulacra.nn.self_attention import SelfAttention
from simulacra.nn.singular import singular_values
from simulacra.nn.spatial_norm import SpatialNorm
from simulacra.nn.spectral import Spectral, spectral
from simulacra.nn.spectrum import Spectrum
from simulacra.nn.strided import Grow, ShrinkDown, ShrinkRight
from simulacra.nn.text import Read, Text, refuse_without_text, texts_of
from simulacra.nn.units import Units

__all__ = [
    "AddCondition",
    "Attend",
    "BatchDeviation",
    "Bottleneck",
    "CausalAttention",
    "Comparing",
    "ConditionRows",
    "ConditionalBatchNorm",
    "ConditionalGroupNorm",
    "CrossAttention",
    "Double",
    "DoublingConv2d",
    "DownConv2d",
    "Embed",
    "EqualConv2d",
    "EqualLinear",
    "Features",
    "Grow",
    "Halve",
    "HalvingConv2d",
    "Imposed",
    "MaskedConv2d",
    "Memory",
    "Pictures",
    "Read",
    "ResidualStack",
    "RightConv2d",
    "RunningMean",
    "SelfAttention",
    "ShrinkDown",
    "ShrinkRight",
    "SpatialNorm",
    "Spectral",
    "Spectrum",
    "Text",
    "Units",
    "Vectors",
    "concat_elu",
    "conv_of_doubled",
    "doubled",
    "features",
    "filtered",
    "group_mask",
    "groups_for",
    "groups_of",
    "halved",
    "halvings",
    "is_map",
    "leaky",
    "padding",
    "pixel_norm",
    "plain",
    "precise",
    "refuse_without_text",
    "repeated",
    "side_by_side",
    "singular_values",
    "spectral",
    "synchronise",
    "texts_of",
    "vector_of",
]
