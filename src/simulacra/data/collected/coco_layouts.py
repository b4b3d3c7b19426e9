"""COCO layouts: 53 photographs at 128×128 with boxes and maps of classes, for layouts and maps as conditions.

x is the photograph, `map` its panoptic classes (0 unlabelled), and `objects` its things with class and box, the larger
ones first. The set has 147 more layouts whose photographs may not be passed on: these have no x, so they are no items;
layouts.json and masks_128.npz hold them for whoever models layouts alone. Fifty-three photographs are for a look, and
for no figure.

Read are images_128.npz with `images` (N, 128, 128, 3) uint8 and `layout_index` (N,), masks_128.npz with `masks`
(L, 128, 128) uint8, and layouts.json with `layouts`, a list of L, each with `objects` of a `category` and a
`box_cxcywh` in shares of the sides, and `thing_classes` and `semantic_classes`, the names of both by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simulacra.data.beside import in_the_crop
from simulacra.data.collected import LEVELS, Size, expect_rows, fitted, held
from simulacra.data.dataset import Card
from simulacra.data.npy import npz_array
from simulacra.data.source import Batch, Source, reading
from simulacra.errors import DataError
from simulacra.fields import ClassLabel, Field, LabelMap, Many, Real, Record
from simulacra.files import parse_json, read_regular

CARD = Card(
    title="COCO photographs with boxes and panoptic maps, 128×128",
    source="https://cocodataset.org; the photographs of https://github.com/lightly-ai/coco128_yolo under free licences",
    licence="annotations CC BY 4.0; photographs CC BY 2.0, CC BY-SA 2.0 or free, with the address of each to credit",
    reference="T.-Y. Lin et al., Microsoft COCO: common objects in context, 2014; A. Kirillov et al., Panoptic "
    "segmentation, 2019",
)
SIDE, MOST, MOST_BYTES = 128, 40, 1 << 26  # pixels, objects of a photograph, bytes of layouts.json


def coco_layouts_source(size: Size = None) -> Source:
    """Raises DataError where a file is missing or damaged."""
    images, masks, layouts = held("coco-layouts", "images_128.npz", "masks_128.npz", "layouts.json")
    with reading(layouts):
        record = parse_json(read_regular(layouts, MOST_BYTES))
    with reading(images):
        index = npz_array(images, "layout_index").read()
    things, classes, listed = _understood(record, layouts)
    if not len(index) or index.min() < 0 or index.max() >= len(listed):
        raise DataError(f"{images}: `layout_index` is not of the {len(listed)} layouts of {layouts.name}")
    height, width = size or (SIDE, SIDE)
    fields = _fields(things, classes, (height, width))

    def batches() -> Iterator[Batch]:
        with reading(images):
            x = _bytes(images, "images", SIDE, SIDE, 3).transpose(0, 3, 1, 2)
        with reading(masks):
            maps = _bytes(masks, "masks", SIDE, SIDE)
        expect_rows(images, len(x), len(index))
        expect_rows(masks, len(maps), len(listed))
        columns = _objects(things, [listed[i] for i in index], layouts)
        columns["objects.box"] = in_the_crop(columns["objects.box"], (SIDE, SIDE), (height, width))
        columns["map"] = fitted(maps[index][:, None], size, nearest=True)[:, 0]
        yield Batch("train", fitted(np.ascontiguousarray(x), size), columns)

    files, options = (images, masks, layouts), (f"resize={size}",)
    return Source("coco-layouts", CARD, len(index), batches, files, options, LEVELS, fields)


def _bytes(path: Path, name: str, *shape: int) -> np.ndarray:
    array = npz_array(path, name)
    if array.shape[1:] != shape or array.dtype != np.uint8:
        wanted = ", ".join(["N", *map(str, shape)])
        raise DataError(f"{path}, {name} holds {array.dtype} {array.shape}; uint8 ({wanted}) is read")
    return array.read()


def _understood(record: Any, path: Path) -> tuple[tuple[str, ...], int, list[Mapping[str, Any]]]:
    """The names of things, the count of classes of a map, and the layouts."""
    record = record if isinstance(record, Mapping) else {}
    things, classes, layouts = (record.get(key) for key in ("thing_classes", "semantic_classes", "layouts"))
    named = [isinstance(own, Mapping) and own and all(map(str.isdecimal, own)) for own in (things, classes)]
    if not all(named) or not isinstance(layouts, list):
        raise DataError(f"{path} has no `thing_classes`, `semantic_classes` and `layouts`, as its set has")
    return tuple(map(str, things.values())), 1 + max(map(int, classes)), layouts


def _fields(things: tuple[str, ...], classes: int, shape: tuple[int, int]) -> dict[str, Field]:
    thing = Record({"class": ClassLabel(len(things), things), "box": Real((4,))})
    return {"map": LabelMap(classes, shape), "objects": Many(thing, MOST)}


def _objects(things: Sequence[str], layouts: Sequence[Mapping[str, Any]], path: Path) -> dict[str, np.ndarray]:
    """Columns of the things of each layout; boxes (x0, y0, x1, y1) in shares of the sides."""
    n = len(layouts)
    kinds, boxes = np.zeros((n, MOST), np.int64), np.zeros((n, MOST, 4), np.float32)
    mask = np.zeros((n, MOST), bool)
    for row, layout in enumerate(layouts):
        try:
            objects = layout["objects"]
            listed = [(things.index(own["category"]), np.array(own["box_cxcywh"], float)) for own in objects]
            found = sorted(listed, key=lambda each: -each[1][2] * each[1][3])[:MOST]
            for place, (kind, (x, y, w, h)) in enumerate(found):
                kinds[row, place], mask[row, place] = kind, True
                boxes[row, place] = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, 1)
        except (KeyError, TypeError, ValueError, IndexError):
            raise DataError(f"{path}: layout {row} has no objects of a `category` and a `box_cxcywh`") from None
    return {"objects.class": kinds, "objects.box": boxes, "objects.mask": mask}
