"""Long verbs say how far they are, to whoever listens, on stderr, and only once they take long."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from small import SPECS, dataset, items, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli import progress as display
from simulacra.compression import compress, decompress
from simulacra.feed import in_order, slices
from simulacra.progress import counted, reporting, stage
from simulacra.training import Observer, progress


def heard(verb) -> list[tuple[str, int, int]]:
    found = []
    with reporting(lambda *state: found.append(state)):
        verb()
    return found


def test_what_is_counted_is_reported_after_it_is_done_with_its_stage():
    done = []

    def work():
        with stage("first"):
            for part in counted(slices(5, 2), 5):
                done.append(part.stop)
        list(counted(slices(3, 3), 3))

    assert heard(work) == [("first", 2, 5), ("first", 4, 5), ("first", 5, 5), ("", 3, 3)]
    work()
    assert done == [2, 4, 5, 2, 4, 5]


GREY = SPECS["grey"]
VERBS = {
    "score": lambda model, x: sim.score(model, dataset(GREY), limit=9),
    "sample": lambda model, x: sim.sample(model, 9),
    "evaluate": lambda model, x: sim.evaluate(model, dataset(GREY)),
    "compress": lambda model, x: decompress(model, compress(model, x)),
    "encode": lambda model, x: list(in_order(dataset(GREY).test, GREY, model.device, 4)),
}


@pytest.mark.parametrize("name", ["made", "vae"])
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_long_verb_counts_up_to_all_its_items(verb, name):
    model = small_model(registry.find(name), GREY)
    states = heard(lambda: verb(model, items(GREY, 9).numpy()))
    by_stage = {(which, total) for which, _, total in states}
    assert states
    assert all(0 < done <= total for _, done, total in states)
    assert by_stage == {(which, total) for which, done, total in states if done == total}


def shown(monkeypatch, terminal: bool, seconds: float, steps: int = 20) -> str:
    """What is on stderr of a verb of so many items, each of which takes so long."""
    stderr, now = io.StringIO(), [0.0]
    stderr.isatty = lambda: terminal
    monkeypatch.setattr(display, "sys", SimpleNamespace(stderr=stderr))
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with display.shown("score"):
        for _ in counted(slices(steps, 1), steps):
            now[0] += seconds
    return stderr.getvalue()


def test_a_verb_that_is_quick_shows_nothing(monkeypatch):
    assert shown(monkeypatch, True, 0.05) == shown(monkeypatch, False, 0.05) == ""


def test_a_slow_one_shows_a_line_that_is_gone_at_the_end_or_a_line_now_and_then(monkeypatch):
    terminal = shown(monkeypatch, True, 1.0)
    assert "score: 2 of 20, about 18 s left" in terminal
    assert "20 of 20" not in terminal  # nothing is left then
    assert terminal.endswith(display.CLEAR)
    assert shown(monkeypatch, False, 1.0).splitlines() == ["score: 10 of 20, about 10 s left"]


def test_fit_shows_a_bar_on_a_terminal_and_nothing_elsewhere_or_where_it_is_not_wanted(monkeypatch, tmp_path, capsys):
    options = {"steps": 2, "batch": 8, "latent": 2, "network": "dense:hidden=4"}
    data = dataset(GREY)
    sim.fit("vae", data, tmp_path / "script", **options)
    assert capsys.readouterr().err == ""
    monkeypatch.setitem(progress.sys.modules, "ipykernel", SimpleNamespace())
    sim.fit("vae", data, tmp_path / "notebook", **options)
    assert "fitting" in capsys.readouterr().err
    sim.fit("vae", data, tmp_path / "silent", progress=None, **options)
    assert capsys.readouterr().err == ""

    class Mine(Observer):
        lines = []

        def said(self, line):
            self.lines.append(line)

    sim.fit("vae", data, tmp_path / "own", progress=Mine(), **options)
    assert "2 steps, which are" in Mine.lines[0]
    assert capsys.readouterr().err == ""
    assert np.isfinite(sim.score(tmp_path / "own", data).nats)
