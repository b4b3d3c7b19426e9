"""Forecasts of people by verb and command line: the draws that the model makes, who is there, and what is written."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from small import randomise

import simulacra as sim
from simulacra.cli import main
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.exploration.forecast_people import Scenes, as_rows, walks_of
from simulacra.fields import Many, Paths, Real
from simulacra.sequences import SocialGAN

ROOM, SEEN, STEPS = 3, 4, 5
SPEC = DataSpec(Paths((ROOM, STEPS, 2)), {"past": Many(Real((SEEN, 2)), ROOM)})


@pytest.fixture
def model():
    torch.manual_seed(0)
    return randomise(SocialGAN(SPEC, hidden=8)).eval()


@pytest.fixture
def own():
    walk = np.arange(SEEN)[:, None] * np.array([[1.0, 0.5]]) + np.array([2.0, -1.0])
    return {"past": [[walk], [walk, walk + 1.0]]}


def test_futures_begin_where_people_are_and_zeros_are_where_nobody_is(model, own):
    found = sim.forecast(model, condition=own, steps=3, n=6)
    assert found.shape == (2, 6, 3, ROOM, 2)
    assert not found[0, :, :, 1:].any()
    assert not found[1, :, :, 2:].any()
    assert found[1, :, :, 1].any()
    assert np.ptp(found[0, :, :, 0], axis=0).min() > 0  # the draws differ
    assert np.array_equal(found, sim.forecast(model, condition=own, steps=5, n=6)[:, :, :3])
    assert not np.array_equal(found, sim.forecast(model, condition=own, steps=3, n=6, seed=1))


def test_the_table_has_every_draw_of_everybody_who_is_there_and_what_came(model, own):
    came = np.random.default_rng(0).normal(size=(2, ROOM, STEPS, 2)).astype(np.float32)
    walks = walks_of(model, Scenes(model.conditioned(own, None), ("a", "b"), came), 2, 3)
    header, *rows = as_rows(walks)
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert len(rows) == 3 * 2 * (3 + 1)  # people, steps, draws and what came
    second = {row["draw"]: row for row in rows if (row["scene"], row["person"], row["step"]) == ("b", "2", "2")}
    assert second.keys() == {"1", "2", "3", "what came"}
    assert float(second["3"]["y"]) == pytest.approx(walks.futures[1, 2, 1, 1, 1], rel=1e-4)
    assert float(second["what came"]["x"]) == pytest.approx(came[1, 1, 1, 0], rel=1e-4)


def test_as_many_steps_as_it_was_fitted_to(model, own):
    with pytest.raises(UsageError, match=f"forecasts 1 to {STEPS} steps, and n >= 1 futures, not 6 and 2"):
        sim.forecast(model, condition=own, steps=6, n=2)


def test_the_command_writes_a_table_and_scenes_from_above(tmp_path, capsys):
    rows = [f"{10 * frame} {person} {0.4 * (frame % 50)} {person}.0" for frame in range(400) for person in (1, 2)]
    tracks = tmp_path / "street.txt"
    tracks.write_text("\n".join(rows) + "\n")
    run = str(tmp_path / "run")
    main(["fit", "social-gan", str(tracks), "--condition", "past", "--steps", "2", "--hidden", "8", "--out", run])
    main(["forecast", run, "--steps", "12", "-n", "2"])
    assert "2 futures of 12 steps of" in capsys.readouterr().out
    with (tmp_path / "run" / "forecast.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) > 1
    with Image.open(tmp_path / "run" / "forecast.png") as picture:
        assert picture.convert("L").getextrema()[0] < 100
