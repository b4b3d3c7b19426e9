"""Blocks that know no probability."""

from simulacra.nn.causal import DownConv2d, Memory, RightConv2d
from simulacra.nn.embed import AddCondition
from simulacra.nn.masked import MaskedConv2d, group_mask, groups_of
from simulacra.nn.strided import Grow, ShrinkDown, ShrinkRight

__all__ = [
    "AddCondition",
    "DownConv2d",
    "Grow",
    "MaskedConv2d",
    "Memory",
    "RightConv2d",
    "ShrinkDown",
    "ShrinkRight",
    "group_mask",
    "groups_of",
]
