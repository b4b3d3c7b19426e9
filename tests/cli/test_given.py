"""`--given FIELD=VALUE`, by the kind of the field, and what else every command about a run takes."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from small import randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli.given import values_of
from simulacra.data import ClassLabel, DataSpec, Index, LabelMap, Levels, Many, Real, Record, Tokens
from simulacra.errors import DataError, UsageError

X = Levels((1, 8, 8), 17)
RNG = np.random.default_rng(0)
FIELDS = {
    "shape": ClassLabel(3, ("square", "disc", "cross")),
    "seed": ClassLabel(4),
    "attributes": Real((3,)),
    "counts": Levels((2,), 5),
    "caption": Tokens(("a", "red", "square"), 4),
    "small": Levels((1, 4, 4), 5),
    "photo": Real((3, 4, 4)),
    "map": LabelMap(3, (8, 8)),
    "of": Index("objects", 2),
    "box": Record({"place": Real((2,)), "kind": ClassLabel(2)}),
    "objects": Many(Record({"kind": ClassLabel(2), "place": Real((2,))}), 3),
    "tags": Many(ClassLabel(4), 2),
}


def model(*names: str, of: str = "vae") -> sim.Model:
    return randomise(small_model(registry.find(of), DataSpec(X, {name: FIELDS[name] for name in names})), 0.4).eval()


@pytest.fixture
def saved(tmp_path):
    """A run folder of a model that is conditioned on these fields."""

    def save(*names: str, of: str = "vae"):
        folder = tmp_path / "run"
        sim.save(model(*names, of=of), folder / "model")
        return folder

    return save


class Fields:
    """What `values_of` needs of a model: values are read for fields that no family may know yet."""

    spec = DataSpec(X, FIELDS)


def columns(name: str, text: str) -> dict[str, np.ndarray]:
    """The columns of one field from its text, checked by the field itself."""
    value = values_of([f"{name}={text}"], Fields)[name]
    return FIELDS[name].convert(name, value, FIELDS[name].is_single(value))


# By the kind of the field


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("shape", "disc", [1]),
        ("shape", "2", [2]),
        ("seed", "3", [3]),
        ("attributes", "0.5,-1,2e-3", [[0.5, -1, 2e-3]]),
        ("counts", "4,0", [[4, 0]]),
        ("caption", "a red square", [[0, 1, 2, -1]]),
        ("of", "1", [1]),
    ],
)
def test_text_is_read_as_the_field_is(name, text, value):
    (found,) = columns(name, text).values()
    np.testing.assert_allclose(found, np.array(value, found.dtype))


def test_a_picture_is_brought_to_the_levels_of_its_field(tmp_path):
    levels = RNG.integers(0, 5, (4, 4), dtype=np.uint8)
    Image.fromarray(np.rint(levels * (255 / 4)).astype(np.uint8)).save(tmp_path / "small.png")
    assert (columns("small", str(tmp_path / "small.png"))["small"][0, 0] == levels).all()
    bright = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(bright).save(tmp_path / "photo.png")
    found = columns("photo", str(tmp_path / "photo.png"))["photo"][0]
    np.testing.assert_allclose(found, bright.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)
    classes = RNG.integers(0, 3, (8, 8), dtype=np.uint8)
    Image.fromarray(classes).save(tmp_path / "map.png")
    assert (columns("map", str(tmp_path / "map.png"))["map"][0] == classes).all()


def test_arrays_in_files_are_one_value_or_one_for_each_item(tmp_path):
    many = RNG.integers(0, 5, (6, 1, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "one.npy", many[0])
    np.save(tmp_path / "many.npy", many)
    np.savez(tmp_path / "named.npz", x=many[1], small=many[2])
    np.savez(tmp_path / "other.npz", x=many[3])
    for file, expected in (
        ("one.npy", many[:1]),
        ("many.npy", many),
        ("named.npz", many[2:3]),
        ("other.npz", many[3:4]),
    ):
        assert (columns("small", str(tmp_path / file))["small"] == expected).all()
    np.save(tmp_path / "labels.npy", [2, 0])
    assert columns("shape", str(tmp_path / "labels.npy"))["shape"].tolist() == [2, 0]


def test_columns_of_records_and_lists_are_in_one_file(tmp_path):
    np.savez(tmp_path / "box.npz", place=np.array([0.5, 1.0]), kind=np.array(1))
    found = columns("box", str(tmp_path / "box.npz"))
    assert {name: values.tolist() for name, values in found.items()} == {"box.place": [[0.5, 1.0]], "box.kind": [1]}
    mask, kind, place = np.array([1, 1, 0], bool), np.array([1, 0, 0]), RNG.normal(size=(3, 2))
    np.savez(tmp_path / "objects.npz", mask=mask, kind=kind, place=place)
    found = columns("objects", str(tmp_path / "objects.npz"))
    assert found["objects.mask"].tolist() == [mask.tolist()]
    assert found["objects.kind"].tolist() == [kind.tolist()]
    np.testing.assert_allclose(found["objects.place"][0, :2], place[:2], rtol=1e-6)
    assert (found["objects.place"][0, 2] == 0).all()  # what is padding is forgotten
    np.savez(tmp_path / "tags.npz", mask=np.array([True, False]), tags=np.array([3, 0]))
    assert columns("tags", str(tmp_path / "tags.npz"))["tags"].tolist() == [[3, 0]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("shape", "sqare", "Did you mean 'square'"),
        ("shape", "3", "the labels are 0 to 2"),
        ("attributes", "0.5,-1", r"of shape \(3,\), not of shape \(2,\)"),
        ("attributes", "0.5,much,1", "numbers with commas between them, not '0.5,much,1'"),
        ("attributes", "0.5,nan,1", "finite real numbers"),
        ("counts", "5,0", "integers 0 to 4"),
        ("counts", "0.5,0", "numbers with commas"),
        ("caption", "a blue square", "'blue' is not in the vocabulary"),
        ("caption", "a a a a a", "at most 4 tokens"),
        ("small", "dark", "give a file, FILE.png or FILE.npy, not 'dark'"),
        ("small", "nothing.png", "there is no picture nothing.png"),
        ("small", "nothing.npy", "there is no file nothing.npy"),
        ("counts", "counts.png", "no picture; give its numbers"),
        ("objects", "1,2", "a .npz file with its columns"),
        ("of", "2", "a place in 'objects', 0 to 1, or -1 for none: 2 is none"),
    ],
)
def test_what_is_no_value_of_its_field_is_refused(name, text, message):
    with pytest.raises(UsageError, match=message):
        columns(name, text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shape"], "FIELD=VALUE, such as label=3, not 'shape'"),
        (["shape="], "FIELD=VALUE"),
        (["=3"], "FIELD=VALUE"),
        (["shape=1", "shape=2"], "'shape' is given twice"),
    ],
)
def test_another_form_is_refused(words, message):
    with pytest.raises(UsageError, match=message):
        values_of(words, Fields)


def test_files_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(DataError, match=r"text\.npy"):
        columns("small", str(tmp_path / "text.npy"))
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(UsageError, match="holds the arrays a, b, and none is called 'attributes'"):
        columns("attributes", str(tmp_path / "two.npz"))
    np.savez(tmp_path / "box.npz", place=np.zeros(2))
    with pytest.raises(UsageError, match="'box' is a table with place, kind, and the file has no 'kind'"):
        columns("box", str(tmp_path / "box.npz"))
    np.savez(tmp_path / "mask.npz", mask=np.ones(3, bool))
    with pytest.raises(UsageError, match=r"'objects' has the columns objects.mask, objects.kind, objects.place"):
        columns("objects", str(tmp_path / "mask.npz"))
    Image.new("L", (5, 4)).save(tmp_path / "wide.png")
    with pytest.raises(UsageError, match=r"'small' takes 4×4 grey pictures, and .*wide\.png is 5×4 grey; ") as refusal:
        columns("small", str(tmp_path / "wide.png"))
    assert (
        "use `simulacra translate` with --resize, name DATA whose items have it, or save it in that form, by Pillow"
        in (str(refusal.value))
    )
    from PIL.Image import Resampling

    mended = Image.open(tmp_path / "wide.png").convert("L").resize((4, 4), Resampling.BOX)  # as the message says
    mended.save(tmp_path / "mended.png")
    assert columns("small", str(tmp_path / "mended.png"))["small"].shape == (1, 1, 4, 4)
    with pytest.raises(UsageError, match=r"'map' takes 8×8 grey pictures.*\(8, 8\), Image.Resampling.NEAREST"):
        columns("map", str(tmp_path / "wide.png"))


# Through the commands


def test_a_model_can_be_drawn_from_by_class_whatever_the_field_is_called(printed, saved, tmp_path):
    run, out = saved("shape", "seed", of="gated-pixelcnn"), tmp_path / "x.npz"
    printed("sample", run, "-n", "3", "--given", "shape=cross", "seed=1", "--out", out)
    with np.load(out) as written:
        assert written["shape"].tolist() == [2] * 3
        assert written["seed"].tolist() == [1] * 3
        expected = sim.sample(run, 3, condition={"shape": "cross", "seed": 1})
        assert (written["x"] == expected).all()
    printed("sample", run, "-n", "3", "--given", "shape=cross", "--given", "seed=1", "--out", out)  # the same in two
    with np.load(out) as written:
        assert (written["x"] == expected).all()


def test_a_picture_and_a_class_at_once(printed, saved, tmp_path):
    run, out = saved("small", "shape"), tmp_path / "x.npz"
    small = RNG.integers(0, 5, (1, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "small.npy", small)
    given, condition = ["--given", f"small={tmp_path / 'small.npy'}", "shape=disc"], {"small": small, "shape": "disc"}
    printed("sample", run, "-n", "3", *given, "--out", out)
    with np.load(out) as written:
        assert (written["small"] == small).all()
        assert (written["x"] == sim.sample(run, 3, condition=condition)).all()
    printed("interpolate", run, "--rows", "2", "--steps", "3", *given, "--out", out)
    assert (np.load(out)["x"] == sim.interpolate(run, 3, 2, condition=condition).numpy()).all()
    printed("traverse", run, "--steps", "3", *given, "--out", out)
    assert (np.load(out)["x"] == sim.traverse(run, steps=3, condition=condition).items).all()
    printed("manifold", run, "--side", "3", *given, "--out", out)
    assert (np.load(out)["x"] == sim.manifold(run, side=3, condition=condition).items).all()


def test_a_picture_of_ones_own_is_edited_under_its_condition(printed, refused, saved, tmp_path):
    run, out = saved("attributes"), tmp_path / "x.npz"
    Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "mine.png")
    words = ["edit", run, tmp_path / "mine.png", "--dim", "0=1", "--out", out]
    printed(*words, "--given", "attributes=1,0,-1")
    x = np.load(out)["x"][:, 0]
    again = sim.edit(run, x, {0: 1.0}, condition={"attributes": [1.0, 0.0, -1.0]})
    assert (np.load(out)["x"][:, 2] == again.after).all()
    assert "--given attributes=0,0,0" in refused(*words)


def test_label_is_the_short_form(printed, refused, tmp_path):
    spec = DataSpec(X, {"label": ClassLabel(3, ("a", "b", "c"))})
    sim.save(randomise(small_model(registry.find("vae"), spec)).eval(), tmp_path / "model")
    drawn = []
    for words in (["--label", "b"], ["--given", "label=1"]):
        printed("sample", tmp_path, "-n", "2", *words, "--out", tmp_path / "x.npz")
        drawn.append(np.load(tmp_path / "x.npz")["x"])
    assert (drawn[0] == drawn[1]).all()
    assert "'label' is given twice" in refused("sample", tmp_path, "--label", "b", "--given", "label=1")


def test_what_is_missing_or_unknown_is_said_with_the_remedy(refused, saved):
    run = saved("small", "shape")
    missing = refused("sample", run)
    assert "conditioned on 'small', 1×4×4, 5 levels: give it with --given small=FILE.png" in missing
    assert "also conditioned on 'small'" in refused("interpolate", run, "--given", "shape=disc")
    assert "not conditioned on 'shap'. Did you mean 'shape'" in refused("traverse", run, "--given", "shap=disc")
    assert "not conditioned on 'label'" in refused("manifold", run, "--label", "3")
    assert "no class 'disk'. Did you mean 'disc'" in refused("sample", saved("shape"), "--given", "shape=disk")


def test_classes_are_shown_in_turn_without_a_condition(printed, saved, tmp_path):
    run = saved("shape")
    printed("sample", run, "-n", "4", "--out", tmp_path / "x.npz")
    assert np.load(tmp_path / "x.npz")["shape"].tolist() == [0, 1, 2, 0]


# Devices, modules, and how the data of a run were read


def test_a_device_is_chosen(printed, refused, saved, tmp_path):
    run = saved("shape")
    printed("sample", run, "-n", "2", "--device", "cpu", "--out", tmp_path / "x.npz")
    assert "'tpu' cannot be used here" in refused("sample", run, "--device", "tpu")
    assert "cuda:9" in refused("traverse", run, "--device", "cuda:9")


def test_modules_register_models_before_a_command_runs(printed, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_given.py").write_text("MARK = 1\n")
    for words in (["--import", "mine_of_given"], ["--import=mine_of_given"]):
        sys.modules.pop("mine_of_given", None)
        assert json.loads(printed("data", "digits", "--json", *words))["name"] == "digits"
        assert "mine_of_given" in sys.modules
    (tmp_path / "broken_of_given.py").write_text("raise ValueError('half done')\n")
    assert "--import broken_of_given: ValueError: half done" in refused("data", "digits", "--import", "broken_of_given")
    assert "--import nowhere_at_all: ModuleNotFoundError" in refused("--import", "nowhere_at_all", "data", "digits")
    assert "--import needs the name" in refused("data", "digits", "--import")


def test_the_target_of_the_run_is_that_of_its_data(printed, tmp_path):
    rng = np.random.default_rng(0)
    other = rng.integers(0, 5, (40, 1, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "pairs.npz", x=rng.integers(0, 17, (40, 1, 8, 8), dtype=np.uint8), other=other)
    run = tmp_path / "run"
    torch.manual_seed(0)
    data = sim.data.load(tmp_path / "pairs.npz", target="other")
    sim.save(small_model(registry.find("vae"), data.spec.conditioned_on(())), run / "model")
    printed("encode", run, tmp_path / "pairs.npz", "--target", "other", "--out", tmp_path / "codes.npz")
    expected = np.load(tmp_path / "codes.npz")["mean"]
    (run / "run.json").write_text(json.dumps({"data": data.origin.to_json()}))
    printed("encode", run, tmp_path / "pairs.npz", "--out", tmp_path / "codes.npz")
    assert (np.load(tmp_path / "codes.npz")["mean"] == expected).all()


def test_what_a_stranger_may_type_instead_is_refused_with_the_remedy(refused, printed, saved, tmp_path):
    run = saved("shape")
    assert "not conditioned on 'label' but on 'shape': use --given shape=..." in refused("sample", run, "--label", "1")
    assert "--given needs FIELD=VALUE" in refused("sample", run, "--given")
    assert "one class for all items, not '0,1'; give a .npy file" in refused("sample", run, "--given", "shape=0,1")
    assert "--each 2 is for the conditions of DATA" in refused("sample", run, "--each", "2")
    printed("sample", run, "-n", "2", "--given", "shape = disc", "--out", tmp_path / "x.npz")
    assert np.load(tmp_path / "x.npz")["shape"].tolist() == [1, 1]
    sim.save(model(), tmp_path / "free")
    assert "fit it with --condition down" in refused("sample", tmp_path / "free", "--given", "down=x.png")
    fit = ["fit", "vae", "digits", "--out", tmp_path / "fit"]
    assert "--condition needs a field" in refused(*fit, "--condition")
    for wrong in ("label=3", "label,down", "down=2"):
        assert "each by itself, without values" in refused(*fit, "--condition", wrong)
