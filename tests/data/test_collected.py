"""Sets of pictures that lie in $SIMULACRA_DATA: small files of the same form, made here."""

import io
import json
import lzma
import shutil

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
import simulacra.data as data
from simulacra.data.collected import facades, fitted
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, LabelMap, Levels

N = 40
NAMES = ("quickdraw", "avatars", "emoji", "facades", "horse2zebra", "coco-layouts")


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    return tmp_path


def packed(path, array):
    file = io.BytesIO()
    np.save(file, array)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(lzma.compress(file.getvalue(), preset=0))


def differences(x):
    """Photographs as the files of facades hold them."""
    relative = x.copy()
    relative[:, [0, 2]] -= x[:, [1]]
    for axis in (3, 2):
        relative = np.diff(relative, axis=axis, prepend=np.uint8(0))
    return relative


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder with the files of all sets, and the photographs of facades; which item one is, its first pixel tells."""
    folder, random = tmp_path_factory.mktemp("collected"), np.random.default_rng(0)

    def numbered(*shape):
        x = random.integers(0, 256, (N, *shape), dtype=np.uint8)
        x.reshape(N, -1)[:, 0] = np.arange(N)
        return x

    kinds = np.arange(N) % 3
    packed(folder / "quickdraw" / "images_28.npy.xz", numbered(28, 28))
    np.savez(folder / "quickdraw" / "labels.npz", labels=kinds.astype(np.uint8), class_names=["a", "b", "c"])

    packed(folder / "avatars" / "images_64.npy.xz", numbered(64, 64, 3))
    options = {name: kinds.astype(np.int8) for name in ("expression", "hair", "skin")}
    np.savez(
        folder / "avatars" / "attributes.npz",
        split=(np.arange(N) % 4 - 1).clip(0).astype(np.int8),
        binary=np.stack([np.arange(N) % 2, kinds == 1], axis=1).astype(np.int8),
        binary_names=["smiling", "glasses"],
        **options,
        **{f"{name}_names": ["first", "second", "third"] for name in options},
    )

    for style in ("openmoji", "twemoji", "noto"):
        packed(folder / "emoji" / f"{style}_64.npy.xz", numbered(64, 64, 3))
    packed(folder / "emoji" / "openmoji_line_64.npy.xz", numbered(64, 64))
    records = [{"group": ("food", "animals", "flags")[kind], "name": f"thing {i}"} for i, kind in enumerate(kinds)]
    (folder / "emoji" / "captions.json").write_text(json.dumps(records))

    photos, maps = numbered(3, 128, 128), random.integers(0, 5, (N, 128, 128), dtype=np.uint8)
    maps[:, 0, 0] = kinds
    packed(folder / "facades" / "photos_128.delta.npy.xz", differences(photos))
    packed(folder / "facades" / "labels_128.npy.xz", maps)
    parts = np.array(["train", "val", "test"])[kinds]
    np.savez(folder / "facades" / "index.npz", split=parts, class_names=[*"abcdefgh"])

    coco = folder / "coco_layouts"
    coco.mkdir()
    segments = random.integers(0, 5, (N + 9, 128, 128), dtype=np.uint8)
    segments[:, 0, 0] = np.arange(N + 9)
    np.savez(coco / "images_128.npz", images=numbered(128, 128, 3), layout_index=np.arange(N) + 9)
    np.savez(coco / "masks_128.npz", masks=segments)
    things = {"0": "person", "1": "cat"}
    thing = {"category": "cat", "box_cxcywh": [0.5, 0.5, 0.25, 0.5]}
    objects = [[{"category": "person", "box_cxcywh": [0.1, 0.1, 0.1, 0.1]}, thing][i % 2 :] for i in range(N + 9)]
    names = {str(i): f"class {i}" for i in range(N + 10)}
    record = {"thing_classes": things, "semantic_classes": names, "layouts": [{"objects": own} for own in objects]}
    (coco / "layouts.json").write_text(json.dumps(record))

    horses_and_zebras(folder, [jpeg(6 * i) for i in range(N)])
    return folder, photos


@pytest.fixture
def files(originals, own_data):
    """Copies of them, which a test may spoil."""
    folder, photos = originals
    shutil.copytree(folder, own_data, dirs_exist_ok=True)
    return photos


def jpeg(level, side=128):
    """A picture of one level as a file."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (level,) * 3).save(file, "JPEG")
    return file.getvalue()


def horses_and_zebras(folder, pictures, **other):
    (folder / "horse2zebra").mkdir(exist_ok=True)
    kinds = np.arange(len(pictures)) % 3
    held = {
        "jpeg": np.frombuffer(b"".join(pictures), np.uint8),
        "offsets": np.cumsum([0, *map(len, pictures)]),
        "domain": (kinds == 0).astype(np.uint8),
        "is_test": kinds == 2,
    }
    np.savez(folder / "horse2zebra" / "horse2zebra_128.npz", **(held | other))


def number(x):
    """Which item each is."""
    return np.asarray(x)[:, 0, 0, 0].astype(int)


def test_a_sketch_keeps_its_class(files):
    found = data.load("quickdraw")
    assert found.spec.x == Levels((1, 28, 28), 256)
    assert found.spec.condition["label"] == ClassLabel(3, ("a", "b", "c"))
    everything = found.split("all")
    assert sorted(number(everything.x)) == list(range(N))
    assert (everything.field("label") == number(everything.x) % 3).all()


def test_an_avatar_keeps_its_attributes_and_its_split(files):
    found = data.load("avatars")
    assert found.spec.x == Levels((3, 64, 64), 256)
    assert found.spec.condition["smiling"] == ClassLabel(2, ("no", "yes"))
    assert found.spec.condition["skin"] == ClassLabel(3, ("first", "second", "third"))
    assert [len(split) for split in found.splits] == [20, 10, 10]
    for split in found.splits:
        own = number(split.x)
        assert (split.field("smiling") == own % 2).all()
        assert (split.field("glasses") == (own % 3 == 1)).all()
        assert (split.field("hair") == own % 3).all()
    assert (number(found.valid.x) % 4 == 2).all()


def test_the_four_styles_of_an_emoji_stay_together(files):
    found = data.load("emoji")
    assert found.spec.condition["group"] == ClassLabel(3, ("animals", "flags", "food"))
    assert found.spec.condition["line"] == Levels((1, 64, 64), 256)
    for split in found.splits:
        own = number(split.x)
        for style in ("twemoji", "noto", "line"):
            assert (number(split.field(style)) == own).all()
        assert (split.field("group") == np.array([2, 0, 1])[own % 3]).all()
    other = data.load("emoji", target="noto")
    assert other.spec.x == Levels((3, 64, 64), 256)
    assert (number(other.train.x) == number(found.train.x)).all()


def test_a_facade_keeps_its_map_and_its_split(files):
    found = data.load("facades")
    assert found.spec.condition["map"] == LabelMap(8, (128, 128), tuple("abcdefgh"))
    for kind, split in enumerate(found.splits):
        own = number(split.x)
        assert (own % 3 == kind).all()
        assert (np.asarray(split.x) == files[own]).all()
        assert (split.field("map")[:, 0, 0] == kind).all()


def test_a_horse_stays_a_horse_and_test_photographs_stay_apart(files):
    found = data.load("horse2zebra")
    assert found.spec.x == Levels((3, 128, 128), 256)
    assert found.spec.condition["domain"] == ClassLabel(2, ("horse", "zebra"))
    for split in found.splits:
        own = number(split.x) // 6
        assert (split.field("domain") == (own % 3 == 0)).all()
        assert (own % 3 == 2).all() if split is found.test else (own % 3 < 2).all()
    assert len(found.test) == N // 3
    assert data.load("horse2zebra", resize=32).spec.shape == (3, 32, 32)


def test_a_photograph_of_coco_has_its_own_layout(files):
    found = data.load("coco-layouts")
    assert found.spec.condition["map"] == LabelMap(N + 10, (128, 128))
    thing = found.spec.condition["objects"].field
    assert thing.fields["class"].names == ("person", "cat")
    for split in found.splits:
        own = number(split.x) + 9
        assert (split.field("map")[:, 0, 0] == own).all()
        assert (split.field("objects.mask").sum(1) == 2 - own % 2).all()
        assert (split.field("objects.class")[:, 0] == 1).all()  # the larger one first
        assert (split.field("objects.box")[:, 0] == [0.375, 0.25, 0.625, 0.75]).all()
    wide = data.load("coco-layouts", resize=(32, 64))  # of which the upper and the lower quarter are cut away
    assert (wide.train.field("objects.box")[:, 0] == [0.375, 0, 0.625, 1]).all()
    assert wide.spec.condition["map"] == LabelMap(N + 10, (32, 64))


def test_the_caption_of_an_emoji_is_its_name(files):
    found = data.load("emoji")
    field = found.spec.condition["caption"]
    assert field.most == 2
    for split in found.splits:
        words = np.array(field.vocabulary)[split.field("caption")]
        assert (words[:, 0] == "thing").all()
        known = words[:, 1] == number(split.x).astype(str)
        assert known.all() if split is found.train else not known.any()


@pytest.mark.parametrize(
    ("pictures", "other", "said"),
    [
        ([jpeg(9)] * 2 + [b"no picture"], {}, "photograph 2 cannot be read: not a PNG"),
        ([jpeg(9)] * 2 + [jpeg(9)[:500]], {}, "photograph 2 cannot be read"),
        ([jpeg(9)] * 2 + [jpeg(9, 64)], {}, "photograph 2 cannot be read: 64×64 pixels, not 128×128"),
        ([jpeg(9)] * 3, {"offsets": np.array([0, 9])}, "are not those of 3 photographs"),
        ([jpeg(9)] * 3, {"offsets": np.array([0, 9, 5, 20])}, "are not those of 3 photographs"),
        ([jpeg(9)] * 3, {"domain": np.array([0, 1, 2])}, "of two domains"),
        ([jpeg(9)] * 3, {"domain": np.array([0.5, 1, 0])}, "labels are float64"),
    ],
)
def test_photographs_that_are_none_are_named(own_data, pictures, other, said):
    horses_and_zebras(own_data, pictures, **other)
    with pytest.raises(DataError, match=rf"horse2zebra_128\.npz.*{said}"):
        data.load("horse2zebra")


def test_every_picture_and_map_of_an_item_is_resized_alike(files):
    emoji, facade = data.load("emoji", resize=32), data.load("facades", resize=(32, 64))
    assert emoji.spec.condition["line"] == Levels((1, 32, 32), 256)
    assert facade.spec.x == Levels((3, 32, 64), 256)
    assert facade.spec.condition["map"] == LabelMap(8, (32, 64), tuple("abcdefgh"))
    large = data.load("facades")
    assert (facade.train.x[0] == fitted(large.train.x[:1], (32, 64))[0]).all()
    assert set(np.unique(facade.train.field("map"))) <= set(range(5))  # no class between two others


def test_a_map_is_resized_without_new_classes():
    blocks = np.kron(np.array([[0, 7], [7, 0]], np.uint8), np.ones((4, 4), np.uint8))[None, None]
    assert (fitted(blocks, (4, 4), nearest=True)[0, 0] == np.kron([[0, 7], [7, 0]], np.ones((2, 2)))).all()
    assert len(np.unique(fitted(blocks, (3, 3)))) > 2


def test_differences_are_undone_exactly(random):
    x = random.integers(0, 256, (2, 3, 5, 7), dtype=np.uint8)
    assert (facades.undone(differences(x)) == x).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_set_that_is_not_there_says_what_belongs_where(own_data, name):
    with pytest.raises(DataError, match=rf"{name} cannot be downloaded.*\n.*\$SIMULACRA_DATA/{name.replace('-', '_')}"):
        data.load(name)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("quickdraw", "images_28.npy.xz"),
        ("avatars", "images_64.npy.xz"),
        ("emoji", "noto_64.npy.xz"),
        ("facades", "labels_128.npy.xz"),
    ],
)
@pytest.mark.parametrize("wrong", [np.zeros((N, 9), np.uint8), np.zeros((N, 64, 64, 3)), b"no archive", None])
def test_a_file_that_holds_something_else_is_named(files, own_data, name, file, wrong):
    path = own_data / name / file
    if wrong is None:  # an item too few
        shape = {"images_28.npy.xz": (28, 28), "labels_128.npy.xz": (128, 128)}.get(file, (64, 64, 3))
        packed(path, np.zeros((N - 1, *shape), np.uint8))
    elif isinstance(wrong, bytes):
        path.write_bytes(wrong)
    else:
        packed(path, wrong)
    with pytest.raises(DataError, match=file):
        data.load(name)


@pytest.mark.parametrize("wrong", ["{}", "[]", "[1]", '[{"name": "apple"}]', "["])
def test_captions_without_groups_are_refused(files, own_data, wrong):
    (own_data / "emoji" / "captions.json").write_text(wrong)
    with pytest.raises(DataError, match=r"captions\.json"):
        data.load("emoji")


def test_a_set_is_read_again_at_the_size_that_a_model_was_fitted_at(files, tmp_path):
    sim.fit("independent", data.load("quickdraw", resize=8), tmp_path / "run", device="cpu")
    assert sim.score(tmp_path / "run", "quickdraw") == sim.score(tmp_path / "run")


def test_a_set_of_one_size_says_which_can_be_resized():
    with pytest.raises(UsageError, match=r"'digits' takes no resize.*folders of images.*emoji"):
        data.load("digits", resize=16)
