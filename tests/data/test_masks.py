"""Masks of objects in scene graphs: how they are written, that they lie where their objects do, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

import simulacra.data as data
from simulacra.data import DataSpec
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, LabelMap, Levels, Many, Real, Record
from simulacra.fields.graphs import NO_BOX
from simulacra.fields.masks import SIDE, WITHIN_BOX, Mask, mask_of, segmentation_of
from simulacra.graphs import graph_values
from simulacra.latent import VAE
from simulacra.verbs import data_of

N, H, W = 20, 16, 32
ROWS, COLUMNS = slice(4, 12), slice(12, 20)  # of a bright block, of which the corner at the upper left is missing
INK = np.zeros((H, W), bool)
INK[ROWS, COLUMNS] = True
INK[4:8, 12:16] = False
BOX = [12 / W, 4 / H, 20 / W, 12 / H]
CORNER = np.kron([[0, 1], [1, 1]], np.ones((SIDE // 2, SIDE // 2), int))  # the block within its box


def runs():
    flat = INK.T.reshape(-1)
    changes = np.flatnonzero(np.diff(flat)) + 1
    return {"size": [H, W], "counts": np.diff([0, *changes, flat.size]).tolist()}


FORMS = {
    "rows": {"masks": [INK.astype(int).tolist()]},
    "coarser rows": {"masks": [INK[::4, ::4].astype(int).tolist()]},
    "runs": {"masks": [runs()]},
    "runs as a segmentation": {"segmentations": [runs()]},
    "polygons": {"segmentations": [[[16, 4, 20, 4, 20, 8, 16, 8], [12, 8, 20, 8, 20, 12, 12, 12]]]},
    "in the table": {"objects": [{"class": "block", "mask": INK.astype(int).tolist()}]},
}


def graph(**more):
    return {"objects": ["block"], "relationships": [], **more}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "blocks").mkdir()
    random = np.random.default_rng(0)
    for i in range(N):
        pixels = random.integers(0, 20, (H, W), dtype=np.uint8)
        pixels[INK] = 255
        Image.fromarray(pixels).save(tmp_path / "blocks" / f"{i:03}.png")
    return tmp_path / "blocks"


def write(folder, own):
    (folder / "graphs.json").write_text(json.dumps({f"{i:03}.png": own for i in range(N)}))
    return folder


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("boxes", [{"boxes": [BOX]}, {}])
def test_a_mask_is_that_of_its_box_and_a_box_that_is_not_given_is_what_the_mask_lies_within(folder, form, boxes):
    found = data.load(write(folder, graph(**boxes) | FORMS[form]))
    record = Record({"class": ClassLabel(1, ("block",)), "box": Real((4,)), "segmentation": WITHIN_BOX})
    assert found.spec.condition == {"objects": Many(record, 1)}
    for split in found.splits:
        assert (split.field("objects.box") == BOX).all()
        assert (split.field("objects.segmentation") == CORNER).all()


def test_a_mask_follows_the_crop_and_one_that_is_cut_away_is_not_known(folder):
    away = np.zeros((H, W), int)
    away[:, :2] = 1
    masks = [INK.astype(int).tolist(), away.tolist()]
    found = data.load(write(folder, graph(objects=["block", "edge"], masks=masks)), resize=16)
    x0, y0, x1, y1 = (16 * found.train.field("objects.box")[0, 0]).astype(int)
    ink = found.train.x[0, 0] > 128
    assert ink.sum() == INK.sum()
    cells = found.train.field("objects.segmentation")[0, 0][1::2, 1::2]  # two places along a pixel
    assert (cells == ink[y0:y1, x0:x1]).all()
    assert (found.train.field("objects.box")[0, 1] == NO_BOX).all()
    assert (found.train.field("objects.segmentation")[0, 1] == 2).all()


def test_objects_without_a_mask_have_none_and_padding_is_zero(folder):
    own = graph(objects=["block", "block"], boxes=[BOX, BOX], masks=[None, INK.astype(int).tolist()])
    table = {f"{i:03}.png": own if i else graph() for i in range(N)}
    (folder / "graphs.json").write_text(json.dumps(table))
    found = data.load(folder)
    masks = np.concatenate([split.field("objects.segmentation") for split in found.splits])
    there = np.concatenate([split.field("objects.mask") for split in found.splits])
    assert (masks[there[:, 1], 0] == 2).all()
    assert (masks[there[:, 1], 1] == CORNER).all()
    assert (masks[~there[:, 1]] == np.array([2, 0])[:, None, None]).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"masks": [INK.T.astype(int).tolist()]},
            r"graphs\.json, 000\.png: object 0 has a mask of 16×32, and its picture is 32×16: draw it at that size",
        ),
        ({"masks": [{"size": [W, H], "counts": [H * W]}]}, "has a mask of 16×32, and its picture is 32×16"),
        ({"masks": [{"size": [H, W], "counts": [1, 2]}]}, "a mask of 32×16, and runs of 3 pixels; they make up all"),
        ({"masks": [{"size": [H, W], "counts": "abc"}]}, "runs that are compressed; write their counts as a list"),
        ({"masks": [{"size": [H], "counts": [1]}]}, "has no mask: runs are"),
        ({"masks": [[[0, 1], [1]]]}, "a mask with rows of 2 and of 1 numbers"),
        ({"masks": [[[0, 2]]]}, "has no mask: it is rows of 0 and 1"),
        ({"masks": []}, "0 masks for 1 objects"),
        ({"masks": ["a.png"]}, "has no mask: it is rows of 0 and 1"),
        ({"segmentations": [[[0, 0, 9, 9]]]}, "has no segmentation: it is polygons"),
        ({"segmentations": [[[0, 0, 99, 9, 9, 9]]]}, r"the corner \(99, 9\), and its picture is 32×16"),
        (FORMS["runs"] | FORMS["polygons"], "object 0 has a mask and a segmentation; leave one out"),
    ],
)
def test_what_is_no_mask_of_its_picture_is_named(folder, wrong, said):
    with pytest.raises(DataError, match=said):
        data.load(write(folder, graph(**wrong)))


def test_an_empty_mask_covers_nothing(folder):
    found = data.load(write(folder, graph(masks=[[[0, 0]]])))
    assert (found.train.field("objects.box") == NO_BOX).all()
    assert mask_of(None, "") is None
    assert segmentation_of(None, "") is None
    assert not Mask(np.zeros((1, 2), bool)).within((0, 0, 1, 1), (H, W)).any()


# One graph as a value

THING = Record({"class": ClassLabel(1, ("block",)), "box": Real((4,)), "segmentation": WITHIN_BOX})
SPEC = DataSpec(Levels((1, H, W), 256), {"objects": Many(THING, 2)})


@pytest.mark.parametrize("form", FORMS)
def test_a_graph_that_is_given_may_have_masks(form):
    own = SPEC.condition["objects"]
    values = graph_values(graph() | FORMS[form], SPEC)["objects"]
    found = own.convert("objects", values, single=True)
    assert found["objects.box"][0, 0].tolist() == BOX
    assert (found["objects.segmentation"][0] == [CORNER, 0 * CORNER]).all()


def test_without_masks_they_are_not_known_and_a_model_of_boxes_reads_what_they_lie_within():
    (own,) = graph_values(graph(boxes=[BOX]), SPEC)["objects"]
    assert (own["segmentation"] == 2).all()
    boxes = Record({name: field for name, field in THING.fields.items() if not isinstance(field, LabelMap)})
    spec = DataSpec(SPEC.x, {"objects": Many(boxes, 2)})
    assert graph_values(graph() | FORMS["rows"], spec)["objects"] == [{"class": 0, "box": BOX}]
    with pytest.raises(UsageError, match="the graph: object 0 has a mask of 16×32, and its picture is 32×16"):
        graph_values(graph(masks=[INK.T.astype(int).tolist()]), SPEC)


def test_a_model_of_masks_reads_graphs_without_any(folder):
    model = VAE(data.load(write(folder, graph() | FORMS["rows"])).spec.conditioned_on("objects"), latent=2)
    found = data_of(model, write(folder, graph()))
    assert found.spec.condition["objects"] == model.spec.condition["objects"]
    assert (found.train.field("objects.segmentation") == 2).all()
    assert (found.train.field("objects.box") == NO_BOX).all()
