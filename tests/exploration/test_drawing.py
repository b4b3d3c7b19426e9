"""Drawing: the same items by every sampler, in blocks of fixed noise, reported while they come."""

import numpy as np
import pytest
from small import SPECS, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration import drawing


def model(name: str, spec: str = "grey-labelled"):
    return randomise(small_model(registry.find(name), SPECS[spec]), 0.4).eval()


def test_all_samplers_draw_the_same_items():
    made = model("gated-pixelcnn").double()
    one = sim.sample(made, 5, seed=2)
    for sampler in ("cached", "naive", "fixed-point"):
        assert (sim.sample(made, 5, seed=2, sampler=sampler) == one).all()


def test_a_model_without_a_chain_has_no_samplers_to_choose_from():
    for name in ("vae", "dcgan"):
        with pytest.raises(NotSupported, match=rf"{name} draws all of an item at once.*leave 'naive' out"):
            sim.sample(model(name), 2, sampler="naive")
    with pytest.raises(UsageError, match=r"no sampler 'quick'.*cached, naive, fixed-point"):
        sim.sample(model("gated-pixelcnn"), 2, sampler="quick")


def test_rows_appear_as_they_are_drawn(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 3)
    seen = []
    drawn = sim.sample(model("gated-pixelcnn"), 5, progress=lambda x, done, total: seen.append((x.copy(), done, total)))
    assert [done for _, done, _ in seen] == [8 * 3 * row for row in range(1, 9)] + [
        8 * (3 * 8 + 2 * row) for row in range(1, 9)
    ]
    assert {total for _, _, total in seen} == {5 * 64}
    for row, (x, _, _) in enumerate(seen[:8]):
        assert (x[:3, :, : row + 1] == drawn[:3, :, : row + 1]).all()
        assert not x[:3, :, row + 1 :].any()
        assert not x[3:].any()
    assert (seen[-1][0] == drawn).all()


def test_progress_changes_no_draw():
    for name in ("gated-pixelcnn", "vae"):
        made = model(name)
        assert (sim.sample(made, 4, progress=lambda *_: None) == sim.sample(made, 4)).all()


def test_other_models_report_their_blocks(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 3)
    seen = []
    drawn = sim.sample(model("vae"), 5, progress=lambda x, done, total: seen.append((x.copy(), done, total)))
    assert [(done, total) for _, done, total in seen] == [(3 * 64, 5 * 64), (5 * 64, 5 * 64)]
    assert np.array_equal(seen[-1][0], drawn)
