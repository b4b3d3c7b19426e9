"""Captions beside the pictures of a folder."""

import json

import numpy as np
import pytest

import simulacra as sim
import simulacra.data as data
from simulacra.cli import main
from simulacra.errors import DataError
from simulacra.fields import PADDING, UNKNOWN, ClassLabel

N = 40


@pytest.fixture
def folder(tmp_path, write_images, pixels):
    return write_images(tmp_path / "shapes", pixels)


def lines(folder, records):
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    return folder


def name(i):
    return f"{i:03}.png"


def said(dataset):
    """{the first pixels of a picture: its captions} over all splits; words that are not known as they are on disk."""
    found = {}
    field = dataset.all_words["caption"]
    for split in dataset.splits:
        for x, row in zip(split.x, split.all_words["caption"], strict=True):
            text = " ".join(field.vocabulary[token] for token in row if token != PADDING)
            found.setdefault(x.tobytes(), []).append(text)
    return {key: sorted(own) for key, own in found.items()}


def test_each_picture_has_the_caption_of_its_line(folder, pixels):
    found = data.load(lines(folder, [{"file_name": name(i), "text": f"Shape {i}."} for i in range(N)]))
    assert said(found) == {pixels[i].tobytes(): [f"shape {i} ."] for i in range(N)}
    field = found.spec.condition["caption"]
    assert field.most == 3
    words = {field.vocabulary[token] for token in np.unique(found.train.field("caption"))}
    assert words | {UNKNOWN} == set(field.vocabulary)  # of training items alone
    assert (found.test.field("caption")[:, 1] == field.unknown).all()


@pytest.mark.parametrize("form", ["list", "lines", "txt"])
def test_each_of_several_captions_makes_an_item_and_none_is_on_both_sides(folder, pixels, form):
    captions = [[f"shape {i}", f"number {i}", f"a {i % 3}"][: 1 + i % 3] for i in range(N)]
    if form == "list":
        lines(folder, [{"file_name": name(i), "text": captions[i]} for i in range(N)])
    elif form == "lines":
        lines(folder, [{"file_name": name(i), "text": text} for i in range(N) for text in captions[i]])
    else:
        for i in range(N):
            (folder / name(i)).with_suffix(".txt").write_text("\n\n".join(captions[i]))
    found = data.load(folder)
    assert said(found) == {pixels[i].tobytes(): sorted(captions[i]) for i in range(N)}
    assert sum(map(len, found.splits)) == sum(map(len, captions))
    sides = [{x.tobytes() for x in split.x} for split in found.splits]
    assert not any(one & other for one, other in [sides[:2], sides[1:], sides[::2]])
    assert {(each.count, "several captions" in each.reason) for each in found.altered} == {(26, True)}


def test_names_that_match_nothing_are_counted_and_named(folder, pixels):
    found = data.load(lines(folder, [{"file_name": name(i), "text": f"shape {i}"} for i in range(2, N + 1)]))
    (missing,) = found.unreadable
    assert missing.path == str(folder / "040.png")
    assert "metadata.jsonl has its caption, and it is not there" in missing.reason
    (without,) = found.altered
    assert (without.count, without.example) == (2, str(folder / name(0)))
    assert said(found)[pixels[0].tobytes()] == [""]


def test_text_files_without_a_picture_are_named(folder):
    (folder / "notes.txt").write_text("passed over")
    assert "caption" not in data.load(folder).spec.condition
    (folder / "003.txt").write_text("a shape")
    found = data.load(folder)
    assert [each.path for each in found.unreadable] == [str(folder / "notes.txt")]
    assert found.altered[0].count == N - 1


def test_captions_go_with_classes_and_with_splits_of_their_own(tmp_path, write_images, pixels):
    for part, own in (("train", pixels[:30]), ("test", pixels[30:])):
        write_images(tmp_path / "s" / part / "cat", own[::2])
        write_images(tmp_path / "s" / part / "dog", own[1::2])
        records = [
            {"file_name": f"{kind}/{i:03}.png", "text": f"a {part} {kind}"}
            for kind in ("cat", "dog")
            for i in range(len(own) // 2)
        ]
        lines(tmp_path / "s" / part, records)
    found = data.load(tmp_path / "s")
    assert found.spec.condition["label"] == ClassLabel(2, ("cat", "dog"))
    assert set(found.spec.condition["caption"].vocabulary) == {UNKNOWN, "a", "train", "cat", "dog"}
    rows = found.test.field("caption")
    assert (rows[:, 1] == found.spec.condition["caption"].unknown).all()
    words = np.array(found.spec.condition["caption"].vocabulary)[rows[:, 2]]
    assert (words == np.array(["cat", "dog"])[found.test.field("label")]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"file_name": "zz.png", "text": "a"}', "zz.png, and neither this picture is there nor any of the 1"),
        ('{"file_name": "000.png", "text": 3}', r"metadata\.jsonl, line 1: a line is"),
        ('{"file_name": "000.png", "text": "a"}\n{"text": "b"}', r"metadata\.jsonl, line 2: a line is"),
        ('{"file_name": "000.png", "text": "a"', r"metadata\.jsonl, line 1 is no JSON"),
        ('{"file_name": "000.png", "text": " "}', "none of the 1 texts has a word"),
        ('{"file_name": "../../etc/000.png", "text": "a"}', "neither this picture is there"),
    ],
)
def test_captions_that_are_none_are_refused(folder, text, message):
    (folder / "metadata.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        data.load(folder)


def test_a_table_of_other_things_is_passed_over(folder):
    assert not data.load(lines(folder, [{"file_name": name(0), "label": 3}])).spec.condition


def test_a_changed_caption_is_read_again(folder):
    before = data.load(lines(folder, [{"file_name": name(i), "text": "a"} for i in range(N)]))
    after = data.load(lines(folder, [{"file_name": name(i), "text": "bb"} for i in range(N)]))
    assert before.spec.condition["caption"].vocabulary == (UNKNOWN, "a")
    assert after.spec.condition["caption"].vocabulary == (UNKNOWN, "bb")


def test_from_the_command_line(folder, tmp_path, capsys):
    lines(folder, [{"file_name": name(i), "text": f"a {'red' if i % 2 else 'blue'} {i % 4}"} for i in range(N)])
    main(["data", str(folder)])
    shown = capsys.readouterr().out
    assert "at most 3 tokens of 8" in shown
    assert "7 words: a 32" in shown
    run = tmp_path / "run"
    sim.fit("vae", folder, run, condition="caption", steps=2, device="cpu")
    sample = ["sample", str(run), "-n", "2", "--device", "cpu"]
    assert main([*sample, "--given", "caption=A red 3", "--out", str(tmp_path / "s.npz")]) == 0
    with np.load(tmp_path / "s.npz") as samples:
        field = data.load(folder).spec.condition["caption"]
        assert [field.vocabulary[token] for token in samples["caption"][0]] == ["a", "red", "3"]
    assert main([*sample, "--given", "caption=a crimson 3", "--out", str(tmp_path / "t.npz")]) == 2
    assert "'crimson' is not in the vocabulary" in capsys.readouterr().err
    assert main([*sample, "--out", str(tmp_path / "t.npz")]) == 2
    assert "--given caption='a red'" in capsys.readouterr().err


# Pairs


@pytest.fixture
def pairs(tmp_path, write_images, pixels):
    write_images(tmp_path / "p" / "A", 255 - pixels)
    write_images(tmp_path / "p" / "B", pixels)
    return tmp_path / "p"


@pytest.mark.parametrize("form", ["beside B", "beside A", "above", "common", "B.txt", "A.txt", "common.txt"])
def test_pairs_have_captions_wherever_they_are_written(pairs, pixels, form):
    table = {"beside B": ("B", ""), "beside A": ("A", ""), "above": (".", "B/"), "common": (".", "")}
    if form in table:
        place, before = table[form]
        lines(pairs / place, [{"file_name": before + name(i), "text": f"shape {i}"} for i in range(N)])
    else:
        place = {"common.txt": "."}.get(form, form[0])
        for i in range(N):
            (pairs / place / name(i)).with_suffix(".txt").write_text(f"shape {i}")
    found = data.load(pairs)
    assert set(found.spec.condition) == {"A", "caption"}
    assert said(found) == {pixels[i].tobytes(): [f"shape {i}"] for i in range(N)}
    for split in found.splits:
        assert (np.asarray(split.field("A")) == 255 - np.asarray(split.x)).all()


@pytest.mark.parametrize("layout", ["{}/train", "train/{}", "train{}"])
def test_official_parts_of_pairs_have_captions_of_their_own(tmp_path, write_images, pixels, layout):
    for part, own in (("train", pixels[:30]), ("test", pixels[30:])):
        for side, images in (("A", 255 - own), ("B", own)):
            folder = write_images(tmp_path / layout.replace("train", part).format(side), images)
        lines(folder, [{"file_name": name(i), "text": f"shape {part} {i}"} for i in range(len(own))])
    found = said(data.load(tmp_path))
    assert found[pixels[3].tobytes()] == ["shape train 3"]
    assert found[pixels[33].tobytes()] == ["shape test 3"]


def test_captions_of_both_sides_of_a_pair_are_items_in_one_split(pairs, pixels):
    for i in range(N):
        for side in "AB":
            (pairs / side / name(i)).with_suffix(".txt").write_text(f"shape {i} {side}")
    found = data.load(pairs)
    assert said(found) == {pixels[i].tobytes(): [f"shape {i} a", f"shape {i} b"] for i in range(N)}
    sides = [{x.tobytes() for x in split.x} for split in found.splits]
    assert not any(one & other for one, other in [sides[:2], sides[1:], sides[::2]])


def test_what_matches_no_pair_is_named(pairs):
    lines(pairs, [{"file_name": f"B/{name(i)}", "text": "a shape"} for i in range(1, N + 1)])
    found = data.load(pairs)
    assert [each.path for each in found.unreadable] == [str(pairs / "B" / "040.png")]
    assert [(each.count, each.example) for each in found.altered] == [(1, str(pairs / "B" / name(0)))]


def test_pairs_side_by_side_have_captions(tmp_path, write_images, pixels):
    square = pixels[:, :5]
    folder = write_images(tmp_path / "s", np.concatenate([255 - square, square], axis=2))
    lines(folder, [{"file_name": name(i), "text": f"shape {i}"} for i in range(N)])
    found = data.load(folder, pairs="side-by-side")
    assert said(found) == {square[i].tobytes(): [f"shape {i}"] for i in range(N)}


def test_a_column_of_the_name_of_captions_is_refused(folder):
    (folder / "attributes.csv").write_text("name,caption\n" + "".join(f"{name(i)},{i % 2}\n" for i in range(N)))
    lines(folder, [{"file_name": name(i), "text": f"shape {i}"} for i in range(N)])
    with pytest.raises(DataError, match=r"metadata\.jsonl makes a field 'caption', and a column of the attributes"):
        data.load(folder)
