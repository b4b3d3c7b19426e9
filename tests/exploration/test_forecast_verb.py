"""Forecasts: futures of the end of a file, of an array, or of held-out windows, in Python and on the command line."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from small import randomise

import simulacra as sim
from simulacra.cli import main
from simulacra.data import DataSpec, Levels, Origin, Real, Recipe, from_series
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.forecast import pasts_of
from simulacra.model import Model


class Counting(Model):
    """A future that goes on by one a step from the last value, with noise of its generator."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        self.none = torch.nn.Parameter(torch.zeros(1))

    def phases(self):
        return []

    def forecast(self, past, steps, condition=None, generator=None):
        ahead = torch.arange(1, steps + 1, dtype=past.dtype)[None, :, None]
        noise = torch.rand((len(past), 1, 1), generator=generator)
        return past[:, -1:] + ahead + 0.1 * noise


def rows_in(path):
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture
def counting():
    model = Counting(DataSpec(Real((10, 2)))).eval()
    model.origin = Origin("made-up", "0", Recipe(window=10), "", ("a", "b"))
    return model


@pytest.fixture
def run(tmp_path):
    """A run on the rows of a table, an hour apart, which count."""
    rows = [f"2024-01-0{1 + i // 24} {i % 24:02}:00:00,{i},{-i}" for i in range(96)]
    path = tmp_path / "counts.csv"
    path.write_text("\n".join(["time,a,b", *rows]))
    sim.fit("mdn-rnn", sim.data.load(path, window=6), tmp_path / "run", steps=3, device="cpu", hidden=4, head=3)
    return tmp_path / "run"


def test_windows_are_forecast_beside_what_came(counting):
    data = from_series(np.stack([np.arange(200.0), 5 * np.arange(200.0)], 1), 10)
    found = sim.forecast(counting, data, steps=3, n=4)
    assert found.shape == (len(data.test), 4, 3, 2)
    np.testing.assert_allclose(found[:, :, :, 0], data.test.x[:, None, 7:, 0].repeat(4, 1), atol=0.11)
    few = sim.forecast(counting, data, steps=3, n=4, limit=5, split="valid")
    assert few.shape[0] == 5


def test_what_comes_at_the_end_of_a_window_is_no_input(counting):
    """The future of the data may be anything: the forecasts stay."""
    data = from_series(np.random.default_rng(0).standard_normal((150, 2)), 10)
    before = sim.forecast(counting, data, steps=4, n=2)
    x = data.test.x.copy()
    x[:, 6:] = 99
    changed = sim.data.Dataset(
        "changed", data.spec, data.train, data.valid, sim.data.Split(x, {}, "test"), data.card, "other"
    )
    np.testing.assert_array_equal(sim.forecast(counting, changed, steps=4, n=2), before)
    truth = pasts_of(counting, changed, 4).truth
    assert (truth == 99).all()


@pytest.mark.parametrize("shape", [(3, 2), (25, 2)])
def test_what_follows_an_array_of_any_length(counting, shape):
    past = np.arange(shape[0] * 2.0).reshape(shape)
    found = sim.forecast(counting, past, steps=20, n=3)
    assert found.shape == (1, 3, 20, 2)
    np.testing.assert_allclose(found[0, :, -1], past[-1] + 20 + np.zeros((3, 2)), atol=0.11)
    np.testing.assert_array_equal(sim.forecast(counting, torch.tensor(past)[None].float(), steps=20, n=3), found)


def test_the_seed_makes_the_noise(counting):
    past = np.zeros((5, 4, 2))
    one, again, other = (sim.forecast(counting, past, steps=2, n=200, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len(np.unique(one[0, :, 0, 0])) > 190


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"steps": 0}, "1 to 9 can be forecast"),
        ({"steps": 10}, "windows of 10 steps 1 to 9 can be forecast from those before, not 10"),
        ({"steps": 2, "n": 0}, "n >= 1"),
        ({"data": np.zeros((4, 3)), "steps": 2}, r"a past of this Counting is \(P, 2\)"),
        ({"data": np.zeros((0, 2)), "steps": 2}, "a past"),
    ],
)
def test_wrong_calls_are_refused(counting, call, message):
    data = from_series(np.zeros((60, 2)) + np.arange(60)[:, None], 10)
    with pytest.raises(UsageError, match=message):
        sim.forecast(counting, **{"data": data} | call)


def test_a_model_without_a_future_is_refused():
    model = sim.autoregressive.RNADE(DataSpec(Real((4, 2))), hidden=2)
    with pytest.raises(NotSupported, match="rnade draws no future of a past; fit mdn-rnn"):
        sim.forecast(model, np.zeros((3, 2)), steps=2)


def test_the_end_of_a_file_of_several_series(tmp_path):
    rows = [f"{i},{kind},{i}" for kind, length in (("north", 60), ("south", 57)) for i in range(length)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["t,store,a", *rows]))
    data = sim.data.load(path, window=6, entity="store")
    model = sim.fit("mdn-rnn", data, tmp_path / "run", condition="store", steps=2, device="cpu", hidden=4, head=3)
    with torch.no_grad():
        randomise(model, 0.01)
        model.before.fill_(1)  # the last value goes on
    found = sim.forecast(model, path, steps=2, n=50)
    assert found.shape == (2, 50, 2, 1)
    assert main(["forecast", str(tmp_path / "run"), str(path), "--steps", "2", "-n", "5"]) == 0
    table = rows_in(tmp_path / "run" / "forecast.csv")
    assert [(row["item"], row["time"]) for row in table] == [
        ("north", "60"),
        ("north", "61"),
        ("south", "57"),
        ("south", "58"),
    ]


def test_the_command_writes_a_table_and_a_picture(run, tmp_path, capsys):
    path = tmp_path / "counts.csv"
    assert main(["forecast", str(run), str(path), "--steps", "3", "-n", "20", "--out", str(tmp_path / "f.csv")]) == 0
    assert (
        f"20 futures of 3 steps of 1 past in {tmp_path / 'f.csv'} and {tmp_path / 'f.png'}" in capsys.readouterr().out
    )
    table = rows_in(tmp_path / "f.csv")
    assert [row["time"] for row in table[::2]] == [f"2024-01-05 0{hour}:00:00" for hour in range(3)]
    draws = sim.forecast(run, path, steps=3, n=20)
    for row in table:
        own = draws[0, :, int(row["step"]) - 1, ["a", "b"].index(row["column"])]
        np.testing.assert_allclose(float(row["mean"]), own.mean(), rtol=1e-5)
        np.testing.assert_allclose(float(row["q95"]), np.quantile(own, 0.95), rtol=1e-5)
    with Image.open(tmp_path / "f.png") as picture:
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 4


def test_the_command_shows_what_came(run, capsys):
    assert main(["forecast", str(run), "--steps", "2", "-n", "4", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    table = rows_in(run / "forecast.csv")
    assert record["items"] * 4 == len(table)
    assert [float(row["truth"]) for row in table if row["column"] == "a"][:2] == [90.0, 91.0]
    assert main(["forecast", str(run), "--steps", "2", "-n", "4", "--out", str(run / "f.npz")]) == 0
    with np.load(run / "f.npz") as arrays:
        assert arrays["x"].shape == (record["items"], 4, 2, 2)
        assert arrays["truth"].shape == (record["items"], 2, 2)


def test_other_columns_and_places_are_refused(run, tmp_path, capsys):
    (tmp_path / "other.csv").write_text("b,a\n1,2\n3,4\n")
    assert main(["forecast", str(run), str(tmp_path / "other.csv"), "--steps", "2"]) == 2
    assert "the model is for the columns a, b, and" in capsys.readouterr().err
    path = tmp_path / "counts.csv"
    assert main(["forecast", str(run), str(path), "--steps", "2", "--out", str(path)]) == 2
    assert "is the past itself" in capsys.readouterr().err
    assert main(["forecast", str(run), "--steps", "2", "--out", "x.gif"]) == 2
    assert "use a .csv or a .png or a .npz file" in capsys.readouterr().err


def test_steps_on_a_grid_are_forecast_on_it():
    class Still(Model):
        """The last frame stays."""

        def __init__(self, spec: DataSpec) -> None:
            super().__init__(spec)
            self.none = torch.nn.Parameter(torch.zeros(1))

        def phases(self):
            return []

        def forecast(self, past, steps, condition=None, generator=None):
            return past[:, -1:].repeat(1, steps, 1, 1, 1)

    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 1, 4, 4), dtype=np.uint8)
    found = sim.forecast(Still(DataSpec(Levels((6, 1, 4, 4), 256))), frames, steps=3, n=2)
    assert found.dtype == np.uint8
    assert (found == frames[:, None, -1:]).all()


def test_samples_are_a_table_that_is_read_back(run, tmp_path):
    path = tmp_path / "new.csv"
    assert main(["sample", str(run), "-n", "5", "--out", str(path)]) == 0
    assert path.read_text().splitlines()[0] == "item,step,a,b"
    found = sim.data.load(path, window=2, entity="item")
    assert found.columns == ("a", "b")
    assert len(found.spec.condition["item"].names) == 5
    drawn = sim.sample(run, 5)
    np.testing.assert_array_equal(found.train.x[0], drawn[0, :2])
