"""`.npy` and `.npz` beyond images with labels: fields, real images, series, and what `sample` writes."""

import json
import zipfile

import numpy as np
import pytest
from test_data_fields import KINDS, columns, items, rows

import simulacra.data as data
from simulacra.cli.output import write_items
from simulacra.data.arrays import description
from simulacra.derived import Derived, Down
from simulacra.errors import DataError

SPEC = data.DataSpec(data.Levels((1, 4, 4), 17), KINDS)


def everything(dataset) -> list[bytes]:
    return sorted(rows(dataset))


def test_every_other_array_of_as_many_rows_is_a_field(tmp_path):
    fields = columns(50)
    given = {
        "picture": fields["picture"],
        "segments": fields["segments"].astype(np.int64),
        "attributes": fields["attributes"].astype(np.float64),
        "vector": fields["picture"].reshape(50, -1),
        "shade": np.arange(50) % 6,
    }
    passed_over = {
        "words": fields["words"],  # integers (N, D): nothing says what they are
        "names": np.array(["x"] * 50),
        "half": np.zeros(25),
        "complex": np.zeros(50, complex),
    }
    np.savez_compressed(tmp_path / "a.npz", x=items(50), label=fields["label"], **given, **passed_over)
    dataset = data.load(tmp_path / "a.npz", levels=17)
    assert dataset.spec.condition == {
        "label": data.ClassLabel(4),
        "attributes": data.Real((3,)),
        "picture": data.Levels((2, 3, 3), 256),
        "segments": data.LabelMap(5, (4, 4)),
        "shade": data.ClassLabel(6),
        "vector": data.Levels((18,), 256),
    }
    expected = data.from_arrays(
        items(50), fields["label"], fields={name: given[name] for name in sorted(given)}, levels=17
    )
    assert everything(dataset) == everything(expected)


def test_fields_come_with_official_splits_and_in_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("simulacra.data.npy.CHUNK_BYTES", 100)  # a few rows of the largest at a time
    parts = {"train": slice(30), "valid": slice(30, 40), "test": slice(40, 50)}
    x, picture, depth = items(50), columns(50)["picture"], np.random.default_rng(2).normal(size=(50, 1, 5, 5))
    arrays = {f"x_{name}": x[part] for name, part in parts.items()}
    arrays |= {f"picture_{name}": picture[part] for name, part in parts.items()}
    arrays |= {f"depth_{name}": depth[part] for name, part in parts.items()} | {"extra_train": np.zeros(30)}
    np.savez(tmp_path / "parts.npz", **arrays)
    dataset = data.load(tmp_path / "parts.npz")
    assert list(dataset.spec.condition) == ["depth", "picture"]  # what only one part has is none
    for split in dataset.splits:
        assert (split.x == x[parts[split.name]]).all()
        assert (split.field("picture") == picture[parts[split.name]]).all()
        assert (split.field("depth") == depth[parts[split.name]].astype(np.float32)).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((40, 3, 6, 5), (3, 6, 5)),
        ((40, 6, 5, 3), (3, 6, 5)),
        ((40, 9, 2), (9, 2)),  # T steps of D numbers
        ((40, 7), (7,)),
    ],
)
def test_real_images_series_and_vectors(tmp_path, order, shape, expected):
    x = np.random.default_rng(0).normal(size=shape)
    first = x.transpose(0, 3, 1, 2) if shape[1:] != expected else x
    np.save(tmp_path / "x.npy", np.asarray(x, order=order))
    np.savez(tmp_path / "x.npz", x=np.asarray(x, order=order), label=np.arange(40) % 2)
    for name in ("x.npy", "x.npz"):
        dataset = data.load(tmp_path / name)
        assert dataset.spec.x == data.Real(expected)
        stored = np.concatenate([split.x for split in dataset.splits])
        assert stored.dtype == np.float32
        assert sorted(map(bytes, stored)) == sorted(map(bytes, np.ascontiguousarray(first.astype(np.float32))))


def test_fields_in_fortran_order_keep_their_axes(tmp_path):
    picture = columns(40)["picture"]
    np.savez(tmp_path / "f.npz", x=np.asfortranarray(items(40)), picture=np.asfortranarray(picture))
    np.savez(tmp_path / "c.npz", x=items(40), picture=picture)
    assert everything(data.load(tmp_path / "f.npz")) == everything(data.load(tmp_path / "c.npz"))


@pytest.mark.parametrize("key", ["../evil", "/evil", ".evil", "a/b", "x\\y"])
def test_names_that_no_file_may_have_are_passed_over(tmp_path, cache, key):
    np.savez(tmp_path / "a.npz", x=items(30))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive, archive.open(f"{key}.npy", "w") as member:
        np.save(member, np.arange(30))
    assert data.load(tmp_path / "a.npz").spec.condition == {}
    assert {path.name for path in cache.iterdir()} == {"data"}


# What `sample` writes


@pytest.fixture
def written(tmp_path):
    write_items(tmp_path / "s.npz", items(40), SPEC, columns(40))
    return tmp_path / "s.npz"


def test_what_sample_writes_is_read_back_as_it_is(written):
    """Levels, names of classes, words, lists: all that the arrays alone do not say."""
    dataset = data.load(written)
    assert dataset.spec == SPEC
    kinds = {name: own for name, own in KINDS.items() if name != "objects"}
    single = {name: values for name, values in columns(40).items() if "." not in name}
    again = data.from_arrays(items(40), fields=single, kinds=kinds, levels=17)
    for ours, theirs in zip(dataset.splits, again.splits, strict=True):
        assert sorted(ours.field("picture").tobytes()) == sorted(theirs.field("picture").tobytes())
    by_item = {item.tobytes(): i for i, item in enumerate(items(40))}
    for split in dataset.splits:
        index = [by_item[np.asarray(item).tobytes()] for item in split.x]
        for name, values in columns(40).items():
            assert (split.field(name) == values[index]).all(), name


def test_it_is_an_ordinary_npz_for_everybody_else(written):
    with np.load(written, allow_pickle=False) as arrays:
        assert set(arrays.files) == {"x", *columns(1)}
        assert (arrays["picture"] == columns(40)["picture"]).all()


def test_real_items_and_derived_fields_are_read_back_too(tmp_path):
    x = data.Real((1, 4, 4))
    spec = data.DataSpec(x, {"down": Derived(Down(2), Down(2).field(x))})
    values = np.random.default_rng(0).normal(size=(30, 1, 4, 4)).astype(np.float32)
    write_items(tmp_path / "s.npz", values, spec, {"down": values[..., :2, :2]})
    assert data.load(tmp_path / "s.npz").spec == data.DataSpec(x, {"down": data.Real((1, 2, 2))})


def test_a_condition_called_x_does_not_overwrite_the_items(tmp_path):
    spec = data.DataSpec(data.Levels((1, 4, 4), 17), {"x": data.Levels((1, 2, 2), 3)})
    small = np.random.default_rng(0).integers(0, 3, (30, 1, 2, 2), dtype=np.uint8)
    write_items(tmp_path / "s.npz", items(30), spec, {"x": small})
    dataset = data.load(tmp_path / "s.npz")
    assert dataset.spec.shape == (1, 4, 4)
    assert dataset.spec.condition == {"condition_x": data.Levels((1, 2, 2), 3)}


def test_more_levels_may_be_given_all_the_same(written):
    assert data.load(written, levels=32).spec.levels == 32
    with pytest.raises(DataError, match=r"one of the levels 0\.\.8"):
        data.load(written, levels=9)


def rewrite(path, change):
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = change(archive.comment)


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"[1, 2]", b'{"x": 3}', b"[" * 60000, b"\xff\xfe"])
def test_any_other_comment_is_nobodys_business(tmp_path, comment):
    np.savez(tmp_path / "a.npz", x=items(30), label=np.arange(30) % 3)
    rewrite(tmp_path / "a.npz", lambda _: comment)
    assert data.load(tmp_path / "a.npz").spec == data.DataSpec(
        data.Levels((1, 4, 4), 256), {"label": data.ClassLabel(3)}
    )


def with_fields(**fields) -> bytes:
    record = json.loads(description(SPEC))
    record["simulacra"]["condition"] |= fields
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        (b'{"simulacra": 3}', "does not say what its arrays are"),
        (b'{"simulacra": {"x": {"levels": {"shape": [1, 4, 4]}}}}', "does not say what its arrays are"),
        (with_fields(more={"real": {"shape": [2]}}), "says that it holds 'more', and does not"),
        (with_fields(label={"colour": {}}), "no field 'colour'"),
        (with_fields(label={"class": {"count": 2}}), "label: the value [23] of item .* is not a class, 0 to 1"),
        (with_fields(picture={"real": {"shape": [2, 3, 3]}}), "picture: items are uint8"),
        (description(data.DataSpec(data.Levels((1, 2, 8), 17))), "x is said to be 1×2×8"),
        (description(data.DataSpec(data.Real((1, 4, 4)))), "x is said to be 1×4×4, continuous, and is uint8"),
        (description(data.DataSpec(data.Levels((1, 4, 4), 8))), r"one of the levels 0\.\.7"),
    ],
)
def test_a_description_that_is_not_true_is_refused(written, comment, message):
    rewrite(written, lambda _: comment)
    with pytest.raises(DataError, match=message):
        data.load(written)


def test_arrays_of_different_lengths_are_refused(tmp_path):
    spec = data.DataSpec(SPEC.x, {"label": KINDS["label"]})
    write_items(tmp_path / "s.npz", items(40), spec, {"label": columns(30)["label"]})
    with pytest.raises(DataError, match="30 values of 'label' for 40 items"):
        data.load(tmp_path / "s.npz")


def test_a_description_longer_than_a_comment_may_be_is_left_out(tmp_path):
    words = tuple(f"word-{i:05}" for i in range(6000))
    spec = data.DataSpec(SPEC.x, {"attributes": data.Real((3,)), "words": data.Tokens(words, 3)})
    write_items(tmp_path / "s.npz", items(30), spec, {name: columns(30)[name] for name in ("attributes", "words")})
    assert data.load(tmp_path / "s.npz").spec.condition == {"attributes": data.Real((3,))}


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 1, 3, 4, 2)], ids=["channels first", "channels last"])
def test_clips(tmp_path, order):
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 3, 8, 9), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x=x.transpose(order))
    dataset = data.load(tmp_path / "a.npz")
    assert dataset.spec.is_video
    assert (dataset.spec.shape, dataset.spec.levels) == ((6, 3, 8, 9), 256)
    read = np.concatenate([np.asarray(split.x) for split in dataset.splits])
    assert sorted(clip.tobytes() for clip in read) == sorted(clip.tobytes() for clip in x)
