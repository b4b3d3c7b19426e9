"""Folders of pairs: what is recognised, what belongs together, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
import simulacra.data as data
from simulacra.cli import main
from simulacra.data import Recipe
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, Levels


def pictures(n, seed=0, shape=(6, 5)):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


@pytest.fixture
def pairs(tmp_path, write_images):
    """B is A with its brightness turned round, so that a wrong partner shows."""
    a = pictures(30)
    write_images(tmp_path / "pairs" / "A", a)
    write_images(tmp_path / "pairs" / "B", 255 - a)
    return tmp_path / "pairs"


def all_match(dataset):
    assert dataset.spec.condition["A"] == dataset.spec.x
    for split in dataset.splits:
        assert len(split)
        assert (np.asarray(split.field("A")) == 255 - np.asarray(split.x)).all()


def test_two_folders_are_pairs_by_name(pairs):
    dataset = data.load(pairs)
    assert dataset.spec.x == Levels((1, 6, 5), 256)
    assert sum(map(len, dataset.splits)) == 30
    assert "30 pairs" in dataset.summary()["kind"]
    all_match(dataset)


def test_the_name_counts_and_not_its_suffix(pairs):
    for path in sorted((pairs / "A").iterdir())[:5]:
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    all_match(data.load(pairs))


@pytest.mark.parametrize("layout", ["A/{}", "{}/A", "{}A"])
def test_parts_are_official_splits_in_every_layout(tmp_path, write_images, layout):
    a = pictures(30)
    for part, own in (("train", a[:20]), ("val", a[20:25]), ("test", a[25:])):
        write_images(tmp_path / layout.format(part), own)
        write_images(tmp_path / layout.replace("A", "B").format(part), 255 - own)
    dataset = data.load(tmp_path)
    assert [len(split) for split in dataset.splits] == [20, 5, 5]
    assert (np.asarray(dataset.test.field("A"))[:, 0] == a[25:]).all()
    all_match(dataset)


def test_the_target_is_the_way_back(pairs):
    there, back = data.load(pairs), data.load(pairs, target="A")
    assert list(back.spec.condition) == ["x"]
    assert (back.test.x == there.test.field("A")).all()
    assert (back.test.field("x") == there.test.x).all()


def test_colour_of_grey_has_one_channel_on_the_side_of_grey(tmp_path, write_images):
    write_images(tmp_path / "A", pictures(10))
    write_images(tmp_path / "B", pictures(10, 1, (6, 5, 3)))
    spec = data.load(tmp_path).spec
    assert (spec.x, spec.condition["A"]) == (Levels((3, 6, 5), 256), Levels((1, 6, 5), 256))


def test_equal_sources_never_lie_in_two_splits(tmp_path, write_images):
    """Ten sources of four answers each: a test item whose source was seen in training would be no test."""
    write_images(tmp_path / "A", np.repeat(pictures(10), 4, 0))
    write_images(tmp_path / "B", pictures(40, 1))
    sources = [{item.tobytes() for item in split.field("A")} for split in data.load(tmp_path).splits]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    assert sum(map(len, sources)) == 10
    write_images(tmp_path / "A", np.repeat(pictures(2), 20, 0))
    with pytest.raises(DataError, match="40 training items in 2 groups of siblings cannot be split: at least 3"):
        data.load(tmp_path)


def test_pictures_without_a_partner_are_counted_and_named(pairs, write_images):
    for name in ("003", "007"):
        (pairs / "A" / f"{name}.png").unlink()
    write_images(pairs / "A" / "more", pictures(2))
    with pytest.raises(DataError, match="4 pictures of A and B without a partner") as refusal:
        data.load(pairs)
    assert "A/more/000.png, A/more/001.png, B/003.png, ..." in str(refusal.value)
    assert "--pairs none" in str(refusal.value)
    assert data.load(pairs, pairs="none").spec.condition["label"] == ClassLabel(2, ("A", "B"))


def test_a_part_with_one_side_alone_is_refused(pairs, tmp_path, write_images):
    for name in ("trainA", "trainB", "testA"):
        write_images(tmp_path / "p" / name, pictures(4))
    with pytest.raises(DataError, match="has testA/ and no pictures in testB/"):
        data.load(tmp_path / "p")


def test_one_name_twice_on_a_side_is_refused(pairs):
    Image.open(pairs / "A" / "004.png").save(pairs / "A" / "004.bmp")
    with pytest.raises(DataError, match=r"004.bmp and 004.png have one name"):
        data.load(pairs)


def test_two_sizes_in_a_pair_are_refused_and_can_be_brought_alike(tmp_path, write_images):
    write_images(tmp_path / "A", pictures(10, 0, (4, 4)))
    write_images(tmp_path / "B", pictures(10, 1, (8, 8)))
    with pytest.raises(DataError, match=r"different sizes in 10 of 10 pairs: B/000.png 4×4 and 8×8") as refusal:
        data.load(tmp_path)
    assert "--resize 8" in str(refusal.value)
    dataset = data.load(tmp_path, resize=4)
    assert dataset.spec.condition["A"].shape == dataset.spec.x.shape == (1, 4, 4)
    assert dataset.remarks == ("A: stored at 10 4×4", "B: stored at 10 8×8")


def test_a_picture_that_cannot_be_read_takes_its_partner_with_it(pairs):
    (pairs / "A" / "011.png").write_bytes(b"no picture")
    dataset = data.load(pairs)
    assert [entry.path for entry in dataset.unreadable] == [str(pairs / "A" / "011.png")]
    assert sum(map(len, dataset.splits)) == 29
    all_match(dataset)


# Domains without pairs


def unpaired(root, write_images, shared=0):
    """Two domains whose files have `shared` names in common."""
    for side, seed in (("A", 0), ("B", 1)):
        for part, n in (("train", 12), ("test", 5)):
            folder = write_images(root / f"{part}{side}", pictures(n, seed + n))
            for number, path in enumerate(sorted(folder.iterdir())):
                if number >= shared:
                    path.rename(folder / f"{side}{number}.png")
    return root


def test_domains_without_common_names_are_a_labelled_set_with_their_splits(tmp_path, write_images):
    dataset = data.load(unpaired(tmp_path, write_images))
    assert dataset.spec.condition == {"label": ClassLabel(2, ("A", "B"))}
    assert len(dataset.test) == 10
    assert sorted(dataset.test.field("label")) == [0] * 5 + [1] * 5
    assert "without pairs" in dataset.kind
    assert not dataset.remarks


def test_some_common_names_make_no_pairs_of_domains_but_are_noted(tmp_path, write_images):
    unpaired(tmp_path, write_images, shared=2)
    dataset = data.load(tmp_path)
    assert dataset.spec.condition == {"label": ClassLabel(2, ("A", "B"))}
    assert dataset.remarks == ("4 of 30 names of A and B agree; --pairs by-name makes pairs of them",)
    with pytest.raises(DataError, match="26 pictures of A and B without a partner"):
        data.load(tmp_path, pairs="by-name")


def test_folders_a_and_b_without_a_common_name_are_classes(tmp_path, write_images):
    write_images(tmp_path / "A", pictures(10))
    for path in sorted(write_images(tmp_path / "B", pictures(10, 1)).iterdir()):
        path.rename(path.with_name(f"b{path.name}"))
    assert list(data.load(tmp_path).spec.condition) == ["label"]


def test_pairs_by_name_where_there_are_none_are_refused(tmp_path, write_images):
    write_images(tmp_path / "flat", pictures(10))
    with pytest.raises(DataError, match="holds no pairs by name"):
        data.load(tmp_path / "flat", pairs="by-name")


# Side by side


@pytest.fixture
def wide(tmp_path, write_images):
    a = pictures(30, 0, (6, 6, 3))
    for part, own in (("train", a[:20]), ("val", a[20:25]), ("test", a[25:])):
        write_images(tmp_path / "wide" / part, np.concatenate([own, 255 - own], 2))
    return tmp_path / "wide"


def test_halves_of_wide_images_are_pairs_where_it_is_said(wide):
    assert data.load(wide).spec.x == Levels((3, 6, 12), 256)  # ordinary wide pictures
    dataset = data.load(wide, pairs="side-by-side")
    assert [len(split) for split in dataset.splits] == [20, 5, 5]
    assert dataset.spec.x == Levels((3, 6, 6), 256)
    assert dataset.recipe == Recipe(pairs="side-by-side")
    all_match(dataset)


def test_halves_are_cut_before_they_are_resized(tmp_path, write_images):
    """Nothing of one half is seen in the other."""
    images = np.arange(9, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(16, 2)
    images[:, :, 8:] += 200
    dataset = data.load(write_images(tmp_path / "w", images), pairs="side-by-side", resize=4)
    for split in dataset.splits:
        assert (np.asarray(split.field("A")) + 200 == np.asarray(split.x)).all()
        assert split.x.min() >= 200


def test_images_that_are_no_two_squares_are_counted_and_named(wide, write_images):
    write_images(wide / "train", pictures(2, 3, (6, 11, 3)))
    with pytest.raises(DataError, match=r"2 of 30 images are not twice as wide as high: train/000.png 11×6"):
        data.load(wide, pairs="side-by-side")


# The recipe


def test_the_recipe_says_how_pairs_were_read():
    recipe = Recipe(pairs="side-by-side")
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert "pairs" not in Recipe().to_json()  # the digest of all other recipes stays
    assert Recipe().over(recipe) == recipe
    for wrong in ("side by side", 3):
        with pytest.raises((UsageError, DataError)):
            Recipe.from_json({"pairs": wrong})
    with pytest.raises(UsageError, match="Did you mean 'side-by-side'"):
        Recipe(pairs="sidebyside")


def test_pairs_of_what_is_no_folder_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", pictures(10))
    for source in ("digits", tmp_path / "x.npy"):
        with pytest.raises(UsageError, match="folder"):
            data.load(source, pairs="by-name")


# The command line


def test_data_says_what_was_understood(pairs, wide, capsys):
    main(["data", str(pairs)])
    said = capsys.readouterr().out
    assert "read as      30 pairs of pictures by their names: A is the source, x is B" in said
    assert "A            1×6×5, 256 levels" in said
    main(["data", str(wide), "--pairs", "side-by-side", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["recipe"]["pairs"]) == (
        "30 pairs side by side: A is the left half, x the right one",
        "side-by-side",
    )


def test_a_model_of_x_given_its_source_is_fitted_and_remembers_how_it_was_read(wide, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    fit = ["fit", "gated-pixelcnn", str(wide), "--pairs", "side-by-side", "--condition", "A", "--steps", "1"]
    main([*fit, "--out", "run", "--width", "4", "--layers", "1", "--device", "cpu"])
    model = sim.load("run")
    assert model.spec.condition == {"A": Levels((3, 6, 6), 256)}
    capsys.readouterr()
    main(["score", "run", str(wide), "--json"])  # read by the recipe of the run
    assert json.loads(capsys.readouterr().out)["n"] == 5
