"""`simulacra translate`: files and folders in, files of the same names out; and what else is given by a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small import labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli import main
from simulacra.cli.given import values_of
from simulacra.cli.output import answer_names, write_answers
from simulacra.data import ClassLabel, DataSpec, Index, LabelMap, Levels, Many, Record, Tokens
from simulacra.errors import DataError, UsageError
from simulacra.fields import Classes
from simulacra.model import Model
from simulacra.pictures import class_colours, picture

X = Levels((1, 8, 8), 17)
STEPS = ["--steps", "2", "--width", "4", "--layers", "2", "--kernel", "3"]


@pytest.fixture(scope="module")
def down(tmp_path_factory):
    """A model of digits given their small pictures, 4×4."""
    out = tmp_path_factory.mktemp("runs") / "down"
    assert main(["fit", "gated-pixelcnn", "digits", "--condition", "down:factor=2", *STEPS, "--out", str(out)]) == 0
    return out


@pytest.fixture
def run(tmp_path):
    """The run folder of a model of random weights under these fields."""

    def saved(*words: str, of: str = "gated-pixelcnn", **fields):
        spec = DataSpec(X, fields).conditioned_on([*fields, *words])
        sim.save(randomise(small_model(registry.find(of), spec), 0.4).eval(), tmp_path / "run" / "model")
        return tmp_path / "run"

    return saved


@pytest.fixture
def photos(tmp_path):
    """Three test digits as pictures of their own size, one of them with another ending."""
    folder, x = tmp_path / "photos", np.asarray(sim.data.load("digits").test.x[:3, 0])
    folder.mkdir()
    for name, item in zip(("eight.png", "six.bmp", "zero.png"), x, strict=True):
        Image.fromarray(bright(item)).save(folder / name)
    return folder


def model_of(spec: DataSpec) -> Model:
    return small_model(registry.find("gated-pixelcnn"), spec)


def bright(item: np.ndarray) -> np.ndarray:
    return np.rint(item * (255 / 16)).astype(np.uint8)


def test_a_folder_of_pictures_becomes_one_of_the_same_names(printed, down, photos, tmp_path):
    said = printed("translate", down, photos, "--seed", "3")
    assert said == f"3 inputs, 1 answer to each, in {down / 'translated'}\n"
    written = down / "translated"
    assert sorted(path.name for path in written.glob("*.png")) == ["eight.png", "six.png", "zero.png"]
    x = np.asarray(sim.data.load("digits").test.x[:3])
    expected = sim.translate(down, x, seed=3)  # of pictures of the size of x the small ones are made
    for i, name in enumerate(("eight", "six", "zero")):
        assert (np.asarray(Image.open(written / f"{name}.png")) == bright(expected[i, 0, 0])).all()
    printed("translate", down, photos, "-n", "2", "--out", tmp_path / "two")
    names = [f"{name}-{k}.png" for name in ("eight", "six", "zero") for k in (1, 2)]
    assert sorted(path.name for path in (tmp_path / "two").glob("*.png")) == names
    printed("translate", down, photos / "six.bmp", "--out", tmp_path / "two")  # answers take the place of answers
    assert [path.name for path in (tmp_path / "two").glob("*.png")] == ["six.png"]
    Image.open(photos / "zero.png").save(photos / "six.png")  # the names differ in their endings alone
    printed("translate", down, photos, "--out", tmp_path / "clash")
    clash = sorted(path.name for path in (tmp_path / "clash").glob("*.png"))
    assert clash == ["eight.png", "six.bmp.png", "six.png.png", "zero.png"]


def test_what_is_there_is_never_replaced_unless_it_is_answers(refused, down, photos, tmp_path):
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    assert "holds other things than answers" in refused("translate", down, photos / "zero.png", "--out", photos)
    assert "is the input itself" in refused("translate", down, photos / "zero.png", "--out", photos / "zero.png")
    (tmp_path / "truth").mkdir()  # the same names, and no answers
    (tmp_path / "truth" / "zero.png").write_bytes(before["zero.png"])
    assert "holds other things" in refused("translate", down, photos / "zero.png", "--out", tmp_path / "truth")
    assert (tmp_path / "truth" / "zero.png").read_bytes() == before["zero.png"]
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    assert "cannot write" in refused("translate", down, photos, "--out", tmp_path / "x.jpg")


def test_data_show_input_answers_and_truth_side_by_side(printed, down, tmp_path):
    record = json.loads(printed("translate", down, "digits", "-n", "2", "--limit", "3", "--json"))
    assert record == {"n": 3, "answers": 2, "seed": 0, "out": str(down / "translation.png")}
    with Image.open(record["out"]) as picture:
        assert picture.size == ((4 * 9 + 1) * 12, (3 * 9 + 1) * 12 + 32)  # input, two answers, truth; a line above
    printed("translate", down, "-n", "2", "--limit", "3", "--out", tmp_path / "t.npz")  # the run's own data
    with np.load(tmp_path / "t.npz") as written:
        assert written["x"].shape == (3, 2, 1, 8, 8)
        assert written["input"].shape == (3, 1, 4, 4)
        small = written["truth"].reshape(3, 1, 4, 2, 4, 2).mean((3, 5))
        assert (np.floor(small + 0.5) == written["input"]).all()
        assert (written["x"] == sim.translate(down, written["input"], n=2)).all()
        np.save(tmp_path / "small.npy", written["input"])
        np.savez(tmp_path / "x.npz", x=written["truth"])
        for source in ("small.npy", "x.npz"):
            printed("translate", down, tmp_path / source, "-n", "2", "--out", tmp_path / "again.npz")
            with np.load(tmp_path / "again.npz") as again:
                assert (again["x"] == written["x"]).all()
                assert ("truth" in again) == (source == "x.npz")


def test_a_picture_of_another_size_needs_resize(printed, refused, down, photos, tmp_path):
    Image.new("L", (20, 30)).save(tmp_path / "large.png")
    said = refused("translate", down, tmp_path / "large.png")
    assert "20×30 grey" in said
    assert "--resize" in said
    assert "1 input, 1 answer" in printed("translate", down, tmp_path / "large.png", "--resize")
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "small.png")  # the condition itself
    printed("translate", down, tmp_path / "small.png", "--out", tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as written:
        assert (written["input"] == 16).all()
        assert "truth" not in written
    assert "there is no picture" in refused("translate", down, photos / "none.png")


def test_a_map_is_read_of_a_palette_and_resized_by_nearest_pixels(printed, refused, run, tmp_path):
    folder, classes = run(map=LabelMap(3, (8, 8))), np.arange(64, dtype=np.uint8).reshape(8, 8) % 3
    street = Image.fromarray(classes)
    street.putpalette([200, 10, 10, 10, 200, 10, 10, 10, 200])
    street.save(tmp_path / "street.png")
    printed("translate", folder, tmp_path / "street.png", "--out", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as written:
        assert (written["input"] == classes).all()
    printed("sample", folder, "-n", "2", "--given", f"map={tmp_path / 'street.png'}")
    spec = DataSpec(X, {"A": LabelMap(3, (8, 8))})
    assert (values_of([f"map={tmp_path / 'street.png'}"], model_of(spec))["A"] == classes).all()
    street.resize((24, 24), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    assert "--resize" in refused("translate", folder, tmp_path / "large.png")
    printed("translate", folder, tmp_path / "large.png", "--resize", "--out", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as written:
        assert (written["input"] == classes).all()
    Image.fromarray(classes + 100).save(tmp_path / "far.png")
    assert "the id 100 is none of 8×8, a map of 3 classes" in refused("translate", folder, tmp_path / "far.png", code=1)
    street.convert("RGB").save(tmp_path / "rgb.png")
    assert "rgb.png is of mode RGB" in refused("translate", folder, tmp_path / "rgb.png", code=1)


def test_maps_that_are_made_are_pictures_of_their_classes(tmp_path):
    spec, maps = DataSpec(Classes((1, 4, 4), 5)), np.arange(32, dtype=np.uint8).reshape(2, 1, 1, 4, 4) % 5
    write_answers(tmp_path / "maps", maps, spec, answer_names(["a.jpg", "b.jpg"], 2, 1))
    with Image.open(tmp_path / "maps" / "b.png") as written:
        assert (np.asarray(written) == maps[1, 0, 0]).all()
        colours = np.asarray(written.convert("RGB"))
    assert (colours == class_colours(5)[maps[1, 0, 0]]).all()
    assert (picture(maps[1], spec).getpixel((30, 30)) == class_colours(5)[maps[1, 0, 0, 1, 1]]).all()


class Brighter(Model):
    """Maps items to styles that are so many levels brighter."""

    def phases(self):
        return []

    @property
    def device(self):
        return torch.device("cpu")

    def translate(self, x, condition=None, generator=None):
        given = self.conditioned(condition, len(x))
        return (x + given["style"].view(-1, 1, 1, 1)).clamp(max=16).byte()


def test_pictures_are_mapped_to_a_domain_and_edited(printed, refused, photos, tmp_path, monkeypatch):
    made = Brighter(DataSpec(X, {"style": ClassLabel(3, ("ink", "oil", "chalk"))}))
    monkeypatch.setattr(sim.model, "load", lambda *_: made)
    monkeypatch.setattr(sim, "load", lambda *_: made, raising=False)
    printed("translate", tmp_path, photos, "--to", "chalk", "--out", tmp_path / "made")
    item = np.asarray(Image.open(photos / "zero.png")).astype(int)
    found = np.asarray(Image.open(tmp_path / "made" / "zero.png")).astype(int)
    assert (found == bright(np.minimum(np.rint(item * 16 / 255) + 2, 16))).all()
    assert "oil" in refused("translate", tmp_path, photos, "--to", "oli")
    assert "--to ink" in refused("translate", tmp_path, photos)
    assert "of no field" in refused("translate", tmp_path, photos, "--to", "oil", "--to", "ink")
    said = ("edit", tmp_path, photos / "zero.png", "--given", "style=ink", "--set", "style=oil")
    printed(*said, "--out", tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as written:
        before, own, after = written["x"][0].astype(int)
        assert (own == before).all()
        assert (after == np.minimum(before + 1, 16)).all()


def test_a_model_of_what_a_mask_leaves_fills_what_it_was_fitted_to(printed, run, tmp_path):
    folder = run("mask:kind=centre", of="vae")
    record = json.loads(printed("complete", folder, "digits", "-n", "2", "--json", "--out", tmp_path / "c.npz"))
    assert (record["mask"], record["unknown"], record["nats"]) == ("centre", 16, None)
    with np.load(tmp_path / "c.npz") as written:
        known = ~written["mask"]
        assert (written["completed"][..., known] == written["x"][:, None][..., known]).all()


# Other words of --given

THING, PLACE = Record({"digit": ClassLabel(10)}), Index("objects", 2)
GRAPH = {
    "objects": Many(THING, 2),
    "relations": Many(Record({"subject": PLACE, "predicate": ClassLabel(1, ("above",)), "object": PLACE}), 1),
}


class Fields:
    """What `values_of` needs of a model."""

    def __init__(self, **fields) -> None:
        self.spec = DataSpec(X, fields)


def test_text_is_the_one_field_of_tokens():
    words = Tokens(("a", "red", "3"), 4)
    assert values_of(["text=a red 3"], Fields(caption=words)) == {"caption": "a red 3"}
    assert values_of(["text=a red 3"], Fields(caption=words, other=words)) == {"text": "a red 3"}  # refused later
    assert values_of(["text=1"], Fields(text=ClassLabel(2), caption=words)) == {"text": "1"}
    with pytest.raises(UsageError, match="'caption' is given twice"):
        values_of(["text=a", "caption=a"], Fields(caption=words))


def test_a_graph_gives_objects_and_relations_at_once(tmp_path):
    record = {"objects": [{"digit": 3}, "7"], "relationships": [[0, "above", 1]]}
    (tmp_path / "scene.json").write_text(json.dumps(record))
    model = Fields(**GRAPH, **labels(2))
    values = values_of([f"graph={tmp_path / 'scene.json'}", "label=1"], model)
    assert [own["digit"] for own in values["objects"]] == [3, 7]
    assert values["relations"] == [{"subject": 0, "predicate": 0, "object": 1}]
    assert values["label"] == "1"
    with pytest.raises(UsageError, match="'objects' is given twice"):
        values_of([f"graph={tmp_path / 'scene.json'}"] * 2, model)
    assert values_of(["graph=scene.json"], Fields(**labels(2))) == {"graph": "scene.json"}  # refused later
    (tmp_path / "torn.json").write_text("{")
    with pytest.raises(DataError, match=r"torn\.json"):
        values_of([f"graph={tmp_path / 'torn.json'}"], model)
    with pytest.raises(UsageError, match="there is no file"):
        values_of(["graph=none.json"], model)
