"""Samples of tables are tables: with the columns of the data, numbers that are read back, and classes by name."""

import csv

import numpy as np
import pytest

import simulacra as sim
from simulacra.cli import main
from simulacra.data.recipe import Origin
from simulacra.errors import DataError

NAMES = ["length, mm", "width", "species"]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory):
    """(a run of p(numbers | species), the table)"""
    folder, rng = tmp_path_factory.mktemp("flowers"), np.random.default_rng(0)
    with (folder / "flowers.csv").open("w", newline="") as file:
        rows = [(a, b, ("setosa", "alba")[i % 2]) for i, (a, b) in enumerate(rng.normal(size=(60, 2)).round(3))]
        csv.writer(file).writerows([NAMES[1:2] + NAMES[2:] + NAMES[:1], *((b, c, a) for a, b, c in rows)])
    words = ["--condition", "species", "--steps", "2", "--hidden", "4", "--components", "2"]
    assert main(["fit", "rnade", str(folder / "flowers.csv"), "--out", str(folder / "run"), *words]) == 0
    return folder / "run", folder / "flowers.csv"


def rows(path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_table_is_written_with_the_columns_of_the_data(flowers, printed, tmp_path):
    run, table = flowers
    printed("sample", run, "-n", "6", "--out", tmp_path / "x.csv")
    printed("sample", run, "-n", "6", "--out", tmp_path / "x.npz")
    header, *found = rows(tmp_path / "x.csv")
    assert header == ["width", "length, mm", "species"]
    arrays = np.load(tmp_path / "x.npz")
    assert (np.array([row[:2] for row in found], np.float32) == arrays["x"]).all()
    assert [row[2] for row in found] == [("alba", "setosa")[i] for i in arrays["species"]]
    again = sim.data.load(tmp_path / "x.csv")
    assert again.spec == sim.data.load(table).spec
    assert again.columns == ("width", "length, mm")
    printed("score", run, tmp_path / "x.csv", "--split", "all")


def test_a_model_that_is_saved_alone_knows_the_columns(flowers, tmp_path):
    sim.save(sim.load(flowers[0]), tmp_path / "alone")
    assert sim.load(tmp_path / "alone").origin.columns == ("width", "length, mm")
    record = {"name": "a", "fingerprint": "b", "columns": [3]}
    with pytest.raises(DataError, match="no names of columns"):
        Origin.from_json(record)


def test_without_names_columns_are_numbered(printed, tmp_path):
    printed("fit", "rnade", "ring", "--steps", "2", "--hidden", "4", "--out", tmp_path / "run")
    printed("sample", tmp_path / "run", "-n", "3", "--out", tmp_path / "x.csv")
    assert rows(tmp_path / "x.csv")[0] == ["x0", "x1"]


def test_pictures_are_no_table(runs, refused, tmp_path):
    out = ["--out", tmp_path / "x.csv"]
    message = refused("sample", runs["vae"], *out)
    assert "items are pictures, and a table has one row of numbers each; use a .png, a .npz or a folder" in message
    assert not (tmp_path / "x.csv").exists()
