"""How a condition enters a network.

Each field is embedded by what it is: a class by a learned row, numbers by a small perceptron, a picture by
convolutions, tokens by rows and places, a list as a set (Zaheer et al. 2017, "Deep Sets", eq. 4). What has a place in
an image can stay a map; all else is a vector. `Embed` does this once for a network, and `AddCondition` adds the outcome
to features, in any number of layers.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import centred
from simulacra.derived import Derived
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Field, Index, LabelMap, Leaf, Levels, Many, Paths, Real, Record, Tokens
from simulacra.nn.causal import Memory
from simulacra.nn.pyramid import Halve
from simulacra.nn.residual import ResidualStack

FEATURES = 32  # of an embedded field that is no class
TAKEN = {"", "names", *dir(nn.ModuleDict())}


def plain(field: Field) -> Field:
    """The field itself; of a derived one the field that it is derived as."""
    return field.own if isinstance(field, Derived) else field


def is_map(field: Field) -> bool:
    """Whether its values are an image or a label map."""
    own = plain(field)
    return isinstance(own, LabelMap) or (
        isinstance(own, Levels | Real) and len(own.shape) == 3 and not isinstance(own, Paths)
    )


class Vectors(nn.ModuleDict):
    """A vector (N, width) for each field of a condition, by name."""

    def __init__(self, fields: Mapping[str, Field], width: int) -> None:
        super().__init__({key(name): vector_of(field, name, width) for name, field in fields.items()})
        self.names = list(fields)

    def forward(self, condition: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: vector(self[key(name)], name, condition) for name in self.names}


def key(name: str) -> str:
    """A field's name as that of a module, which holds no dot and is none of what a module has: `type`, say."""
    own = name.replace(".", ":")
    return f"{own}:" if own in TAKEN else own


def vector(embedding: nn.Module, name: str, condition: Mapping[str, Tensor]) -> Tensor:
    """A condition embedded by what `vector_of` built, (N, width)."""
    return embedding(condition[name]) if isinstance(embedding, nn.Embedding) else embedding(condition)


@functools.singledispatch
def vector_of(field: Field, name: str, width: int) -> nn.Module:
    """The embedding of the field `name` as a vector: a table of rows for classes, else a network of the condition.

    One function for each kind of field; that of your own enters with `@vector_of.register`.
    Raises UsageError for a kind of field that has no such function.
    """
    raise UsageError(
        f"no network reads {name!r}, {field.describe()}: say how with @simulacra.nn.vector_of.register "
        f"def _(field: {type(field).__name__}, name, width) -> nn.Module"
    )


@vector_of.register
def _(field: ClassLabel, name: str, width: int) -> nn.Module:
    return nn.Embedding(field.count, width)


@vector_of.register
def _(field: Derived, name: str, width: int) -> nn.Module:
    return vector_of(field.own, name, width)


@vector_of.register
def _(field: Levels | Real | LabelMap, name: str, width: int) -> nn.Module:
    return _OfPicture(name, field, width) if is_map(field) else _OfNumbers(name, field, width)


class _OfNumbers(nn.Module):
    """Numbers, centred where they lie on a grid, through a hidden layer."""

    def __init__(self, name: str, field: Leaf, width: int) -> None:
        super().__init__()
        self.name, self.field = name, field
        self.hidden = nn.Linear(int(torch.Size(field.shape).numel()), width)
        self.last = nn.Linear(width, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        numbers = centred(self.field, condition[self.name]).flatten(1)
        return self.last(F.relu(self.hidden(numbers.to(self.hidden.weight.dtype))))


class _Pixels(nn.Module):
    """Values of a field with places -> what a convolution reads, (N, channels, H, W)."""

    def __init__(self, name: str, field: Leaf, width: int) -> None:
        super().__init__()
        self.name, self.field = name, field
        self.table = nn.Embedding(field.classes, width) if isinstance(field, LabelMap) else None
        self.channels = width if self.table is not None else field.shape[0]

    def forward(self, condition: Mapping[str, Tensor], like: Tensor) -> Tensor:
        values = condition[self.name]
        if self.table is None:
            return centred(self.field, values).to(like.dtype)
        return self.table(values.long()).movedim(-1, 1)


class _OfPicture(nn.Module):
    """A picture or a map of classes, halved down to a few coarse pixels."""

    def __init__(self, name: str, field: Leaf, width: int) -> None:
        super().__init__()
        self.pixels = _Pixels(name, field, width)
        self.down = Halve((self.pixels.channels, *field.shape[-2:]), width)
        self.last = nn.Linear(self.down.features, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        return self.last(self.down(self.pixels(condition, self.last.weight)))


@vector_of.register
def _(field: Tokens, name: str, width: int) -> nn.Module:
    return _OfTokens(name, field, width)


class _OfTokens(nn.Module):
    """The mean over the tokens of a layer that reads each token and its place."""

    def __init__(self, name: str, field: Tokens, width: int) -> None:
        super().__init__()
        self.name = name
        self.rows = nn.Embedding(len(field.vocabulary), width)
        self.places = nn.Parameter(0.3 * torch.randn(field.most, width))
        self.last = nn.Linear(width, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        tokens = condition[self.name]
        features = self.last(F.relu(self.rows(tokens.clamp(min=0)) + self.places))
        return masked_mean(features, tokens >= 0)


@vector_of.register
def _(field: Index, name: str, width: int) -> nn.Module:
    return _OfIndex(name, field, width)


class _OfIndex(nn.Module):
    """A row for each index, and one for none."""

    def __init__(self, name: str, field: Index, width: int) -> None:
        super().__init__()
        self.name = name
        self.rows = nn.Embedding(field.count + 1, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        return self.rows(condition[self.name] + 1)


@vector_of.register
def _(field: Record, name: str, width: int) -> nn.Module:
    return _OfRecord(name, field, width)


class _OfRecord(nn.Module):
    """The sum over its fields."""

    def __init__(self, name: str, field: Record, width: int) -> None:
        super().__init__()
        self.fields = Vectors({f"{name}.{own}": inner for own, inner in field.fields.items()}, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        return torch.stack(list(self.fields(condition).values())).sum(0)


@vector_of.register
def _(field: Many, name: str, width: int) -> nn.Module:
    return _OfMany(name, field, width)


class _OfMany(nn.Module):
    """The mean over the elements of a layer that reads each of them: their order does not matter."""

    def __init__(self, name: str, field: Many, width: int) -> None:
        super().__init__()
        self.name, self.columns = name, list(field.field.columns(name))
        self.element = vector_of(field.field, name, width)
        self.last = nn.Linear(width, width)

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        mask = condition[f"{self.name}.mask"]
        each = {column: present(condition[column], mask).flatten(0, 1) for column in self.columns}
        features = self.last(F.relu(vector(self.element, self.name, each)))
        return masked_mean(features.unflatten(0, mask.shape), mask)


def present(values: Tensor, mask: Tensor) -> Tensor:
    """Values (N, K, ...) with zeros in the place of padding, which may be no values at all."""
    return values.masked_fill(~mask.view(*mask.shape, *[1] * (values.dim() - 2)), 0)


def masked_mean(features: Tensor, mask: Tensor) -> Tensor:
    """(N, K, width) and truths (N, K) -> the mean over what is there, (N, width); zeros where nothing is."""
    weights = mask.to(features.dtype).unsqueeze(-1)
    return (features * weights).sum(1) / weights.sum(1).clamp(min=1)


class MapFeatures(nn.Module):
    """A picture or a map of classes (h, w) as features (N, width, H, W): convolved where it is, and brought to `size`.

    A smaller one is spread by a transposed convolution over squares, a larger one becomes means of its pixels.
    """

    def __init__(self, name: str, field: Leaf, width: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size, own = size, field.shape[-2:]
        self.pixels = _Pixels(name, field, width)
        self.around = nn.Conv2d(self.pixels.channels, width, 5, padding=2)
        self.residual = ResidualStack(width, 1)
        factors = (-(-size[0] // own[0]), -(-size[1] // own[1]))
        self.spread = nn.ConvTranspose2d(width, width, factors, stride=factors) if max(factors) > 1 else None

    def forward(self, condition: Mapping[str, Tensor]) -> Tensor:
        features = self.residual(self.around(self.pixels(condition, self.around.weight)))
        if self.spread is not None:
            return F.relu(self.spread(features))[:, :, : self.size[0], : self.size[1]]
        return fitted(features, self.size)


class Embed(nn.Module):
    """The fields of a condition that are no classes as features: maps (N, FEATURES, H, W), or vectors (N, FEATURES).

    `size` is the (H, W) of a network that reads maps; without it all of them become vectors. Classes pass as they are,
    as numbers: each layer has rows of its own for them.
    """

    def __init__(self, fields: Mapping[str, Field], size: tuple[int, int] | None = None) -> None:
        super().__init__()
        others = {name: field for name, field in fields.items() if not isinstance(plain(field), ClassLabel)}
        self.classes = [name for name in fields if name not in others]
        self.maps = nn.ModuleDict(
            {
                key(name): MapFeatures(name, cast(Leaf, plain(field)), FEATURES, size)
                for name, field in others.items()
                if size is not None and is_map(field)
            }
        )
        self.vectors = Vectors({n: field for n, field in others.items() if size is None or not is_map(field)}, FEATURES)
        self.map_names = [name for name in others if key(name) in self.maps]

    def forward(self, condition: Condition) -> Condition:
        """The columns of all fields -> one tensor for each field, by its name."""
        if not self.maps and not self.vectors:
            return condition
        maps = {name: self.maps[key(name)](condition) for name in self.map_names}
        return Condition({name: condition[name] for name in self.classes} | maps | self.vectors(condition))


class AddCondition(nn.Module):
    """h + Σ_field W_field · its features, one learned row for each class; the identity when there is no field.

    The condition is what `Embed` returns; of classes alone it is the condition itself. `maps`: whether h is an image to
    which maps are added. Adding to the output of a linear layer is the same as appending a one-hot code to its input.
    """

    def __init__(self, fields: Mapping[str, Field], width: int, maps: bool = False) -> None:
        super().__init__()
        self.names = list(fields)
        self.tables = nn.ModuleDict({key(name): _entrance(field, width, maps) for name, field in fields.items()})

    def forward(self, h: Tensor, condition: Mapping[str, Tensor], memory: Memory | None = None) -> Tensor:
        """h (N, width, ...) -> (N, width, ...); with a memory h is the row (N, width, 1, W) where the walk stands."""
        if not self.names:
            return h
        if h.dim() == 4:
            return h + cast(Tensor, self.everywhere(condition, (h.shape[2], h.shape[3]), memory))
        row = cast(Tensor, self.row(condition))
        return h + row.reshape(row.shape + (1,) * (h.dim() - 2))

    def row(self, condition: Mapping[str, Tensor]) -> Tensor | None:
        """What is added to vectors, (N, width); None where there is no field."""
        total = None
        for name in self.names:
            own = self.tables[key(name)](condition[name])
            total = own if total is None else total + own
        return total

    def everywhere(
        self, condition: Mapping[str, Tensor], size: tuple[int, int], memory: Memory | None = None
    ) -> Tensor | None:
        """What is added to an image of this size: (N, width, 1, 1), or (N, width, H, W) where a field is a map.

        With a memory, of a map only the row at which the walk stands.
        """
        if memory is None:
            return self._whole(condition, size)
        whole = memory.keep(self, lambda: self._whole(condition, (memory.height, memory.width)))
        return whole if whole is None or whole.shape[2] == 1 else whole[:, :, memory.row : memory.row + 1]

    def _whole(self, condition: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor | None:
        total = None
        for name in self.names:
            entrance = self.tables[key(name)]
            own = entrance(fitted(condition[name], size) if isinstance(entrance, nn.Conv2d) else condition[name])
            own = own if own.dim() == 4 else own[:, :, None, None]
            total = own if total is None else total + own
        return total


def fitted(features: Tensor, size: tuple[int, int]) -> Tensor:
    """Features (N, C, h, w) at another size: means over what a new pixel covers."""
    return features if features.shape[2:] == size else F.adaptive_avg_pool2d(features, size)


def _entrance(field: Field, width: int, maps: bool) -> nn.Module:
    own = plain(field)
    if isinstance(own, ClassLabel):
        return nn.Embedding(own.count, width)
    return nn.Conv2d(FEATURES, width, 1, bias=False) if maps and is_map(own) else nn.Linear(FEATURES, width, bias=False)
