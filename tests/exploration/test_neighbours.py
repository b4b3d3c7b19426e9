"""A sample that is in the training set is found there."""

import numpy as np
import pytest
from small import SPECS, condition_of, items, randomise, small_model

import simulacra as sim
from simulacra import feed, registry
from simulacra.data import Card, Dataset, DataSpec, Split
from simulacra.errors import UsageError


def with_items(spec: DataSpec, x: np.ndarray, label: int) -> Dataset:
    """Random items, with x, all of one class, from number 30 on."""
    train = np.concatenate([items(spec, 30).numpy(), x])
    fields = {name: np.r_[values.numpy(), [label] * len(x)] for name, values in condition_of(spec, 30).items()}
    parts = [Split(train, fields, name) for name in ("train", "valid", "test")]
    return Dataset("copies", spec, *parts, card=Card("copies", "a test", "none"), fingerprint="copies")


@pytest.mark.parametrize("name", ["vae", "dcgan", "gated-pixelcnn"])
def test_copies_are_found_at_distance_zero(name, monkeypatch):
    monkeypatch.setattr(feed, "OTHERS", 7)  # of the training items too
    model = randomise(small_model(registry.find(name), SPECS["grey-labelled"]), 0.4).eval()
    data = with_items(model.spec, sim.sample(model, 6, seed=3, condition={"label": "b"}), 1)
    found = sim.neighbours(model, data, 6, seed=3, condition={"label": "b"})
    assert (data.train.x[found.by_pixels.index] == found.samples).all()
    np.testing.assert_allclose(found.by_pixels.distance, 0, atol=1e-2)
    assert (found.by_codes is None) == (name != "vae")
    rows = found.rows()
    assert list(rows) == ["samples", "nearest by pixels", "nearest by code"][: len(rows)]
    if found.by_codes is not None:
        assert (rows["nearest by code"] == found.samples).all()
    other = sim.neighbours(model, data, 6, seed=4, condition={"label": "b"})
    assert other.by_pixels.distance.max() > 0.1


def test_what_is_asked_wrongly_is_refused():
    model = small_model(registry.find("vae"), SPECS["grey"])
    with pytest.raises(UsageError, match="n >= 1"):
        sim.neighbours(model, with_items(SPECS["grey"], items(SPECS["grey"], 2).numpy(), 0), 0)
    with pytest.raises(UsageError, match="the model is for"):
        sim.neighbours(model, with_items(SPECS["binary"], items(SPECS["binary"], 2).numpy(), 0))
