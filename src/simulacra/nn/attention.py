r"""Attention to all earlier pixels, in the two modes of `simulacra.nn.causal`.

Pixel i attends to every pixel j before it, itself not included:

    y_i = Σ_{j<i} α_ij v_j + α_i∅ v_∅,    α_i· = softmax_j(q_i · k_j / √d).

Keys and values are made of the features of pixel j and of the pixel itself, which all later pixels may read. The token
∅, with a learnt key and value, is there for all: the first pixel has nothing else to attend to, and softmax over a row
that is masked as a whole would weigh everything.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.nn.causal import Memory


class CausalAttention(nn.Module):
    """Causal attention over an image of height × width in raster order.

    Args:
        inputs: channels of the features, of which queries are made.
        channels: of the image, which with the features makes up keys and values.
        width: channels of the output, shared equally by the heads.
        heads: attention heads.
        size: (height, width); every row and every column has a learnt embedding, added to queries and keys.
    """

    def __init__(self, inputs: int, channels: int, width: int, heads: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.width, self.heads, self.size = width, heads, size
        self.query = nn.Conv2d(inputs, width, 1)
        self.content = nn.Conv2d(inputs + channels, 2 * width, 1)  # keys, then values
        self.rows = nn.Parameter(0.3 * torch.randn(2 * width, size[0], 1))  # of queries, then of keys
        self.columns = nn.Parameter(0.3 * torch.randn(2 * width, 1, size[1]))
        self.nothing = nn.Parameter(torch.zeros(2 * width))

    def forward(self, input: Tensor, image: Tensor, memory: Memory | None = None) -> Tensor:
        """input (N, inputs, H, W), image (N, channels, H, W) -> (N, width, H, W).

        With a memory, the input of the pixel it stands at (N, inputs) and the image's pixel before it (N, channels)
        -> (N, width).
        """
        if memory is not None:
            return memory.keep(self, lambda: _Past(self, memory)).step(input, image, memory)
        of_queries, of_keys = self.places().chunk(2)
        query = (self.query(input) + of_queries).flatten(2)
        key, value = self.content(torch.cat((input, image), dim=1)).chunk(2, dim=1)
        content = torch.cat((key + of_keys, value), dim=1).flatten(2)
        nothing = self.nothing[:, None].to(content.dtype).expand(len(content), -1, 1)
        key, value = torch.cat((nothing, content[:, :, :-1]), dim=2).chunk(2, dim=1)
        query, key, value = (self._by_head(each) for each in (query, key, value))
        output = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return output.transpose(2, 3).reshape(input.shape[0], self.width, *input.shape[2:])

    def places(self) -> Tensor:
        """The embeddings of place, added to queries and keys, (2 · width, H, W)."""
        return self.rows + self.columns

    def _by_head(self, features: Tensor) -> Tensor:
        """(N, width, pixels) -> (N, heads, pixels, width / heads), laid out as the fast kernels want it."""
        return features.unflatten(1, (self.heads, -1)).transpose(2, 3).contiguous()


class _Past:
    """Keys and values of all earlier pixels, in one static buffer with ∅ in front."""

    def __init__(self, attention: CausalAttention, memory: Memory) -> None:
        places = attention.places().detach().flatten(1).t()  # (pixels, 2 · width)
        width, pixels, self.inputs = attention.width, len(places), attention.query.in_channels
        self.query, self.content = (
            conv.weight.detach()[:, :, 0, 0].t() for conv in (attention.query, attention.content)
        )
        bias = [cast(Tensor, conv.bias).detach() for conv in (attention.query, attention.content)]
        self.query_bias = (places[:, :width] + bias[0]).unbind(0)
        self.content_bias = (F.pad(places[:, width:], (0, width)) + bias[1]).unbind(0)
        self.last = places.new_zeros(memory.n, attention.content.in_channels)  # features and value of the last pixel
        self.features, self.value = self.last[:, : self.inputs], self.last[:, self.inputs :]
        kept = places.new_zeros(memory.n, pixels + 1, 2 * width)
        kept[:, 0] = attention.nothing.detach()
        self.slots = kept.unbind(1)
        by_head = kept.unflatten(2, (2, attention.heads, -1)).permute(2, 0, 3, 1, 4)  # (2, n, heads, pixels, d)
        self.seen = [by_head[:, :, :, : i + 1].unbind(0) for i in range(pixels)]
        self.shape = (memory.n, attention.heads, 1, width // attention.heads)

    def step(self, input: Tensor, previous: Tensor, memory: Memory) -> Tensor:
        i = memory.row * memory.width + memory.column
        if i:
            self.value.copy_(previous)
            self.slots[i].copy_(torch.addmm(self.content_bias[i - 1], self.last, self.content))
        self.features.copy_(input)
        query = torch.addmm(self.query_bias[i], input, self.query).view(self.shape)
        key, value = self.seen[i]
        return F.scaled_dot_product_attention(query, key, value).flatten(1)
