"""`restyle`: conditions of some items in the styles of others, or of pictures of one's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from small import randomise

import simulacra as sim
from simulacra import registry
from simulacra.networks import Dense, PatchCritic, SpadeGenerator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "spade"
    spec = sim.data.load("digits").spec.conditioned_on(("down:factor=2",))
    parts = {"generator": SpadeGenerator(4, hidden=4), "critic": PatchCritic(4), "encoder": Dense(8)}
    sim.save(randomise(registry.find("spade").build(spec, latent=3, **parts), 1.0), out)
    return out


def test_items_of_data_give_conditions_and_styles(run, printed, tmp_path):
    out = tmp_path / "table.npz"
    said = printed("restyle", run, "digits", "--rows", "2", "--columns", "3", "--out", out)
    assert "2 conditions in the styles of 3 items" in said
    with np.load(out) as found:
        table = found["x"]
    assert table.shape == (3, 4, 1, 8, 8)
    kept, styles = table[1:, 0], table[0, 1:]
    small = np.floor(kept.reshape(2, 1, 4, 2, 4, 2).mean((3, 5)) + 0.5).astype(np.uint8)
    assert np.array_equal(table[1:, 1:], sim.restyle(run, styles, {"down": small}))
    again = json.loads(printed("restyle", run, "digits", "--rows", "2", "--out", tmp_path / "table.png", "--json"))
    assert again == {"out": str(tmp_path / "table.png"), "rows": 2, "columns": 4}


def test_a_style_is_that_of_a_picture_and_a_condition_that_of_a_file(run, printed, tmp_path):
    photo, small, out = tmp_path / "photo.png", tmp_path / "small.png", tmp_path / "table.npz"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(photo)
    Image.fromarray(rng.integers(0, 256, (4, 4), dtype=np.uint8)).save(small)
    printed("restyle", run, "--given", f"down={small}", "--style", photo, photo, "--out", out)
    with np.load(out) as found:
        table = found["x"]
    assert table.shape == (2, 2, 1, 8, 8)
    assert np.array_equal(table[:, 0], table[:, 1])
    printed("restyle", run, "digits", "--style", photo, "--rows", "3", "--out", out)
    with np.load(out) as found:
        assert found["x"].shape == (4, 2, 1, 8, 8)


def test_a_class_in_the_hand_of_an_item(printed, tmp_path):
    """An encoder that reads the condition has that of the items themselves."""
    run, out = tmp_path / "vae", tmp_path / "table.npz"
    spec = sim.data.load("digits").spec.conditioned_on(("label",))
    sim.save(randomise(registry.find("vae").build(spec, latent=2, network=Dense(8)), 1.0), run)
    printed("restyle", run, "digits", "--label", "3", "--columns", "3", "--out", out)
    with np.load(out) as found:
        assert found["x"].shape == (2, 3, 1, 8, 8)


def test_what_it_needs_is_said(run, runs, refused, tmp_path):
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(photo)
    assert "has none" in refused("restyle", runs["vae"], "digits")
    assert "cannot write" in refused("restyle", run, "digits", "--out", tmp_path / "table.txt")
    assert "rows" in refused("restyle", run, "digits", "--rows", "0")
    assert "no picture" in refused("restyle", run, "digits", "--style", tmp_path / "none.png")
    assert "no decoder" in refused("restyle", runs["gated-pixelcnn"], "digits")
