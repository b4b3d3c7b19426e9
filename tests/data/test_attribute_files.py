"""Tables of attributes beside pictures, and groups whose members never lie in different splits that are drawn."""

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import simulacra.data as data
from simulacra.cli import main
from simulacra.data.splits import SPLITS, Fractions, digests, draw
from simulacra.errors import DataError
from simulacra.fields import ClassLabel

N = 40


@pytest.fixture
def folder(tmp_path, write_images):
    """Pictures 000.png, 001.png, ... whose first pixel is their number."""
    images = np.random.default_rng(0).integers(0, 256, (N, 4, 4), dtype=np.uint8)
    images[:, 0, 0] = np.arange(N)
    return write_images(tmp_path / "faces", images)


def write(path, columns, rows):
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")


def smiles(number):
    return number % 3 == 0


def by_number(dataset, name):
    """The values of a field by the number of the picture."""
    found = {}
    for split in dataset.splits:
        found |= dict(zip(split.x[:, 0, 0, 0].tolist(), split.field(name).tolist(), strict=True))
    return found


@pytest.mark.parametrize("signs", [("-1", "1"), ("0", "1")], ids=str)
@pytest.mark.parametrize("name", ["attributes.csv", "list_attr_celeba.csv", "any.csv"])
def test_every_column_is_a_field_of_no_and_yes(folder, name, signs):
    rows = [(f"{i:03}.png", signs[smiles(i)], signs[i % 2]) for i in range(N)]
    write(folder / name, ["image_id", "Smiling", "5_o_Clock_Shadow"], rows)
    dataset = data.load(folder)
    yes_no = ClassLabel(2, ("no", "yes"))
    assert dataset.spec.condition == {"Smiling": yes_no, "5_o_Clock_Shadow": yes_no}
    assert by_number(dataset, "Smiling") == {i: int(smiles(i)) for i in range(N)}
    assert by_number(dataset, "5_o_Clock_Shadow") == {i: i % 2 for i in range(N)}
    assert dataset.remarks == ()


def test_celeba_as_it_is_published(tmp_path, folder):
    """The table beside a folder of pictures: a count, names without that of the first column, and spaces."""
    (tmp_path / "celeba").mkdir()
    folder.rename(tmp_path / "celeba" / "img_align_celeba")
    lines = [f"{N}", "Smiling  Male ", *(f"{i:03}.png  {1 if smiles(i) else -1} -1" for i in range(N))]
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text("\n".join(lines))
    (tmp_path / "celeba" / "identity_CelebA.txt").write_text("\n".join(f"{i:03}.png {i // 4}" for i in range(N)))
    dataset = data.load(tmp_path / "celeba")
    assert list(dataset.spec.condition) == ["Smiling", "Male"]
    assert by_number(dataset, "Smiling") == {i: int(smiles(i)) for i in range(N)}
    check_groups(dataset, 4)


def test_words_are_the_classes_of_a_column_and_names_without_suffix_are_names(folder):
    words = ["red", "blue", "green"]
    write(folder / "attributes.csv", ["file", "colour"], [(f"{i:03}", words[i % 3]) for i in range(N)])
    dataset = data.load(folder)
    assert dataset.spec.condition == {"colour": ClassLabel(3, ("blue", "green", "red"))}
    assert by_number(dataset, "colour") == {i: sorted(words).index(words[i % 3]) for i in range(N)}


def test_a_column_of_too_many_words_is_left_out_and_noted(folder, write_images):
    write_images(folder, np.random.default_rng(1).integers(0, 256, (60, 4, 4), dtype=np.uint8))
    write(folder / "attributes.csv", ["file", "who", "old"], [(f"{i:03}.png", f"n{i}", i % 2) for i in range(60)])
    dataset = data.load(folder)
    assert list(dataset.spec.condition) == ["old"]
    assert dataset.remarks == ("attributes.csv: column 'who' has 60 different words and is left out",)


def test_rows_without_a_file_and_files_without_a_row_are_counted_and_named(folder, capsys):
    rows = [(f"{i:03}.png", i % 2) for i in range(2, N)] + [("gone.png", 1), ("lost.png", 0)]
    write(folder / "attributes.csv", ["file", "old"], rows)
    dataset = data.load(folder)
    assert sum(map(len, dataset.splits)) == N - 2
    assert dataset.remarks == (
        "2 rows without a picture in attributes.csv: gone.png, lost.png",
        "2 pictures left out without a row in attributes.csv: 000.png, 001.png",
    )
    main(["data", str(folder)])
    said = capsys.readouterr().out
    assert "read as      pictures" in said
    assert all(remark in said for remark in dataset.remarks)


def test_attributes_stand_beside_class_folders_and_pairs_too(tmp_path, write_images):
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    images[:, 0, 0] = np.arange(20)
    for name in ("A", "B"):
        write_images(tmp_path / "pairs" / name, images)
    write_images(tmp_path / "classes" / "cat", images[:10])
    write_images(tmp_path / "classes" / "dog", images[10:])
    write(tmp_path / "pairs" / "attributes.csv", ["file", "old"], [(f"{i:03}.png", i % 2) for i in range(20)])
    rows = [(f"{'cat' if i < 10 else 'dog'}/{i % 10:03}.png", i % 2) for i in range(20)]
    write(tmp_path / "classes" / "attributes.csv", ["file", "old"], rows)
    for name, other in (("pairs", "A"), ("classes", "label")):
        dataset = data.load(tmp_path / name)
        assert set(dataset.spec.condition) == {other, "old"}
        assert by_number(dataset, "old") == {i: i % 2 for i in range(20)}


def test_another_table_beside_pictures_says_nothing(folder):
    write(folder / "measurements.csv", ["t", "value"], [(i, i * 0.5) for i in range(9)])
    assert data.load(folder).spec.condition == {}


def test_a_change_of_the_table_is_another_data_set(folder):
    for shift in (0, 1):
        write(folder / "attributes.csv", ["file", "old"], [(f"{i:03}.png", (i + shift) % 2) for i in range(N)])
        assert by_number(data.load(folder), "old") == {i: (i + shift) % 2 for i in range(N)}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("x.png", 1)], "holds none of the 40 pictures of the folder, such as 000.png"),
        ([("000.png", 1), ("000.png", 0)], "line 3: '000.png' has another row before"),
        ([("000.png", 1), ("000", 0)], "names 000.png twice"),
        ([("000.png", "red"), ("001.png", "")], "line 3: column 'old' is empty"),
        ([("000.png", 1, 1)], "line 2: 3 cells"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(folder, rows, message):
    write(folder / "attributes.csv", ["file", "old"], rows)
    with pytest.raises(DataError, match=message):
        data.load(folder)


def test_a_table_without_names_of_columns_and_a_name_of_two_pictures_are_refused(folder, tmp_path, write_images):
    write(folder / "attributes.csv", ["000.png", "1"], [(f"{i:03}.png", 1) for i in range(1, N)])
    with pytest.raises(DataError, match="names no columns but a picture"):
        data.load(folder)
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4), dtype=np.uint8)
    for name in ("cat", "dog"):
        write_images(tmp_path / "two" / name, images)
    write(tmp_path / "two" / "attributes.csv", ["file", "old"], [("000.png", 1)])
    with pytest.raises(DataError, match=r"'000.png' may be .*cat/000.png or .*dog/000.png"):
        data.load(tmp_path / "two")


# Groups


def groups_in(dataset, size):
    return [{number // size for number in split.x[:, 0, 0, 0].tolist()} for split in dataset.splits]


def check_groups(dataset, size):
    """The groups of train, valid and test are disjoint, and none of the splits is empty."""
    train, valid, test = groups_in(dataset, size)
    assert min(len(train), len(valid), len(test))
    assert not train & valid | train & test | valid & test


def test_a_column_of_groups_keeps_siblings_together_and_is_no_field(folder):
    write(folder / "attributes.csv", ["file", "group", "old"], [(f"{i:03}.png", f"g{i // 4}", i % 2) for i in range(N)])
    dataset = data.load(folder)
    assert list(dataset.spec.condition) == ["old"]
    check_groups(dataset, 4)


def test_groups_of_two_kinds_both_hold(folder):
    """Groups of two along the numbers and pairs across these: only whole fours are free of siblings elsewhere."""
    write(folder / "attributes.csv", ["file", "person"], [(f"{i:03}.png", i // 2) for i in range(N)])
    (folder / "groups.json").write_text(json.dumps({f"{i:03}.png": f"{i // 4}{i % 2}" for i in range(N)}))
    check_groups(data.load(folder), 4)


@pytest.mark.parametrize("record", [{f"{i:03}.png": i // 4 for i in range(N)}, {"before": "_"}], ids=["names", "rule"])
def test_a_file_of_groups_keeps_siblings_together(folder, record):
    if "before" in record:
        for i in range(N):
            (folder / f"{i:03}.png").rename(folder / f"face_{i // 4}_{i}.png")
    (folder / "groups.json").write_text(json.dumps(record))
    check_groups(data.load(folder), 4)


def test_without_groups_siblings_would_be_torn_apart(folder):
    train, _, test = groups_in(data.load(folder), 4)
    assert train & test


def test_pictures_without_a_group_are_alone(folder):
    (folder / "groups.json").write_text(json.dumps({f"{i:03}.png": 0 for i in range(4)} | {"gone.png": 1}))
    dataset = data.load(folder)
    assert len({number for number in range(4) for own in groups_in(dataset, 1) if number in own}) == 4
    assert sum(bool(own & {0, 1, 2, 3}) for own in groups_in(dataset, 1)) == 1
    assert [len(split) for split in dataset.splits] == [32, 4, 4]
    assert dataset.remarks == ("1 row without a picture in groups.json: gone.png",)


def test_groups_across_official_splits_are_noted(tmp_path, folder, write_images):
    for part, members in (("train", range(30)), ("test", range(30, N))):
        (tmp_path / "official" / part).mkdir(parents=True)
        for i in members:
            (folder / f"{i:03}.png").rename(tmp_path / "official" / part / f"{i:03}.png")
    groups = {f"{i:03}.png": i // 4 for i in range(N)}  # 28 and 29 lie in train, 30 and 31 in test
    (tmp_path / "official" / "groups.json").write_text(json.dumps(groups))
    dataset = data.load(tmp_path / "official")
    assert dataset.remarks == ("1 group of siblings (groups.json) in several of train, valid and test, as they come",)


@pytest.mark.parametrize("record", [[], {"000.png": 1.5}, {"before": ""}, {"000.png": ["a"]}], ids=str)
def test_groups_that_are_none_are_refused(folder, record):
    (folder / "groups.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"groups\.json"):
        data.load(folder)


def components(items):
    """Of each item the least number of those that it is joined to, over any number of equal values in one place."""
    names = list(range(len(items)))
    for i, one in enumerate(items):
        for j, other in enumerate(items[:i]):
            if names[i] != names[j] and any(a == b for a, b in zip(one, other, strict=True)):
                least, most = sorted((names[i], names[j]))
                names = [least if name == most else name for name in names]
    return names


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(0, 25)] * 3), min_size=12, max_size=40))
def test_a_draw_keeps_equals_and_all_kinds_of_siblings_together(items):
    """Over any number of links: a sibling of an equal of a sibling lies in the same split too."""
    names = components(items)
    assume(len(set(names)) >= 3)
    values, one, other = (np.array(column, np.uint64) for column in zip(*items, strict=True))
    order = draw({"train": np.arange(len(items))}, digests(values[:, None]), [], Fractions(), [one, other])
    assert sorted(np.concatenate(list(order.values()))) == list(range(len(items)))
    contents = [{names[i] for i in order[name]} for name in SPLITS]
    assert all(contents)
    assert sum(map(len, contents)) == len(set(names))
