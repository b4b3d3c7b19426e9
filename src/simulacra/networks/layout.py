r"""From a scene graph to a picture: objects have vectors, boxes and masks, and the picture is made of their layout.

    v = graph convolution of the objects,   box_k = b(v_k),   mask_k = σ(a(v_k)),   layout(y, x) = Σ_k mask_k(y, x) v_k
    h_0 = conv(layout),   h_k+1 = ReLU(norm(conv(ReLU(norm(doubled(h_k) + W_k layout)))))

A box that is given shapes the layout; one of which all four numbers are -1 is not given, and the network's own takes
its place. A mask that is given, 1 within the object and 0 outside, takes that of the network's own in the same way.
W_k layout is made of the vectors W_k v at once, and coarser layouts are means over the pixels of finer ones.
Johnson et al. 2018, "Image Generation from Scene Graphs", 3; the cascade is that of Chen & Koltun 2017, "Photographic
Image Synthesis with Cascaded Refinement Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simulacra.condition import Condition
from simulacra.data.spec import DataSpec
from simulacra.devices import without_autocast
from simulacra.errors import UsageError
from simulacra.fields.graphs import BOX, SEGMENTATION
from simulacra.fields.masks import IGNORED
from simulacra.networks.blocks import widths
from simulacra.networks.generators import Generator
from simulacra.networks.images import refuse_unless_images
from simulacra.networks.options import options_in
from simulacra.networks.translating import STYLE, Ending, Inputs
from simulacra.nn import ConditionalGroupNorm, DoublingConv2d, halvings, padding
from simulacra.nn.boxes import UNKNOWN, given, spread
from simulacra.nn.graph import GraphEncoder, SceneGraph, scene_graph
from simulacra.parts import part, within

SMALLEST_SIDE = 0.02  # of a predicted box


class Arrangement(NamedTuple):
    """Where the objects of N items are, K for each.

    mask:      (N, K) whether there is such an object.
    known:     (N, K) whether there is, and its box is given.
    predicted: (N, K, 4) boxes that follow from the graph alone; x0 < x1 and y0 < y1, within the image.
    boxes:     (N, K, 4) those of the layout: the given ones, and where none is given the predicted ones.
    vectors:   (N, K, features) what is known of each object.
    outlined:  (N, K) whether there is, and its mask is given.
    given:     (N, K, SIDE, SIDE) masks that are given, 0 or 1 within the box, and 0 where none is.
    masks:     (N, K, m, m) logits of the masks that follow from the graph alone.
    """

    mask: Tensor
    known: Tensor
    predicted: Tensor
    boxes: Tensor
    vectors: Tensor
    outlined: Tensor
    given: Tensor
    masks: Tensor

    def covered(self, size: tuple[int, int]) -> Tensor:
        """How much of each pixel each object covers, (N, K, H, W); of one that is not there 0."""
        own = spread(torch.sigmoid(self.masks).masked_fill(~self.mask[..., None, None], 0.0), self.boxes, size)
        if not self.given.shape[2]:
            return own
        return torch.where(self.outlined[..., None, None], spread(self.given, self.boxes, size), own)


@runtime_checkable
class Arranging(Protocol):
    """A generator that places objects before it paints them."""

    @property
    def graph(self) -> SceneGraph:
        """The fields of the condition that it is given."""
        ...

    def arranged(self, z: Tensor, condition: Condition) -> Arrangement:
        """Codes (N, latent) and a condition -> the objects and their places in what is made of them, in float32."""
        ...


class Layout(nn.Module):
    """z (N, latent) and a condition with a scene graph -> x (N, C, H, W) in [-1, 1]."""

    def __init__(self, spec: DataSpec, latent: int, graph: SceneGraph, part: LayoutGenerator) -> None:
        super().__init__()
        self.graph, self.size = graph, (spec.shape[1], spec.shape[2])
        rest = {name: own for name, own in spec.condition.items() if name not in graph.names}
        self.inputs = Inputs(DataSpec(spec.x, rest), latent, self.size)
        self.encoder = GraphEncoder(graph, STYLE, part.features, part.hidden, part.layers)
        self.boxes = normed_perceptron(part.features, part.hidden, 4)
        self.masks = normed_perceptron(part.features, part.hidden, part.mask**2)
        self.refined = Cascade(spec.shape, part.features, self.inputs.count, part.width, part.widest)
        self.last = Ending(spec, part.width)

    def forward(self, z: Tensor, condition: Condition) -> Tensor:
        pictures, s = self.inputs(z, condition)
        with without_autocast(z.device):  # places need more digits than bfloat16 has
            own = self._arranged(s.float() if s.dtype == torch.bfloat16 else s, condition)
            covered = own.covered(self.size)
        return self.last(self.refined(own.vectors, covered, pictures, s), condition)

    def arranged(self, z: Tensor, condition: Condition) -> Arrangement:
        with without_autocast(z.device):
            return self._arranged(self.inputs(z, condition)[1], condition)

    def under_options(self, condition: Condition, boxes: Literal["given", "predicted"] = "given") -> Condition:
        """The condition with the boxes and masks that it gives, or without: all of them then follow from the graph
        alone."""
        if boxes == "given":
            return condition
        hidden = {BOX: UNKNOWN} | ({SEGMENTATION: IGNORED} if self.graph.has_masks else {})
        columns = {f"{self.graph.objects}.{key}": value for key, value in hidden.items()}
        return Condition(
            {**condition, **{name: torch.full_like(condition[name], own) for name, own in columns.items()}}
        )

    def _arranged(self, s: Tensor, condition: Condition) -> Arrangement:
        mask, own = condition[f"{self.graph.objects}.mask"], condition[f"{self.graph.objects}.{BOX}"]
        vectors = self.encoder(s, condition)
        predicted = within_image(self.boxes(vectors))
        known = mask & given(own)
        boxes = torch.where(known[..., None], own.to(s.dtype), predicted)
        side = round(cast(nn.Linear, self.masks[-1]).out_features ** 0.5)
        masks = self.masks(vectors).unflatten(-1, (side, side))
        return Arrangement(mask, known, predicted, boxes, vectors, *self._given(mask, condition, s.dtype), masks)

    def _given(self, mask: Tensor, condition: Condition, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Which masks are given (N, K), and these (N, K, SIDE, SIDE)."""
        if not self.graph.has_masks:
            return torch.zeros_like(mask), torch.zeros(*mask.shape, 0, 0, dtype=dtype, device=mask.device)
        own = condition[f"{self.graph.objects}.{SEGMENTATION}"]
        outlined = mask & (own != IGNORED).flatten(2).all(-1)
        return outlined, ((own == 1) & outlined[..., None, None]).to(dtype)


class Cascade(nn.Module):
    """Vectors (N, K, features), how much of each pixel each covers (N, K, H, W), and pictures -> (N, width, H', W'), at
    least as large as H×W."""

    def __init__(self, shape: tuple[int, ...], features: int, pictures: int, width: int, widest: int | None) -> None:
        super().__init__()
        count, coarsest = halvings(shape)
        self.padding = padding(shape, count, coarsest)
        own = widths(width, widest, count)
        self.layouts = nn.ModuleList(_OfLayout(features, pictures, size) for size in own)
        self.first = _Refined(own[count])
        self.doubled = nn.ModuleList(DoublingConv2d(own[k + 1], own[k], 3, bias=False) for k in range(count))
        self.steps = nn.ModuleList(_Refined(own[k]) for k in range(count))

    def forward(self, vectors: Tensor, covered: Tensor, pictures: Tensor, s: Tensor) -> Tensor:
        covered, pictures = F.pad(covered, self.padding), F.pad(pictures, self.padding)
        layouts = []
        for number, layout in enumerate(self.layouts):
            if number:
                covered = F.avg_pool2d(covered, 2)
                pictures = F.avg_pool2d(pictures, 2) if pictures.shape[1] else pictures
            layouts.append(layout(vectors, covered, pictures))
        h = self.first(layouts[-1], s)
        for k in reversed(range(len(self.steps))):
            h = self.steps[k](self.doubled[k](h) + layouts[k], s)
        return h


class _OfLayout(nn.Module):
    """A linear map of the layout, and of the pictures, at each pixel of one size, (N, width, h, w)."""

    def __init__(self, features: int, pictures: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Linear(features, width, bias=False)
        self.pictures = nn.Conv2d(pictures, width, 1, bias=False) if pictures else None

    def forward(self, vectors: Tensor, covered: Tensor, pictures: Tensor) -> Tensor:
        h = laid_out(self.vectors(vectors), covered)
        return h if self.pictures is None else h + self.pictures(pictures)


class _Refined(nn.Module):
    """(N, width, H, W) -> the same: two norms with a convolution between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.after = ConditionalGroupNorm(width, STYLE), ConditionalGroupNorm(width, STYLE)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        return F.relu(self.after(self.conv(F.relu(self.before(h, s))), s))


def laid_out(vectors: Tensor, covered: Tensor) -> Tensor:
    """Vectors (N, K, D), and how much of each pixel each covers, (N, K, H, W) -> their sum at each, (N, D, H, W)."""
    return (vectors.transpose(1, 2) @ covered.flatten(2).to(vectors.dtype)).unflatten(2, covered.shape[2:])


def within_image(numbers: Tensor) -> Tensor:
    """Four real numbers (..., 4) -> a box with x0 < x1 and y0 < y1 within [0, 1]: where it is, and how large."""
    place, size = torch.sigmoid(numbers).chunk(2, dim=-1)
    size = SMALLEST_SIDE + (1 - SMALLEST_SIDE) * size
    begin = place * (1 - size)
    return torch.cat([begin, begin + size], dim=-1)


def normed_perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """A norm, and a hidden layer."""
    return nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


@part("generator", "layout")
class LayoutGenerator(Generator):
    """From a scene graph to x: objects with boxes and masks, their layout, and a picture refined from coarse to fine.

    Attributes:
        width: channels next to the image; they double with every halving of its sides.
        widest: channels at most; 16 times the width without it.
        features: numbers of an object's vector.
        hidden: units of the perceptrons of objects and relations.
        layers: of graph convolution.
        mask: numbers along the side of a mask.
    """

    options: ClassVar[Sequence[str]] = tuple(options_in(Layout))
    width: int = 32
    widest: int | None = 128
    features: int = 64
    hidden: int = 128
    layers: int = 4
    mask: int = 16

    def __post_init__(self) -> None:
        within(1, width=self.width, widest=self.widest, features=self.features, hidden=self.hidden, mask=self.mask)
        within(0, layers=self.layers)

    def build(self, spec: DataSpec, latent: int) -> nn.Module:
        refuse_unless_images(spec, "layout", on_grid=True)
        return Layout(spec, latent, needed_graph(spec, "layout networks make a picture"), self)


def needed_graph(spec: DataSpec, what: str) -> SceneGraph:
    """The scene graph of a condition; raises UsageError where it has none."""
    graph = scene_graph(spec.condition)
    if graph is None:
        raise UsageError(
            f"{what} of objects in their places, and the condition has no list of objects with a box each: give one, "
            "--condition objects relations of scenes, say"
        )
    return graph
