"""Maps of classes as PNG files: numbers stay numbers, and a class that nobody declared is no class."""

import json

import numpy as np
import pytest
from PIL import Image
from small import small_model

import simulacra.data as data
from simulacra import registry
from simulacra.cli import main
from simulacra.data.maps import classes_in
from simulacra.errors import DataError, UsageError
from simulacra.fields import Classes, LabelMap, Levels
from simulacra.parts import as_part, to_json
from simulacra.verbs import data_of

DECLARED = [
    {"id": 0, "name": "sky", "colour": [70, 130, 180]},
    {"id": 1, "name": "road", "colour": "#804080"},
    {"id": 3, "name": "car", "colour": [0, 0, 142]},
]
COLOURS = np.array([[70, 130, 180], [128, 64, 128], [1, 2, 3], [0, 0, 142]], np.uint8)
PALETTE = [value for number in range(256) for value in (number, 255 - number, 7)]


def maps(n, seed=0, numbers=(0, 1, 3), shape=(6, 8)):
    return np.random.default_rng(seed).choice(np.array(numbers, np.uint8), (n, *shape))


def save(folder, arrays, palette=None):
    folder.mkdir(parents=True, exist_ok=True)
    for i, each in enumerate(arrays):
        image = Image.fromarray(each)
        if palette is not None:
            image = Image.fromarray(each, "L")
            image.putpalette(palette)
            assert image.mode == "P"
        image.save(folder / f"{i:03}.png")
    return folder


@pytest.fixture
def make(tmp_path):
    """A folder of maps in A/ and photographs in B/, whose red is the number of the pair."""

    def made(arrays, palette=None, declared=None, side="A"):
        shape = arrays[0].shape[:2]
        photos = np.random.default_rng(5).integers(0, 256, (len(arrays), *shape, 3), dtype=np.uint8)
        photos[..., 0] = np.arange(len(arrays))[:, None, None]
        save(tmp_path / "d" / side, arrays, palette)
        save(tmp_path / "d" / {"A": "B", "B": "A"}[side], photos)
        if declared is not None:
            (tmp_path / "d" / "classes.json").write_text(json.dumps(declared))
        return tmp_path / "d"

    return made


def found_maps(dataset, name="A"):
    """The maps by the number of their pair."""
    found = {}
    for split in dataset.splits:
        numbers = np.asarray(split.x if name == "A" else split.field("A"))[:, 0, 0, 0]
        values = np.asarray(split.field("A") if name == "A" else split.x)
        found |= dict(zip(numbers.tolist(), values, strict=True))
    return [found[number] for number in sorted(found)]


def test_an_index_png_with_classes_is_a_map_of_them(make):
    own = maps(20)
    dataset = data.load(make(own, declared=DECLARED))
    colours = ("#4682b4", "#804080", "", "#00008e")
    assert dataset.spec.condition["A"] == LabelMap(4, (6, 8), ("sky", "road", "2", "car"), colours)
    assert (np.array(found_maps(dataset)) == own).all()
    assert dataset.summary()["maps"] == {"A": ["sky", "road", "2", "car"]}


def test_colours_that_are_declared_are_the_same_map(make):
    own = maps(20)
    dataset = data.load(make(COLOURS[own], declared=DECLARED))
    assert (np.array(found_maps(dataset)) == own).all()
    assert dataset.spec.condition["A"].names == ("sky", "road", "2", "car")


def test_ignored_pixels_are_the_last_class(make):
    own = maps(20, numbers=(0, 1, 3, 255))
    dataset = data.load(make(own, declared=DECLARED))
    assert dataset.spec.condition["A"].names == ("sky", "road", "2", "car", "ignore")
    assert (np.array(found_maps(dataset)) == np.where(own == 255, 4, own)).all()


def test_a_map_with_a_class_that_nobody_declared_is_refused_by_name(make):
    own = maps(20)
    own[7, 2, 2] = 9
    with pytest.raises(DataError, match=r"A/007.png: the id 9 is no class that .*classes.json declares"):
        data.load(make(own, declared=DECLARED))


def test_a_colour_that_nobody_declared_is_refused_by_name(make):
    own = COLOURS[maps(20)]
    own[7, 2, 2] = [1, 2, 3]
    with pytest.raises(DataError, match=r"A/007.png: the colour #010203 is no class"):
        data.load(make(own, declared=DECLARED))


def test_classes_that_no_side_shows_are_refused(make):
    with pytest.raises(DataError, match=r"neither A nor B holds maps of them: .*A/000.png has the id 9"):
        data.load(make(maps(20, numbers=(0, 9)), declared=DECLARED))


def test_a_palette_png_is_a_map_of_what_the_training_items_have(make):
    own = maps(40)
    dataset = data.load(make(own, PALETTE))
    colours = tuple(f"#{n:02x}{255 - n:02x}07" for n in range(4))
    assert dataset.spec.condition["A"] == LabelMap(4, (6, 8), ("0", "1", "2", "3"), colours)
    assert (np.array(found_maps(dataset)) == own).all()
    assert "A is read as maps of classes" in dataset.remarks[0]


def test_a_class_that_only_held_out_items_have_is_refused_unless_it_is_declared(make):
    own = maps(40)
    held_out = int(data.load(make(own, PALETTE)).test.x[0][0, 0, 0])
    own[held_out, 0, 0] = 6
    with pytest.raises(DataError, match="have the ids 6 in validation or test items, and in no training item"):
        data.load(make(own, PALETTE))
    declared = [*DECLARED, {"id": 6, "name": "tram"}]
    assert data.load(make(own, PALETTE, declared)).spec.condition["A"].names[6] == "tram"


def test_pictures_with_palettes_of_their_own_stay_pictures(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 6, 8, 3), dtype=np.uint8)
    for i, each in enumerate(pixels):
        for side in ("A", "B"):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(each).quantize(8 + i % 4).save(tmp_path / side / f"{i}.png")
    assert data.load(tmp_path).spec.condition["A"] == Levels((3, 6, 8), 256)


def test_maps_are_resized_by_the_nearest_pixel(make):
    own = maps(20, numbers=(0, 3), shape=(12, 16))
    dataset = data.load(make(own, declared=DECLARED), resize=(4, 4))
    values = np.array(found_maps(dataset))
    assert values.shape == (20, 4, 4)
    assert set(np.unique(values)) == {0, 3}  # no mean of the two
    blocks = np.kron(maps(20, 1, shape=(4, 4)), np.ones((1, 3, 3), np.uint8))
    small = data.load(make(blocks, declared=DECLARED), resize=4)
    assert (np.array(found_maps(small)) == blocks[:, 1::3, 1::3]).all()


def test_a_map_may_be_what_is_modelled(make, capsys):
    own = maps(20)
    dataset = data.load(make(own, declared=DECLARED), target="A")
    assert dataset.spec.x == Classes((1, 6, 8), 4)
    assert list(dataset.spec.condition) == ["x"]
    main(["data", dataset.source, "--target", "A"])
    assert "items        1×6×8, 4 classes" in capsys.readouterr().out


def test_answers_that_are_maps_become_levels_and_as_a_source_stay_maps(make):
    own = maps(20)
    folder = make(own, declared=DECLARED, side="B")
    dataset = data.load(folder)
    assert dataset.spec.x == Classes((1, 6, 8), 4)
    assert (np.array(found_maps(dataset, "x"))[:, 0] == own).all()
    with pytest.raises(DataError, match="leave out --levels"):
        data.load(folder, levels=256)
    assert data.load(folder, target="A").spec.condition["x"].names == ("sky", "road", "2", "car")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "no list of at least two classes"),
        ([{"id": 0, "name": "sky"}], "no list of at least two classes"),
        ([{"id": 0, "name": "sky"}, {"id": 0, "name": "road"}], "the id 0"),
        ([{"id": 0, "name": "sky"}, {"id": 300, "name": "road"}], "is no class; it needs an id"),
        ([{"id": 0, "name": "sky"}, {"id": 1}], "is no class"),
        ([{"id": 0, "name": "sky", "colour": "blue"}, {"id": 1, "name": "road"}], "'blue' is no colour"),
        ([{"id": 0, "name": "a", "colour": [1, 1, 1]}, {"id": 1, "name": "b", "colour": "#010101"}], "one colour"),
    ],
)
def test_classes_that_are_none_are_refused(make, wrong, message):
    with pytest.raises(DataError, match=message):
        data.load(make(maps(8), declared=wrong))


# The field


def test_a_field_without_names_reads_as_it_was_saved():
    assert as_part("field", {"map": {"classes": 4, "shape": [2, 3]}}, "map") == LabelMap(4, (2, 3))
    named = LabelMap(2, (2, 3), ("sky", "road"), ("#000000", ""))
    assert as_part("field", json.loads(json.dumps(to_json(named))), "map") == named
    with pytest.raises(DataError, match="2 classes has 1 names"):
        LabelMap(2, (2, 3), ("sky",))


def test_one_file_is_read_as_the_field_says(tmp_path):
    own = LabelMap(5, (6, 8), ("sky", "road", "2", "car", "ignore"), ("#4682b4", "#804080", "", "#00008e", ""))
    values = maps(1, numbers=(0, 1, 3, 255))[0]
    save(tmp_path / "index", [values])
    assert (classes_in(tmp_path / "index" / "000.png", own) == np.where(values == 255, 4, values)).all()
    save(tmp_path / "palette", [values], PALETTE)
    assert (classes_in(tmp_path / "palette" / "000.png", own) == np.where(values == 255, 4, values)).all()
    inside = maps(1)[0]
    save(tmp_path / "colours", [COLOURS[inside]])
    assert (classes_in(tmp_path / "colours" / "000.png", own) == inside).all()
    for name, wrong, message in (
        ("other", np.full((6, 8), 7, np.uint8), "the id 7"),
        ("hue", np.zeros((6, 8, 3), np.uint8), "the colour #000000"),
    ):
        save(tmp_path / name, [wrong])
        with pytest.raises(DataError, match=message):
            classes_in(tmp_path / name / "000.png", own)
    with pytest.raises(DataError, match="the id 255"):
        classes_in(tmp_path / "index" / "000.png", LabelMap(4, (6, 8), ("sky", "road", "2", "car")))


def test_maps_of_other_data_are_numbered_as_the_model_has_them(make):
    spec = data.load(make(maps(30), declared=DECLARED)).spec.conditioned_on("A")
    model = small_model(registry.find("vae"), spec)
    other = [DECLARED[2] | {"id": 0}, DECLARED[1], DECLARED[0] | {"id": 2}]
    found = data_of(model, make(maps(30, 1, (0, 1, 2)), declared=other))
    assert found.spec.condition["A"] == model.spec.condition["A"]
    assert set(np.unique(found.test.field("A"))) == {0, 1, 3}
    strange = make(maps(30, 1, (0, 1, 2)), declared=[*other[:2], {"id": 2, "name": "tram"}])
    with pytest.raises(UsageError, match="has the class 'tram' of 'A'"):
        data_of(model, strange)
