"""The film of a run in the plane: what its frames show, how many there are, and that it goes on where the run does."""

import io
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from small import SPECS, before_step, dataset, same, saved_weights

import simulacra as sim
from simulacra.cli import main
from simulacra.data.npy import npz_array, npz_keys
from simulacra.errors import DataError, NotSupported, SimulacraWarning, UsageError
from simulacra.films import SIDE, Film, Frame, Window
from simulacra.training import Interrupted, film
from simulacra.training.film import MOST, spacing

PLANE = dataset(SPECS["continuous"])
LABELLED = dataset(SPECS["continuous-labelled"])
SMALL = {"generator": "dense:hidden=8", "critic": "dense:hidden=8", "batch": 8, "ema": 0.9}


def fit(out, model="gan", data=PLANE, **options):
    chosen = (SMALL if model == "gan" else {"batch": 8}) | {"steps": 6, "every": 100} | options
    return sim.fit(model, data, out, film=True, **chosen)


def steps(run) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in (run / "film").iterdir())


def frame(run, step: int) -> dict[str, np.ndarray]:
    path = run / "film" / f"step-{step:08d}.npz"
    return {key: npz_array(path, key).read() for key in npz_keys(path)}


def places(data) -> np.ndarray:
    """The middles of the cells of the window, written out: (SIDE, SIDE, 2), the lowest row first."""
    x = data.valid.x.astype(float)
    side = 1.35 * (x.max(0) - x.min(0)).max()
    left, low = (x.max(0) + x.min(0) - side) / 2
    step = (np.arange(SIDE) + 0.5) / SIDE * side
    return np.stack(np.broadcast_arrays(left + step[None, :], low + step[:, None]), axis=2)


def test_the_surface_is_the_score_of_the_critic_at_each_place(tmp_path):
    model = fit(tmp_path / "run")
    found, where = frame(tmp_path / "run", 6), torch.from_numpy(places(PLANE)).float()
    with torch.no_grad():
        scores = torch.stack([model.critic_scores(row) for row in where])
    assert np.abs(found["surface"] - scores.numpy()).max() < 1e-4
    assert found["surface"].std() > 1e-3


def test_under_several_classes_it_is_the_largest_score(tmp_path):
    model = fit(tmp_path / "run", data=LABELLED, condition="label")
    where = torch.from_numpy(places(LABELLED)).float().flatten(0, 1)
    count = model.spec.condition["label"].count
    with torch.no_grad():
        each = [model.critic_scores(where, {"label": label}) for label in range(count)]
    found = frame(tmp_path / "run", 6)["surface"].ravel()
    assert np.abs(found - torch.stack(each).amax(0).numpy()).max() < 1e-4
    assert np.abs(found - torch.stack(each).mean(0).numpy()).max() > 1e-2


def test_the_surface_of_a_density_is_the_density(tmp_path):
    model = fit(tmp_path / "run", "rnade", hidden=4, components=2, ema=0.0, steps=2)
    where = torch.from_numpy(places(PLANE)).float().flatten(0, 1)
    with torch.no_grad():
        expected = model.log_prob(where).numpy()
    assert np.abs(frame(tmp_path / "run", 2)["surface"].ravel() - expected).max() < 1e-3


def test_a_model_with_neither_shows_its_points(tmp_path):
    fit(tmp_path / "run", "vae", latent=2, network="dense:hidden=4", steps=2)
    assert frame(tmp_path / "run", 2).keys() == {"generated"}
    with Image.open(tmp_path / "run" / "film.gif") as shown:
        assert shown.n_frames == 2


def test_generated_points_are_of_the_same_noise_and_of_the_weights_of_the_moment(tmp_path):
    fit(tmp_path / "run", learning_rate=1e-7, ema=0.0)
    first, last = (frame(tmp_path / "run", step)["generated"] for step in (1, 6))
    for before, after in zip(first.T, last.T, strict=True):  # as a network that stays what it is, in better known units
        assert np.abs(np.polyval(np.polyfit(before, after, 1), before) - after).max() < 1e-4
    fit(tmp_path / "fast", learning_rate=1e-2)
    assert np.abs(frame(tmp_path / "fast", 6)["generated"] - first).max() > 1e-2


def test_there_are_few_frames_evenly_over_the_run():
    """Which are kept follows from the step alone: each step of a longer run was taken in the shorter one."""
    kept: list[int] = []
    for step in range(1, 20 * MOST):
        if (step - 1) % spacing(step) == 0:
            kept = [each for each in kept if (each - 1) % spacing(step) == 0] + [step]
        assert kept == list(range(1, step + 1, spacing(step)))
        assert step < MOST // 2 or MOST // 2 <= len(kept) <= MOST


def test_the_frames_on_the_disk_are_those(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "MOST", 4)
    fit(tmp_path / "run", steps=15)
    assert steps(tmp_path / "run") == [1, 5, 9, 13, 15]
    fit(tmp_path / "run", steps=18)  # a larger budget goes on: what was the last frame is none any more
    assert steps(tmp_path / "run") == [1, 9, 17, 18]
    with Image.open(tmp_path / "run" / "film.gif") as shown:
        times = []
        for number in range(shown.n_frames):
            shown.seek(number)
            times.append(shown.info["duration"])
        assert len(times) == 4
        assert times[-1] > 5 * times[0]


def test_a_run_that_was_stopped_has_the_film_of_one_that_was_not(tmp_path, monkeypatch):
    monkeypatch.setattr(film, "MOST", 4)
    options = {"steps": 11, "every": 3}
    fit(tmp_path / "whole", **options)
    with pytest.raises(Interrupted), before_step(4, lambda: signal.raise_signal(signal.SIGTERM)):
        fit(tmp_path / "run", **options)
    assert steps(tmp_path / "run") == [1, 3, 5]
    with pytest.raises(ZeroDivisionError), before_step(8, lambda: 1 / 0):  # after frames that no checkpoint has
        fit(tmp_path / "run", **options)
    fit(tmp_path / "run", **options)
    assert steps(tmp_path / "run") == steps(tmp_path / "whole") == [1, 5, 9, 11]
    assert (tmp_path / "run" / "film.gif").read_bytes() == (tmp_path / "whole" / "film.gif").read_bytes()


def test_who_films_changes_nothing(tmp_path):
    fit(tmp_path / "filmed")
    sim.fit("gan", PLANE, tmp_path / "alone", **SMALL, steps=6, every=100)
    assert same(saved_weights(tmp_path / "filmed"), saved_weights(tmp_path / "alone"))


def test_the_command_says_where_the_film_is(tmp_path, capsys):
    small = ["--generator", "dense:hidden=8", "--critic", "dense:hidden=8", "--steps", "2"]
    assert main(["fit", "gan", "ring", "--film", *small, "--out", str(tmp_path / "run")]) == 0
    assert f"film of its training: {tmp_path / 'run' / 'film.gif'}" in capsys.readouterr().out


def test_what_has_no_film_is_refused_before_the_first_step(tmp_path, capsys):
    with pytest.raises(UsageError, match=r"points of the plane.*leave out --film, or fit ring or grid"):
        fit(tmp_path / "run", data=dataset(SPECS["grey"]))
    with pytest.raises(NotSupported, match="cannot sample"):
        fit(tmp_path / "run", "autoencoder", latent=2)
    assert not (tmp_path / "run").exists()
    assert main(["fit", "gan", "digits", "--film", "--out", str(tmp_path / "run")]) == 2
    assert "points of the plane" in capsys.readouterr().err


def test_a_film_of_a_finished_run_and_of_damaged_frames(tmp_path):
    sim.fit("gan", PLANE, tmp_path / "run", **SMALL, steps=6, every=100)
    with pytest.warns(SimulacraWarning, match="no film of .*--fresh"):
        fit(tmp_path / "run")
    fit(tmp_path / "filmed")
    (tmp_path / "filmed" / "film.gif").unlink()
    fit(tmp_path / "filmed")
    assert (tmp_path / "filmed" / "film.gif").exists()
    np.savez(tmp_path / "filmed" / "film" / "step-00000001.npz", generated=np.zeros((3, 2)), surface=np.zeros(3))
    with pytest.raises(DataError, match="holds no frame"):
        fit(tmp_path / "filmed")


# Drawing


def drawn(boundary: float | None, surface: np.ndarray, points: np.ndarray) -> np.ndarray:
    window = Window(-1.0, -1.0, 2.0)
    made = Film("made up", points, None, "score", boundary, window)
    return np.asarray(made.draw([Frame(1, points[:1], surface.astype(np.float32))])[0]).astype(int)


def test_real_is_warm_generated_is_cold_and_a_line_lies_between_them():
    cells = Window(-1.0, -1.0, 2.0).cells().reshape(SIDE, SIDE, 2)
    points = np.array([[-0.5, -0.5], [0.5, 0.5]])
    image = drawn(0.0, cells[..., 1] + 0.01, points)  # the score rises upwards
    upper, lower = image[60, 200], image[400, 200]
    assert upper[0] > upper[2] + 50
    assert lower[2] > lower[0] + 50
    column = image[40:430, 200].sum(1)
    assert column.min() < 300  # the line
    assert 180 < column.argmin() < 205
    shifted = drawn(None, cells[..., 1] + 7.0, points)  # without a boundary a score can be shifted
    assert shifted[60, 200][0] > shifted[60, 200][2] + 50
    assert shifted[40:430, 200].sum(1).min() > 300


def test_a_film_opens_everywhere_and_is_small():
    points = np.random.default_rng(0).normal(size=(400, 2)) / 3
    made = Film("made up", points, (np.arange(400) % 3,) * 2, "score", None, Window.around(points))
    surface = made.window.cells()[:, 0].reshape(SIDE, SIDE)
    content = made.gif([Frame(step, points + step / 9, surface * step) for step in (1, 2, 3)])
    assert content.startswith(b"GIF89a")
    assert len(content) < 100_000
    assert Image.open(io.BytesIO(content)).info["loop"] == 0
