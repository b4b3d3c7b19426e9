"""Series: windows of a table, split by blocks of time; gaps, disorder and missing cells are named."""

import lzma
from datetime import datetime, timedelta

import numpy as np
import pytest

import simulacra as sim
import simulacra.data as data
from simulacra.cli import main
from simulacra.data.clock import Clock
from simulacra.data.splits import Fractions, TooFew
from simulacra.data.windows import in_order, spread, starts
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, Real


def table(path, rows, header="time,a,b"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def hours(n, begin=datetime(2024, 2, 28), step=timedelta(hours=1)):
    """Rows whose first number is the number of the step."""
    return [f"{begin + i * step},{i},{-i / 2}" for i in range(n)]


def steps_of(split, column=0):
    return set(split.x[..., column].astype(int).flatten().tolist())


def disjoint(found, column=0):
    train, valid, test = (steps_of(split, column) for split in found.splits)
    return not (train & valid or train & test or valid & test)


@pytest.mark.parametrize("window", [1, 5, 20])
def test_no_window_of_two_splits_overlaps(tmp_path, window):
    found = data.load(table(tmp_path / "a.csv", hours(100)), window=window)
    assert disjoint(found)
    assert found.spec.x == Real((window, 2))
    assert found.columns == ("a", "b")
    assert (
        max(steps_of(found.train))
        < min(steps_of(found.valid))
        <= max(steps_of(found.valid))
        < min(steps_of(found.test))
    )
    for split in found.splits:  # every window is of neighbouring steps, and none that fits is missing
        assert (np.diff(split.x[..., 0], axis=1) == 1).all()
        assert len(split) == len(steps_of(split)) - window + 1


@pytest.mark.parametrize(("length", "window"), [(30, 10), (100, 3), (960, 24), (3685, 24), (500, 40)])
def test_each_window_has_one_part_in_either_way_to_split(length, window):
    for part in (in_order(length, window, Fractions()), spread(length, window)):
        begins = starts(part, window)
        assert len(part) == length
        for number, own in enumerate(begins.values()):
            assert len(own)
            assert all((part[begin : begin + window] == number).all() for begin in own)


def test_spread_blocks_hold_out_the_whole_range():
    held = np.flatnonzero(spread(4000, 10) == 2)
    assert held.min() < 1000
    assert held.max() > 3000
    assert 0.07 < len(held) / 4000 < 0.13


def test_series_too_short_for_three_parts_are_refused():
    with pytest.raises(TooFew, match="29 steps cannot be split: windows of 10"):
        in_order(29, 10, Fractions())
    with pytest.raises(UsageError, match="29 steps, fewer than a window of 30"):
        data.from_series(np.zeros((29, 1)), 30)


def test_entities_share_a_clock(tmp_path):
    rows = [f"{i},north,{i},1" for i in range(60)] + [f"{i},south,{i},2" for i in range(40, 100)]
    path = table(tmp_path / "a.csv", rows, "t,store,a,b")
    found = data.load(path, window=6, entity="store")
    assert found.spec.condition == {"store": ClassLabel(2, ("north", "south"))}
    assert disjoint(found)  # in time over both, and not within each
    for split in found.splits:
        assert (split.x[:, 0, 1] == 1 + split.condition["store"]).all()
    assert found.recipe.to_json()["entity"] == "store"


def test_the_order_of_the_rows_of_different_entities_does_not_matter(tmp_path):
    one = [f"{i},{e},{i},{e}" for e in "12" for i in range(50)]
    other = [f"{i},{e},{i},{e}" for i in range(50) for e in "12"]
    found = [
        data.load(table(tmp_path / f"{k}.csv", rows, "t,e,a,b"), window=4, entity="e")
        for k, rows in enumerate((one, other))
    ]
    assert all((a.x == b.x).all() for a, b in zip(found[0].splits, found[1].splits, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows[:20] + rows[21:],
            r"line 22: 'time' goes from .* 19:00:00 to .* 21:00:00, where a step is 1:00",
        ),
        (
            lambda rows: [*rows[:20], rows[21], rows[20], *rows[22:]],
            "line 23: 'time' goes from .*sort the rows by time",
        ),
        (lambda rows: [*rows[:20], rows[19], *rows[20:]], "line 22.*sort the rows"),
        (
            lambda rows: [*rows[:7], rows[7].split(",")[0] + ",nan,1", *rows[8:]],
            "line 9: column 'a' is 'nan', and no number",
        ),
        (lambda rows: [*rows[:7], rows[7].split(",")[0] + ",1,", *rows[8:]], "line 9: column 'b' is empty"),
        (lambda rows: [*rows[:7], "tomorrow,1,1", *rows[8:]], "line 9: column 'time' is 'tomorrow', and no time"),
    ],
    ids=["gap", "disorder", "twice", "nan", "empty", "no time"],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        data.load(table(tmp_path / "a.csv", change(hours(40))), window=4)


def test_months_are_steps_and_go_on_behind_the_end(tmp_path):
    rows = [f"{2000 + i // 12}-{1 + i % 12:02}-01,{i},0" for i in range(48)]
    found = data.load(table(tmp_path / "a.csv", rows), window=3)
    assert "3 steps of 1 months" in found.remarks[0]
    assert Clock(360, 1, "months").text(13) == "2001-02-01 00:00:00"
    assert Clock(0, 90, "seconds").text(2) == "1970-01-01 00:03:00"


@pytest.mark.parametrize("values", [np.arange(90.0), np.arange(180.0).reshape(90, 2), np.arange(270).reshape(3, 90, 1)])
def test_arrays_become_the_same_windows_from_memory_and_from_a_file(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    one, other = data.from_series(values, 5), data.load(tmp_path / "a.npy", window=5)
    assert all((a.x == b.x).all() for a, b in zip(one.splits, other.splits, strict=True))
    assert one.spec == other.spec
    assert disjoint(one)


def test_a_value_that_is_missing_in_an_array_is_named():
    values = np.zeros((2, 50, 3))
    values[1, 7, 2] = np.nan
    with pytest.raises(DataError, match="nan at step 7, column 2 of series 1"):
        data.from_series(values, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"entity": "store"}, "of series: give their --window too"),
        ({"window": 4, "entity": "shop"}, "no column 'shop'"),
        ({"window": 0}, "1 to 67,108,864 steps"),
        ({"window": 41}, "fewer than a window of 41"),
    ],
)
def test_wrong_calls(tmp_path, call, message):
    with pytest.raises(UsageError, match=message):
        data.load(table(tmp_path / "a.csv", hours(40)), **call)


def test_a_window_is_for_series():
    with pytest.raises(UsageError, match="'digits' takes no window"):
        data.load("digits", window=4)


def test_sines_are_what_the_paper_says():
    found = data.load("sines", window=12)
    assert found.spec.x == Real((12, 5))
    x = found.train.x.astype(float)
    ratio = (x[:, 2:] + x[:, :-2])[:, :, 0] / x[:, 1:-1, 0]  # 2 cos(2πη), at all times of an item
    sure = (abs(x[:, 1:-1, 0]) > 0.1).all(1)
    assert np.ptp(ratio[sure], axis=1).max() < 1e-3
    assert abs(np.corrcoef(x[:, 3, 0], x[:, 3, 1])[0, 1]) < 0.05


def test_named_series_are_read_where_they_lie(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"stock_data.csv.xz is not here.*\n.*stocks"):
        data.load("stocks")
    rows = [f"{i},{i * i}" for i in range(400)]
    (tmp_path / "stocks").mkdir()
    (tmp_path / "stocks" / "stock_data.csv.xz").write_bytes(lzma.compress("\n".join(["Open,Close", *rows]).encode()))
    found = data.load("stocks", window=8)
    assert disjoint(found)
    assert found.columns == ("Open", "Close")
    (tmp_path / "ett").mkdir()
    begin = datetime(2016, 7, 1)
    for station in ("ETTh1", "ETTh2"):
        rows = [f"{begin + timedelta(hours=i)},{i}" for i in range(14_500)]
        text = "\n".join(["date,OT", *rows])
        (tmp_path / "ett" / f"{station}.csv.xz").write_bytes(lzma.compress(text.encode(), preset=0))
    found = data.load("ett", window=24)
    assert found.spec.condition["station"].names == ("ETTh1", "ETTh2")
    assert {split.name: len(split) // 2 + 23 for split in found.splits} == {"train": 8640, "valid": 2880, "test": 2880}
    assert "100 steps in no split" in found.remarks
    assert disjoint(found)


def test_a_run_reads_its_data_again_and_a_table_of_ones_own(tmp_path):
    path = table(tmp_path / "a.csv", hours(80))
    model = sim.fit("rnade", data.load(path, window=4), tmp_path / "run", steps=2, device="cpu", hidden=4)
    assert sim.score(tmp_path / "run") == sim.score(model, path)
    few = table(tmp_path / "few.csv", hours(5))  # too short to split: all of its windows are looked at
    assert sim.score(tmp_path / "run", few).n == 2


def test_the_command_explains_a_series(tmp_path, capsys):
    path = table(tmp_path / "a.csv", hours(80))
    assert main(["data", str(path), "--window", "6"]) == 0
    out = capsys.readouterr().out
    assert "6×2, continuous" in out
    assert "a window of 6 steps of 1:00:00 from every step on" in out
    assert "train: 64 steps, 2024-02-28 00:00:00 to 2024-03-01 15:00:00" in out
    assert "window 6" in out
