"""Tracks of people: which scenes there are, how they are split, and what is refused with file and line."""

import numpy as np
import pytest

import simulacra.data as data
from simulacra.data.tracks import read_tracks
from simulacra.data.walks import PREDICTED, SEEN, windows
from simulacra.errors import DataError, UsageError
from simulacra.fields import Many, Paths, Real

STEPS = SEEN + PREDICTED


def rows(person, first, count, x=0.0, y=0.0, step=10):
    """Somebody who walks to the right, 0.5 m a step."""
    return [(first + step * i, person, x + 0.5 * i, y) for i in range(count)]


def write(path, *people):
    lines = sorted(row for own in people for row in own)
    path.write_text("".join(f"{frame}\t{person}\t{x}\t{y}\n" for frame, person, x, y in lines))
    return path


def long(path, n=400, y=0.0):
    """Two people over n steps, and one who is there for too short a time."""
    return write(path, rows(1, 0, n, y=y), rows(2, 50, n - 5, y=y + 2), rows(3, 0, STEPS - 1, y=y + 4))


def test_a_scene_is_everybody_who_is_there_for_all_steps(tmp_path):
    path = write(tmp_path / "a.txt", rows(1, 0, STEPS + 1), rows(2, 10, STEPS, y=1.0), rows(3, 10, STEPS - 1, y=2.0))
    one, two = windows(read_tracks(path))
    assert (one.start, two.start) == (0, 10)
    assert one.places.shape == (1, STEPS, 2)
    np.testing.assert_allclose(two.places[:, 0], [[0.5, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(two.places[0, :, 0], 0.5 * np.arange(1, STEPS + 1))


def test_a_data_set_holds_pasts_futures_and_who_is_there(tmp_path):
    found = data.load(long(tmp_path / "a.txt"))
    assert found.spec.x == Paths((64, PREDICTED, 2))
    assert found.spec.condition == {"past": Many(Real((SEEN, 2)), 64)}
    assert not found.spec.is_image
    assert found.remarks[0] == "1 of 3 people are seen for fewer than 20 steps, and left out"
    for split in found.splits:
        mask, past, x = split.field("past.mask"), split.field("past"), split.x
        assert set(mask.sum(1).tolist()) <= {1, 2}
        assert not x[~mask].any()
        np.testing.assert_allclose(x[mask][:, 0] - past[mask][:, -1], np.tile([0.5, 0.0], (mask.sum(), 1)), atol=1e-5)


def test_one_file_is_cut_in_time_and_no_step_is_in_two_splits(tmp_path):
    found = data.load(write(tmp_path / "a.txt", rows(1, 0, 300)))
    spans = [
        (float(split.field("past")[:, 0, 0, 0].min()), float(split.x[:, 0, -1, 0].max())) for split in found.splits
    ]
    assert spans[0][1] < spans[1][0]
    assert spans[1][1] < spans[2][0]
    lost = 300 - STEPS + 1 - sum(map(len, found.splits))
    assert f"{lost} scenes across the borders of the splits in time, and left out" in found.remarks


def test_three_files_are_split_by_file(tmp_path):
    for number in range(5):
        long(tmp_path / f"{number}.txt", 60, y=100.0 * number)
    found = data.load(tmp_path)
    where = [set((split.field("past")[:, 0, 0, 1] // 100).tolist()) for split in found.splits]
    assert sum(map(len, where)) == 5
    assert all(where)
    assert not where[0] & where[1] | where[0] & where[2] | where[1] & where[2]


def test_folders_are_splits(tmp_path):
    for number, folder in enumerate(("train", "val", "test")):
        (tmp_path / folder).mkdir()
        long(tmp_path / folder / "a.txt", 40, y=100.0 * number)
    found = data.load(tmp_path)
    assert [int(split.field("past")[0, 0, 0, 1] // 100) for split in found.splits] == [0, 1, 2]


def test_a_homography_maps_pixels_to_metres(tmp_path):
    path = write(tmp_path / "a.txt", rows(1, 0, STEPS))
    (tmp_path / "H.txt").write_text("2 0 1\n0 2 3\n0 0 4\n")
    np.testing.assert_allclose(read_tracks(path).people[0].positions[2], [(2 * 1.0 + 1) / 4, 3 / 4])
    (tmp_path / "a.H.txt").write_text("1 0 0\n0 1 0\n0 0 1\n")
    np.testing.assert_allclose(read_tracks(path).people[0].positions[2], [1.0, 0.0])
    (tmp_path / "a.H.txt").write_text("1 0 0\n1 0 0\n0 0 1\n")
    with pytest.raises(DataError, match=r"a\.H\.txt is no homography"):
        read_tracks(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 1 2 3\n10 1 2\n", r"line 2: 3 numbers, and 4 are needed"),
        ("0 1 2 3\n\n10 1 2 x\n", r"line 3: 'x' is no finite number"),
        ("0 1 2 3\n10 1 2 nan\n", r"line 2: 'nan' is no finite number"),
        ("0 1 2 3\n10.5 1 2 3\n", r"line 2: the frame is 10.5"),
        ("10 1 2 3\n0 1 2 3\n", r"line 2: frame 0 comes after frame 10"),
        ("0 1 2 3\n10 1 2 3\n10 1 2 3\n", r"line 3: person 1 is in frame 10 twice"),
        ("0 1 2 3\n10 1 2 3\n20 1 2 3\n40 1 2 3\n", r"line 4: person 1 is seen in frame 20 and then in frame 40"),
        ("0 1 2 3\n0 2 2 3\n", r"nobody is seen in two frames"),
    ],
)
def test_bad_rows_name_file_and_line(tmp_path, text, reason):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"bad\.txt.*{reason}"):
        read_tracks(path)


def test_too_little_is_refused(tmp_path):
    with pytest.raises(DataError, match="nobody is seen for 20 steps in a row"):
        data.load(write(tmp_path / "a.txt", rows(1, 0, STEPS - 1)))
    with pytest.raises(DataError, match="no scenes are left for train"):
        data.load(write(tmp_path / "b.txt", rows(1, 0, STEPS + 3)))


@pytest.fixture
def eth_ucy(tmp_path, monkeypatch):
    """The files of the named set, where y / 100 says which recording it is and 1 is added for validation."""
    from simulacra.data.collected.eth_ucy import ALWAYS, TEST

    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    recordings = sorted({*ALWAYS, *(name for own in TEST.values() for name in own)})
    for folder, ending in (("all_data", ""), ("train", "_train"), ("val", "_val")):
        (tmp_path / "eth_ucy" / folder).mkdir(parents=True)
        for number, name in enumerate(recordings):
            own = rows(1, 0, STEPS + 2, y=100.0 * number + (folder == "val"))
            write(tmp_path / "eth_ucy" / folder / f"{name}{ending}.txt", own)
    return recordings


@pytest.mark.parametrize("scene", ["eth", "hotel", "univ", "zara1", "zara2"])
def test_the_scene_that_is_left_out_is_in_the_test_split_alone(eth_ucy, scene):
    from simulacra.data.collected.eth_ucy import TEST

    found = data.load(f"eth-ucy:test={scene}")
    own = {eth_ucy.index(name) for name in TEST[scene]}
    for split in found.splits:
        y = split.field("past")[:, 0, 0, 1]
        assert set((y // 100).astype(int).tolist()) == (own if split.name == "test" else set(range(8)) - own)
        assert set((y % 100).astype(int).tolist()) == {int(split.name == "valid")}


def test_the_usual_scene_and_one_that_does_not_exist(eth_ucy):
    assert data.load("eth-ucy").fingerprint == data.load("eth-ucy:test=zara1").fingerprint
    assert "eth-ucy" in data.catalogue()
    assert not any(":" in name for name in data.catalogue())
    with pytest.raises(UsageError, match="Did you mean 'eth-ucy:test=zara2'"):
        data.load("eth-ucy:test=zara3x")
