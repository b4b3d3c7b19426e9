r"""Attention to all earlier pixels, in the two modes of `simulacra.nn.causal`.

Pixel i asks, every pixel j before it answers, itself not included:

    y_i = Σ_{j<i} α_ij v_j + α_i∅ v_∅,    α_i· = softmax_j(q_i · k_j / √d).

Keys and values come from what is known once pixel j is told, its value included. The token ∅, with a key and a value
that are learnt, is there for all: the first pixel has nothing else to look at, and a row that is masked as a whole
would look at everything.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.causal import Memory


class LookBack(nn.Module):
    """Causal attention over an image of height × width in raster order.

    Args:
        inputs: channels of the features that ask.
        told: channels of what becomes known with a pixel.
        width: channels of the answer, shared equally by the heads.
        heads: questions asked at once.
        size: (height, width); every row and every column has a learnt share in queries and keys.
    """

    def __init__(self, inputs: int, told: int, width: int, heads: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.width, self.heads, self.size = width, heads, size
        self.query = nn.Conv2d(inputs, width, 1)
        self.content = nn.Conv2d(inputs + told, 2 * width, 1)  # keys, then values
        self.rows = nn.Parameter(0.3 * torch.randn(2 * width, size[0], 1))  # of queries, then of keys
        self.columns = nn.Parameter(0.3 * torch.randn(2 * width, 1, size[1]))
        self.nothing = nn.Parameter(torch.zeros(2 * width))

    def forward(self, input: Tensor, told: Tensor, memory: Memory | None = None) -> Tensor:
        """input (N, inputs, H, W), told (N, told, H, W) -> (N, width, H, W).

        With a memory, the input of the pixel it stands at (N, inputs) and what was told of the pixel before it
        (N, told) -> (N, width).
        """
        if memory is not None:
            return memory.keep(self, lambda: _Past(self, memory)).step(input, told, memory)
        of_queries, of_keys = self.places().chunk(2)
        query = (self.query(input) + of_queries).flatten(2)
        key, value = self.content(torch.cat((input, told), dim=1)).chunk(2, dim=1)
        content = torch.cat((key + of_keys, value), dim=1).flatten(2)
        nothing = self.nothing[:, None].to(content.dtype).expand(len(content), -1, 1)
        key, value = torch.cat((nothing, content[:, :, :-1]), dim=2).chunk(2, dim=1)
        query, key, value = (self._by_head(each) for each in (query, key, value))
        answer = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return answer.transpose(2, 3).reshape(input.shape[0], self.width, *input.shape[2:])

    def places(self) -> Tensor:
        """What rows and columns add to queries and keys, (2 · width, H, W)."""
        return self.rows + self.columns

    def _by_head(self, features: Tensor) -> Tensor:
        """(N, width, pixels) -> (N, heads, pixels, width / heads), laid out as the fast kernels want it."""
        return features.unflatten(1, (self.heads, -1)).transpose(2, 3).contiguous()


class _Past:
    """Keys and values of all pixels told so far, in one static buffer with ∅ in front."""

    def __init__(self, attention: LookBack, memory: Memory) -> None:
        places = attention.places().detach().flatten(1).t()  # (pixels, 2 · width)
        width, pixels, self.inputs = attention.width, len(places), attention.query.in_channels
        self.query, self.content = (
            conv.weight.detach()[:, :, 0, 0].t() for conv in (attention.query, attention.content)
        )
        bias = [cast(Tensor, conv.bias).detach() for conv in (attention.query, attention.content)]
        self.query_bias = (places[:, :width] + bias[0]).unbind(0)
        self.content_bias = (F.pad(places[:, width:], (0, width)) + bias[1]).unbind(0)
        self.last = places.new_zeros(memory.n, attention.content.in_channels)  # what is known of the pixel before
        self.features, self.told = self.last[:, : self.inputs], self.last[:, self.inputs :]
        kept = places.new_zeros(memory.n, pixels + 1, 2 * width)
        kept[:, 0] = attention.nothing.detach()
        self.slots = kept.unbind(1)
        by_head = kept.unflatten(2, (2, attention.heads, -1)).permute(2, 0, 3, 1, 4)  # (2, n, heads, pixels, d)
        self.seen = [by_head[:, :, :, : i + 1].unbind(0) for i in range(pixels)]
        self.shape = (memory.n, attention.heads, 1, width // attention.heads)

    def step(self, input: Tensor, told: Tensor, memory: Memory) -> Tensor:
        i = memory.row * memory.width + memory.column
        if i:
            self.told.copy_(told)
            self.slots[i].copy_(torch.addmm(self.content_bias[i - 1], self.last, self.content))
        self.features.copy_(input)
        query = torch.addmm(self.query_bias[i], input, self.query).view(self.shape)
        key, value = self.seen[i]
        return F.scaled_dot_product_attention(query, key, value).flatten(1)
