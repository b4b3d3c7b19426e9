"""Blocks that know no probability."""

from simulacra.nn.embed import AddCondition
from simulacra.nn.masked import MaskedConv2d, group_mask

__all__ = ["AddCondition", "MaskedConv2d", "group_mask"]
