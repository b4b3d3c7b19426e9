"""Fields that are arrays: a picture, a map of classes, attributes, words, lists; cached, split and read like labels."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

import simulacra.data as data
from simulacra.data.cache import cached
from simulacra.data.recipe import Recipe
from simulacra.data.source import Batch, Source
from simulacra.errors import DataError, UsageError

CARD = data.Card("made", "a test", "none")
KINDS = {
    "label": data.ClassLabel(4, ("a", "b", "c", "d")),
    "picture": data.Levels((2, 3, 3), 17),
    "segments": data.LabelMap(5, (4, 4)),
    "attributes": data.Real((3,)),
    "words": data.Tokens(("red", "blue", "round"), most=3),
    "objects": data.Many(data.Record({"kind": data.ClassLabel(3), "box": data.Real((4,))}), most=2),
}


def columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 3, (n, 3))
    words[np.arange(n) % 2 == 0, 2] = -1
    mask = np.stack([np.ones(n, bool), np.arange(n) % 3 > 0], 1)
    return {
        "label": rng.integers(0, 4, n),
        "picture": rng.integers(0, 17, (n, 2, 3, 3), dtype=np.uint8),
        "segments": rng.integers(0, 5, (n, 4, 4), dtype=np.uint8),
        "attributes": rng.normal(size=(n, 3)).astype(np.float32),
        "words": words,
        "objects.mask": mask,
        "objects.kind": rng.integers(0, 3, (n, 2)) * mask,
        "objects.box": rng.normal(size=(n, 2, 4)).astype(np.float32) * mask[..., None],
    }


def items(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 17, (n, 1, 4, 4), dtype=np.uint8)


def source(x: np.ndarray, fields: dict[str, np.ndarray], kinds=KINDS, name: str = "made", step: int = 7) -> Source:
    """In batches of `step`; `kinds` are declared, and found from the values where there are none."""

    def batches():
        for start in range(0, len(x), step):
            part = slice(start, start + step)
            yield Batch("train", x[part], {key: values[part] for key, values in fields.items()})

    return Source(name, CARD, len(x), batches, levels=17, fields=kinds)


def rows(dataset: data.Dataset) -> list[bytes]:
    """Every item with all its fields, in the order of the splits."""
    found = []
    for split in dataset.splits:
        for i in range(len(split)):
            own = [split.x[i], *(split.field(name)[i] for name in sorted(split.condition))]
            found.append(b"|".join(np.ascontiguousarray(each).tobytes() for each in own))
    return found


@pytest.fixture
def made():
    return items(60), columns(60)


def test_every_kind_of_field_is_cached_memory_mapped_and_stays_with_its_item(made):
    x, fields = made
    dataset = cached(source(x, fields))
    assert dataset.spec == data.DataSpec(data.Levels((1, 4, 4), 17), KINDS)
    assert len(rows(dataset)) == 60
    whole = {x[i].tobytes(): i for i in range(60)}
    for split in dataset.splits:
        assert split.condition.keys() == fields.keys() == dataset.spec.columns.keys()
        index = [whole[item.tobytes()] for item in np.asarray(split.x)]
        for name, values in split.condition.items():
            assert isinstance(values, np.memmap), name
            assert not values.flags.writeable
            assert values.dtype == dataset.spec.columns[name].dtype
            assert (values == fields[name][index]).all(), name


def test_a_second_load_reads_the_same_from_the_cache(made, monkeypatch):
    first = cached(source(*made))
    monkeypatch.setattr("simulacra.data.cache.build", lambda *_: pytest.fail("built again"))
    again = cached(source(*made))
    assert again.fingerprint == first.fingerprint
    assert again.spec == first.spec
    assert rows(again) == rows(first)


def test_other_kinds_of_the_same_values_are_another_data_set(made):
    x, fields = made
    more = KINDS | {"label": data.ClassLabel(9)}
    assert cached(source(x, fields, more)).spec.condition["label"] == data.ClassLabel(9)
    assert cached(source(x, fields)).spec.condition["label"] == KINDS["label"]


def test_the_splits_do_not_depend_on_the_order_of_the_files(made, tmp_path, monkeypatch):
    """Even where items are equal and differ in an array of their fields alone."""
    x, fields = made
    x[20:40] = x[:20]  # equal items with other fields
    found = []
    for seed, step in ((None, 7), (1, 11), (2, 60)):
        order = np.arange(60) if seed is None else np.random.default_rng(seed).permutation(60)
        monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / str(seed)))
        shuffled = {name: values[order] for name, values in fields.items()}
        found.append(cached(source(x[order], shuffled, step=step)))
    assert found[0].fingerprint == found[1].fingerprint == found[2].fingerprint
    assert rows(found[0]) == rows(found[1]) == rows(found[2])
    places = [{item.tobytes() for item in np.asarray(split.x)} for split in found[0].splits]
    assert not places[0] & places[1] | places[0] & places[2] | places[1] & places[2]  # equal items stay together


def test_the_fingerprint_is_that_of_the_fields_too(made, tmp_path, monkeypatch):
    x, fields = made
    found = {cached(source(x, fields)).fingerprint}
    for name in fields:
        monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / name))
        changed = fields | {name: fields[name].copy()}
        changed[name][5] = changed[name][6]
        if (changed[name] != fields[name]).any():
            found.add(cached(source(x, changed)).fingerprint)
    assert len(found) >= len(fields)


def test_fields_that_nobody_declares_are_known_by_their_values(made):
    x, fields = made
    loose = {name: fields[name] for name in ("label", "picture", "attributes")}
    loose |= {"segments": fields["segments"].astype(np.int16), "bits": fields["picture"] % 2}
    dataset = cached(source(x, loose, {}))
    assert dataset.spec.condition == {
        "label": data.ClassLabel(4),
        "picture": data.Levels((2, 3, 3), 256),
        "attributes": data.Real((3,)),
        "segments": data.LabelMap(5, (4, 4)),
        "bits": data.Levels((2, 3, 3), 2),
    }
    assert dataset.train.condition["segments"].dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("label", (41,), 4, "label: the value 4 of item 41 is not a class, 0 to 3"),
        ("picture", (41, 1, 2, 0), 17, "picture: the value 17 of item 41 is not integers 0 to 16"),
        ("segments", (41, 3, 3), 5, "segments: the value 5 of item 41 is not classes 0 to 4"),
        ("attributes", (41, 1), np.nan, "attributes: the value nan of item 41 is not finite real numbers"),
        ("words", (41, 0), 3, "words: the value 3 of item 41 is not tokens 0 to 2"),
        ("words", (41, 1), -1, "of item 41 is not tokens 0 to 2, padded with -1"),  # another one lies behind
        ("objects.kind", (41, 1), 3, "objects.kind: the value 3 of item 41 is not a class, 0 to 2"),
    ],
)
def test_a_wrong_value_is_named_with_its_item_whatever_the_size_of_a_chunk(
    made, monkeypatch, name, place, value, message
):
    x, fields = made
    fields[name][place] = value
    monkeypatch.setattr("simulacra.data.checks.CHUNK_BYTES", 500)
    with pytest.raises(DataError, match=f"made: .*{message}"):
        cached(source(x, fields))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"picture": lambda v: v[..., :2]},
            r"picture: items are uint8 of shape \(2, 3, 2\), not uint8 of shape \(2, 3, 3\)",
        ),
        ({"attributes": lambda v: v.astype(np.float64)}, "attributes: items are float64"),
        ({"attributes": lambda v: v[:-1]}, "3 values of 'attributes' for 4 items"),
        ({"../evil": lambda v: v}, "a field cannot be called '../evil'"),
        ({".hidden": lambda v: v}, "a field cannot be called '.hidden'"),
        ({"x": lambda v: v}, "a field cannot be called 'x'"),
    ],
)
def test_batches_that_are_none_are_refused(made, cache, changed, message):
    x, fields = made
    for name, change in changed.items():
        fields[name] = change(fields.get(name, fields["label"]))
    with pytest.raises(DataError, match=message):
        cached(source(x, fields))
    assert not any((cache / "data").iterdir())


def test_parts_whose_fields_have_other_shapes_are_refused(made):
    x, fields = made

    def batches():
        yield Batch("train", x[:30], {"picture": fields["picture"][:30]})
        yield Batch("test", x[30:], {"picture": fields["picture"][30:, :1]})

    with pytest.raises(DataError, match=r"picture \(2, 3, 3\) uint8, but test .* picture \(1, 3, 3\) uint8"):
        cached(Source("made", CARD, 60, batches))


@pytest.mark.parametrize("declared", [True, False])
def test_the_memory_of_building_does_not_grow_with_the_items(declared, monkeypatch):
    """Fields are written as they come: of each item a few numbers stay, not its picture."""
    kinds = {"picture": data.Levels((3, 32, 32), 256), "numbers": data.Real((256,))} if declared else {}
    monkeypatch.setattr("simulacra.data.build.CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr("simulacra.data.checks.CHUNK_BYTES", 1 << 16)

    def peak(n: int) -> int:
        def batches():
            rng = np.random.default_rng(0)
            for _ in range(0, n, 10):
                x = rng.integers(0, 256, (10, 1, 4, 4), dtype=np.uint8)
                picture = rng.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
                yield Batch("train", x, {"picture": picture, "numbers": rng.normal(size=(10, 256)).astype(np.float32)})

        made = Source(f"made-{n}", CARD, n, batches, fields=kinds)
        tracemalloc.start()
        try:
            cached(made)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(200), peak(1600)
    assert large - small < 1400 * 400  # bytes an item; its picture and numbers are 4,096


# Arrays in memory


def test_from_arrays_takes_every_kind_and_converts_what_a_user_gives(made):
    x, fields = made
    words = [["red", "blue"] if i % 2 else "round" for i in range(60)]
    objects = [[{"kind": i % 3, "box": [0, 0, 1, 1]}] * (i % 3) for i in range(60)]
    given = {"words": words, "objects": objects, "picture": fields["picture"], "segments": fields["segments"].tolist()}
    kinds = {name: KINDS[name] for name in given} | {"label": KINDS["label"]}
    dataset = data.from_arrays(x, fields["label"], fields=given, kinds=kinds, levels=17)
    assert dataset.spec == data.DataSpec(data.Levels((1, 4, 4), 17), kinds)
    at = {item.tobytes(): i for i, item in enumerate(x)}
    for split in dataset.splits:
        index = [at[item.tobytes()] for item in split.x]
        assert split.condition["words"].tolist() == [[0, 1, -1] if i % 2 else [2, -1, -1] for i in index]
        assert split.condition["objects.mask"].sum(1).tolist() == [i % 3 for i in index]
        assert (split.condition["segments"] == fields["segments"][index]).all()
        assert {name: values.dtype for name, values in split.condition.items()} == {
            name: column.dtype for name, column in dataset.spec.columns.items()
        }


def test_without_kinds_the_values_say_what_a_field_is(made):
    x, fields = made
    loose = {
        "picture": np.tile(fields["picture"], (2, 2)).transpose(0, 2, 3, 1),  # channels last
        "segments": fields["segments"].astype(np.int64),
        "height": np.linspace(0, 1, 60),
        "seen": np.arange(60) % 2 == 0,
    }
    dataset = data.from_arrays(x, fields=loose)
    assert dataset.spec.condition == {
        "picture": data.Levels((2, 6, 6), 256),
        "segments": data.LabelMap(5, (4, 4)),
        "height": data.Real((1,)),
        "seen": data.ClassLabel(2),
    }


def test_arrays_in_memory_and_in_a_cache_are_split_alike(made):
    x, fields = made
    single = {name: values for name, values in fields.items() if "." not in name}
    stored = cached(source(x, single))
    given = data.from_arrays(x, fields=single, kinds={name: KINDS[name] for name in single}, levels=17)
    for ours, theirs in zip(given.splits, stored.splits, strict=True):
        assert (ours.x == theirs.x).all()
        assert (ours.field("picture") == theirs.field("picture")).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fields": {"a": np.zeros((60, 3), int)}}, r"a: int64 of shape \(60, 3\) are neither labels .* kinds="),
        ({"fields": {"a": np.array([["x"]] * 60)}}, "a: <U1 of shape"),
        ({"fields": {"a": [[1, 2], [3]]}}, "'a' is an array of numbers; these rows have different lengths"),
        ({"fields": {"a": [None] * 60}}, "'a' is an array of numbers, not list"),
        ({"fields": {"a": np.zeros(59)}}, "'a' has 59 values for 60 items"),
        ({"fields": {"a": np.full((60, 2), np.inf)}}, "a: the value inf of item 0 is not finite"),
        ({"fields": {"a": np.arange(60) - 1}}, "label -1 at index 0 is no class"),
        (
            {"fields": {"a": np.zeros((60, 2))}, "kinds": {"a": data.Real((3,))}},
            r"of shape \(3,\), not of shape \(2,\)",
        ),
        ({"fields": {"a": ["grene"] * 60}, "kinds": {"a": data.Tokens(("green",), 1)}}, "Did you mean 'green'"),
        ({"fields": {"ab": np.zeros(60)}, "kinds": {"ba": data.Real((1,))}}, "kinds says what 'ba' is.*'ab'"),
        ({"label": np.zeros(60)}, "label must hold 60 integers >= 0, not float64"),
        (
            {"label": np.arange(60), "kinds": {"label": data.ClassLabel(3)}},
            "label: the value 3 of item 3 is not a class",
        ),
        ({"levels": 9}, "is not one of the levels 0..8: give more --levels"),
    ],
)
def test_arrays_that_are_no_fields_are_refused(made, given, message):
    with pytest.raises((DataError, UsageError), match=message):
        data.from_arrays(made[0], **given)


# The target


@pytest.fixture
def targets(made):
    return cached(source(*made))


def test_a_field_takes_the_place_of_x_which_becomes_a_field(targets):
    other = targets.target("picture")
    assert other.spec.x == KINDS["picture"]
    assert other.spec.condition == {"x": targets.spec.x} | {k: v for k, v in KINDS.items() if k != "picture"}
    assert list(other.spec.columns) == list(other.train.condition)
    for one, own in zip(targets.splits, other.splits, strict=True):
        assert (own.x == one.field("picture")).all()
        assert (own.field("x") == one.x).all()
        assert (own.field("words") == one.field("words")).all()
    assert other.recipe == Recipe(target="picture")
    assert dataclasses.replace(other.target("x"), recipe={}).spec.x == targets.spec.x  # and back again


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pictures", "has no field 'pictures'. Did you mean 'picture'"),
        ("objects", "'objects' is at most 2 of .*, and no one array"),
        ("down:factor=2", "has no field 'down:factor=2'"),
    ],
)
def test_what_is_no_target_is_refused(targets, name, message):
    with pytest.raises(UsageError, match=message):
        targets.target(name)
    with pytest.raises(UsageError, match="another target already"):
        targets.target("picture").target("segments")


def test_load_takes_the_target_and_remembers_it(tmp_path):
    np.savez(tmp_path / "a.npz", x=items(30), small=items(30, 1)[..., :2, :2], label=np.arange(30) % 3)
    dataset = data.load(tmp_path / "a.npz", target="small", levels=17)
    assert (dataset.spec.shape, list(dataset.spec.condition)) == ((1, 2, 2), ["x", "label"])
    assert dataset.recipe == Recipe(levels=17, target="small")
    with pytest.raises(UsageError, match="Did you mean 'small'"):
        data.load(tmp_path / "a.npz", target="smal")
