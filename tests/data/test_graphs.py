"""Scene graphs: beside the pictures of a folder, and one as a condition."""

import json

import numpy as np
import pytest
from PIL import Image

import simulacra.data as data
from simulacra.data.beside import in_the_crop
from simulacra.data.shipped.scenes import fields
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, Index, Levels, Many, Real, Record
from simulacra.fields.graphs import NO_BOX
from simulacra.graphs import graph_values
from simulacra.latent import VAE
from simulacra.verbs import data_of

N = 40
SKY, SHEEP = [0, 0, 1, 0.5], [0.25, 0.5, 0.75, 1]


def graph(i):
    """A sky, and below it a sheep or, every other time, two."""
    relations = [[1, "below", 0], [2, "below", 0], [1, "beside", 2]]
    if i % 2:
        return {"objects": ["sky", "sheep", "sheep"], "relationships": relations}
    return {"objects": ["sky", "sheep"], "relationships": relations[:1], "boxes": [SKY, SHEEP]}


@pytest.fixture
def folder(tmp_path, write_images, pixels):
    return write_images(tmp_path / "scenes", pixels)


def write(folder, graphs):
    (folder / "graphs.json").write_text(json.dumps(graphs))
    return folder


@pytest.mark.parametrize("form", ["list", "table", "each"])
def test_every_picture_has_its_graph(folder, pixels, form):
    if form == "list":
        write(folder, [{"file_name": f"{i:03}.png", **graph(i)} for i in range(N)])
    elif form == "table":
        write(folder, {f"{i:03}.png": graph(i) for i in range(N)})
    else:
        for i in range(N):
            (folder / f"{i:03}.json").write_text(json.dumps(graph(i)))
    found = data.load(folder)
    thing = Record({"class": ClassLabel(2, ("sheep", "sky")), "box": Real((4,))})
    place = Index("objects", 3)
    relation = Record({"subject": place, "predicate": ClassLabel(2, ("below", "beside")), "object": place})
    assert found.spec.condition == {"objects": Many(thing, 3), "relations": Many(relation, 3)}
    number = {x.tobytes(): i for i, x in enumerate(pixels)}
    for split in found.splits:
        i = np.array([number[x.tobytes()] for x in split.x])
        assert (split.field("objects.mask").sum(1) == 2 + i % 2).all()
        assert (split.field("objects.class")[:, :2] == [1, 0]).all()
        assert (split.field("objects.box")[i % 2 == 0, 1] == SHEEP).all()
        assert (split.field("objects.box")[i % 2 == 1] == NO_BOX).all()
        assert (split.field("relations.mask").sum(1) == 1 + 2 * (i % 2)).all()
        assert (split.field("relations.subject")[:, 0] == 1).all()
        assert (split.field("relations.object")[i % 2 == 1, 2] == 2).all()
        assert (split.field("relations.predicate")[i % 2 == 1] == [0, 0, 1]).all()


def test_without_boxes_there_is_none_and_attributes_are_fields(folder):
    table = {f"{i:03}.png": {"objects": [{"colour": "red", "digit": i % 3}], "relationships": []} for i in range(N)}
    found = data.load(write(folder, table))
    record = Record({"colour": ClassLabel(1, ("red",)), "digit": ClassLabel(3, ("0", "1", "2"))})
    assert found.spec.condition == {"objects": Many(record, 1)}


def test_pictures_without_a_graph_and_graphs_without_a_picture_are_named(folder):
    found = data.load(write(folder, {f"{i:03}.png": graph(i) for i in range(1, N + 1)}))
    assert [each.path for each in found.unreadable] == [str(folder / "040.png")]
    assert [(each.count, each.example) for each in found.altered] == [(1, str(folder / "000.png"))]
    empty = sum(int((~split.field("objects.mask").any(1)).sum()) for split in found.splits)
    assert empty == 1


def test_a_picture_that_alone_has_a_class_is_a_training_item(folder, pixels):
    table = {f"{i:03}.png": graph(i) for i in range(N)}
    held_out = data.load(write(folder, table)).test.x[0].tobytes()
    only = next(i for i in range(N) if pixels[i].tobytes() == held_out)
    table[f"{only:03}.png"]["objects"][1] = "cow"
    found = data.load(write(folder, table))
    assert found.spec.condition["objects"].field.fields["class"].names == ("cow", "sheep", "sky")
    assert held_out in {x.tobytes() for x in found.train.x}
    assert [len(split) for split in found.splits] == [33, 4, 3]


def test_a_class_that_only_an_official_test_part_has_is_named(tmp_path, write_images, pixels):
    for part, own in (("train", pixels[:30]), ("test", pixels[30:])):
        write_images(tmp_path / "s" / part, own)
        write(tmp_path / "s" / part, {f"{i:03}.png": graph(i) for i in range(len(own))})
    data.load(tmp_path / "s")
    strange = {f"{i:03}.png": graph(i) for i in range(10)}
    strange["003.png"]["objects"][1] = "cow"
    write(tmp_path / "s" / "test", strange)
    with pytest.raises(DataError, match=r"objects\.class: test items have 'cow', which no training item has"):
        data.load(tmp_path / "s")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"relationships": [[0, "above", 5]]},
            r"graphs\.json, 000\.png: .*'above', 5\] is to object 5, .* 0 to 1",
        ),
        ({"relationships": [[-1, "above", 0]]}, "is to object -1"),
        ({"relationships": [["sky", "above", 0]]}, r"a relationship is \[subject, predicate, object\]"),
        ({"relationships": [[0, "above", True]]}, "a relationship is"),
        ({"boxes": [[0, 0, 1, 1]]}, "1 boxes for 2 objects"),
        ({"boxes": [None, [0, 0, 300, 200]]}, "object 1 has the box .* in shares of the sides"),
        ({"boxes": [None, [0.5, 0, 0.5, 1]]}, "object 1 has the box"),
        ({"objects": ["sky", 3]}, "object 1 is a name"),
        ({"objects": "sky"}, "is no scene graph"),
        ({"objects": ["sky", {"colour": "red"}]}, "object 1 has not one word for each of class"),
    ],
)
def test_a_graph_that_is_none_is_named(folder, wrong, said):
    table = {f"{i:03}.png": graph(2 * i) for i in range(N)}
    table["000.png"] |= wrong
    with pytest.raises(DataError, match=said):
        data.load(write(folder, table))


def test_files_of_other_programs_are_passed_over(folder):
    (folder / "003.json").write_text('{"shapes": []}')
    assert not data.load(folder).spec.condition


def test_boxes_follow_the_crop(tmp_path):
    """A bright block in a wide picture: its box in the picture that is cropped to a square holds the bright pixels."""
    (tmp_path / "w").mkdir()
    random = np.random.default_rng(0)
    table = {}
    for i in range(20):
        pixels = random.integers(0, 20, (16, 32), dtype=np.uint8)
        pixels[4:8, 12:20] = 255
        Image.fromarray(pixels).save(tmp_path / "w" / f"{i:03}.png")
        boxes = [[12 / 32, 4 / 16, 20 / 32, 8 / 16], [0, 0, 0.1, 1]]
        table[f"{i:03}.png"] = {"objects": ["block", "edge"], "relationships": [], "boxes": boxes}
    found = data.load(write(tmp_path / "w", table), resize=16)
    x0, y0, x1, y1 = (16 * found.train.field("objects.box")[0, 0]).astype(int)
    bright = found.train.x[0, 0] > 128
    assert bright[y0:y1, x0:x1].all()
    assert bright.sum() == (y1 - y0) * (x1 - x0)
    assert (found.train.field("objects.box")[0, 1] == NO_BOX).all()  # it was cut away


def test_a_crop_of_the_same_shape_changes_no_box():
    boxes = np.array([[[0, 0.2, 0.5, 1], NO_BOX, [0, 0, 0, 0]]], np.float32)
    assert (in_the_crop(boxes, (30, 20), (15, 10)) == boxes).all()


def test_other_graphs_are_expressed_by_the_model(tmp_path, write_images, pixels, folder):
    write(folder, {f"{i:03}.png": graph(i) for i in range(N)})
    model = VAE(data.load(folder).spec.conditioned_on(["objects", "relations"]), latent=2)
    other = write_images(tmp_path / "other", pixels[:20])
    one = {"objects": ["sheep"], "relationships": []}
    write(
        other,
        {f"{i:03}.png": one if i else {"objects": ["sky"], "relationships": [[0, "beside", 0]]} for i in range(20)},
    )
    found = data_of(model, other)
    assert {name: found.spec.condition[name] for name in model.spec.condition} == dict(model.spec.condition)
    every = np.concatenate([split.field("objects.class")[:, 0] for split in found.splits])
    assert np.bincount(every).tolist() == [19, 1]
    assert (found.train.field("objects.box")[:, 0] == NO_BOX).all()
    assert found.train.field("relations.predicate").max() == 1
    write(other, {f"{i:03}.png": {"objects": ["cow"], "relationships": []} for i in range(20)})
    with pytest.raises(UsageError, match=r"the class 'cow' of 'objects\.class', and the model knows sheep, sky"):
        data_of(model, other)
    write(other, {f"{i:03}.png": {"objects": ["sky"] * 4, "relationships": []} for i in range(20)})
    with pytest.raises(UsageError, match="4 elements of 'objects', and the model at most 3"):
        data_of(model, other)


# One graph as a value

SCENES = data.DataSpec(Levels((3, 32, 32), 256), {name: fields(32)[name] for name in ("objects", "relations")})
RED = {"digit": 3, "colour": "red", "size": "small"}
BLUE = {"digit": 7, "colour": "blue", "size": "large"}


def columns_of(record, spec=SCENES):
    values = graph_values(record, spec)
    return {k: v for name, own in values.items() for k, v in spec.condition[name].convert(name, own, True).items()}


@pytest.mark.parametrize(
    "objects", [[RED, BLUE], ["small red 3", "large blue 7"], ["a 3 small red", "the blue large 7"]]
)
def test_objects_are_named_by_tables_or_phrases(objects):
    found = columns_of({"objects": objects, "relationships": [[0, "left of", 1]]})
    assert found["objects.digit"][0].tolist() == [3, 7, 0, 0]
    assert found["objects.colour"][0].tolist() == [0, 2, 0, 0]
    assert found["objects.size"][0].tolist() == [0, 1, 0, 0]
    assert found["objects.mask"][0].tolist() == [True, True, False, False]
    assert (found["objects.box"][0, :2] == NO_BOX).all()
    assert [int(found[f"relations.{key}"][0, 0]) for key in ("subject", "predicate", "object")] == [0, 0, 1]
    assert found["relations.mask"].sum() == 1


def test_boxes_are_taken_where_they_are_given():
    found = columns_of({"objects": ["small red 3", "large blue 7"], "boxes": [SKY, None]})
    assert found["objects.box"][0, :2].tolist() == [SKY, [*NO_BOX]]
    found = columns_of({"objects": [RED | {"box": SKY}]})
    assert found["objects.box"][0, 0].tolist() == SKY


def test_names_of_several_words():
    thing = Record({"class": ClassLabel(3, ("light", "traffic light", "the sea"))})
    spec = data.DataSpec(Levels((1, 8, 8), 256), {"objects": Many(thing, 3)})
    found = columns_of({"objects": ["traffic light", "a light", "the sea"], "relationships": [[0, "on", 1]]}, spec)
    assert found["objects.class"][0].tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"objects": ["small red 3"], "relationships": [[0, "above", 1]]}, "is to object 1, and they are 0 to 0"),
        ({"objects": [RED, BLUE], "relationships": [[0, "abov", 1]]}, "predicate: .*'abov'. Did you mean 'above'"),
        ({"objects": ["red 3"]}, "object 0, 'red 3', has no 'size': small or large"),
        ({"objects": [{"digit": 3}]}, "has no 'colour': red or green"),
        ({"objects": ["small rad 3"]}, "'rad' is no attribute of it. Did you mean 'red'"),
        ({"objects": [RED | {"colour": "rad"}]}, "colour: there is no class 'rad'. Did you mean 'red'"),
        ({"objects": [RED | {"digit": 12}]}, "label 12 does not exist"),
        ({"objects": [RED | {"colr": 1}]}, "has 'colr', and no object has. Did you mean 'colour'"),
        ([], "the graph is no scene graph"),
    ],
)
def test_a_graph_that_the_model_cannot_read_says_why(record, said):
    with pytest.raises(UsageError, match=said):
        graph_values(record, SCENES)


def test_a_graph_is_for_models_of_graphs():
    with pytest.raises(UsageError, match="conditioned on label"):
        graph_values({"objects": []}, data.DataSpec(Levels((1, 2, 2), 2), {"label": ClassLabel(2)}))
    alone = SCENES.conditioned_on("objects")
    assert graph_values({"objects": [RED], "relationships": []}, alone).keys() == {"objects"}
