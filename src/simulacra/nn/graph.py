r"""Graph convolution: objects learn of each other along their relations.

    (a_r, q_r, b_r) = g(v_s(r), p_r, v_o(r))                of every relation r from subject s(r) to object o(r)
    v_k <- v_k + h(mean of a_r with s(r) = k and of b_r with o(r) = k),    p_r <- p_r + q_r

g and h are perceptrons, the same for all objects and relations, so that the outcome does not depend on their order; an
object without relations has a mean of zeros. What is padding, and a relation of which an end is not there, has no part
in it. Johnson et al. 2018, "Image Generation from Scene Graphs", 3.1; here a layer adds to the vectors that it reads.

A scene graph is two fields of a condition: a list of records, `objects` say, and a list of records with the indices
`subject` and `object` into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.fields import Field, Index, Many, Real, Record
from simulacra.fields.graphs import BOX, SEGMENTATION
from simulacra.fields.masks import WITHIN_BOX
from simulacra.nn.embed import present, vector, vector_of

ENDS = ("subject", "object")


@dataclass(frozen=True)
class SceneGraph:
    """The fields of a scene graph in a condition.

    objects:   the name of the list of objects.
    relations: that of the list of relations between them; None where there is none.
    """

    objects: str
    relations: str | None
    fields: Mapping[str, Field]

    @property
    def most(self) -> int:
        """Objects of an item, at most."""
        return cast(Many, self.fields[self.objects]).most

    @property
    def attributes(self) -> dict[str, Field]:
        """What an object is, by name, but for where it is: its box and its mask."""
        return {
            name: own
            for name, own in _record(self.fields[self.objects]).items()
            if name != BOX and not (name == SEGMENTATION and self.has_masks)
        }

    @property
    def has_masks(self) -> bool:
        """Whether the objects have masks within their boxes."""
        return _record(self.fields[self.objects]).get(SEGMENTATION) == WITHIN_BOX

    @property
    def predicates(self) -> dict[str, Field]:
        """What a relation is, by name, but for its ends."""
        own = {} if self.relations is None else _record(self.fields[self.relations])
        return {name: field for name, field in own.items() if name not in ENDS}

    @property
    def names(self) -> tuple[str, ...]:
        """Of its fields."""
        return (self.objects,) if self.relations is None else (self.objects, self.relations)


def scene_graph(fields: Mapping[str, Field]) -> SceneGraph | None:
    """The scene graph of a condition: its first list of records with a box, and the relations between these."""
    objects = next((name for name, own in fields.items() if _record(own).get(BOX) == Real((4,))), None)
    if objects is None:
        return None
    for name, own in fields.items():
        ends = [_record(own).get(end) for end in ENDS]
        if all(isinstance(end, Index) and end.of == objects for end in ends):
            return SceneGraph(objects, name, fields)
    return SceneGraph(objects, None, fields)


def _record(field: Field) -> Mapping[str, Field]:
    """The fields of the elements of a list of records; none of another field."""
    return field.field.fields if isinstance(field, Many) and isinstance(field.field, Record) else {}


class GraphConvolution(nn.Module):
    """One layer: v (N, K, width), p (N, R, width), subjects and objects (N, R, K) -> v, p."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.before, self.of_relation = nn.LayerNorm(width), nn.LayerNorm(width)
        self.edge = nn.Sequential(nn.Linear(3 * width, hidden), nn.ReLU(), nn.Linear(hidden, 2 * hidden + width))
        self.node = nn.Sequential(nn.Linear(hidden + width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.hidden = hidden

    def forward(self, v: Tensor, p: Tensor, subject: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        """subject, of: 1 where a relation has its end, 0 elsewhere and in relations that are not there."""
        read = self.before(v)
        found = self.edge(torch.cat([subject @ read, self.of_relation(p), of @ read], dim=-1))
        a, b, q = found.split([self.hidden, self.hidden, p.shape[-1]], dim=-1)
        back = subject.transpose(1, 2), of.transpose(1, 2)
        count = (back[0].sum(2, keepdim=True) + back[1].sum(2, keepdim=True)).clamp(min=1)
        pooled = F.relu(back[0] @ a + back[1] @ b) / count
        return v + self.node(torch.cat([pooled, read], dim=-1)), p + q


class GraphEncoder(nn.Module):
    """A condition with a scene graph, and a vector (N, inputs) for all of an item -> vectors of objects (N, K, width).

    Those of padding are of no meaning, and finite.
    """

    def __init__(self, graph: SceneGraph, inputs: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.graph = graph
        self.object = _Embedding(graph.objects, graph.attributes, width)
        self.relation = None if graph.relations is None else _Embedding(graph.relations, graph.predicates, width)
        self.common = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(GraphConvolution(width, hidden) for _ in range(layers))

    def forward(self, s: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        graph = self.graph
        mask = condition[f"{graph.objects}.mask"]
        v = self.object(condition, mask) + self.common(s)[:, None]
        if self.relation is None:
            p, ends = v.new_zeros(len(v), 1, v.shape[2]), [v.new_zeros(len(v), 1, v.shape[1])] * 2
        else:
            there, ends = self._ends(condition, mask, v)
            p = self.relation(condition, there)
        for layer in self.layers:
            v, p = layer(v, p, *ends)
        return v

    def _ends(self, condition: Mapping[str, Tensor], mask: Tensor, like: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Which relations are there (N, R), and for both ends 1 at the object that it is, (N, R, K)."""
        name, there = self.graph.relations, condition[f"{self.graph.relations}.mask"]
        ends = [condition[f"{name}.{end}"].masked_fill(~there, -1) for end in ENDS]
        places = torch.arange(self.graph.most, device=mask.device)
        found = [(end[..., None] == places) & mask[:, None] for end in ends]
        there = found[0].any(-1) & found[1].any(-1)
        return there, [(own & there[..., None]).to(like.dtype) for own in found]


class _Embedding(nn.Module):
    """The elements of a list of records -> (N, K, width): what their fields are, and a row that all have in common."""

    def __init__(self, name: str, fields: Mapping[str, Field], width: int) -> None:
        super().__init__()
        self.name, self.row = name, nn.Parameter(torch.zeros(width))
        self.columns = [column for own, field in fields.items() for column in field.columns(f"{name}.{own}")]
        self.record = vector_of(Record(fields), name, width) if fields else None

    def forward(self, condition: Mapping[str, Tensor], mask: Tensor) -> Tensor:
        if self.record is None:
            return self.row.expand(*mask.shape, -1)
        each = {column: present(condition[column], mask).flatten(0, 1) for column in self.columns}
        return vector(self.record, self.name, each).unflatten(0, mask.shape) + self.row
