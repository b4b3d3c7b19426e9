"""A map of surprise adds up to the score, and an odd pixel is surprising where it is."""

import math

import numpy as np
import pytest
from small import SPECS, all_items, condition_of, dataset, items, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Levels


def model(name="grey", scale=0.3):
    return randomise(small_model(registry.find("gated-pixelcnn"), SPECS[name]), scale).eval()


@pytest.mark.parametrize("name", ["grey", "grey-labelled", "colour", "binary"])
def test_maps_add_up_to_the_score(name):
    made, data = model(name), dataset(SPECS[name])
    bits = sim.surprise(made, data.test.x, data.test.condition)
    assert bits.shape == data.test.x.shape
    assert bits.dtype == np.float64
    assert (bits >= 0).all()
    nats = bits.reshape(len(bits), -1).sum(1) * math.log(2)
    np.testing.assert_allclose(nats, sim.score_items(made, data.test), rtol=1e-5)


def test_the_first_bit_is_that_of_the_enumerated_marginal():
    spec = DataSpec(Levels((1, 2, 3), 2))
    made = randomise(small_model(registry.find("gated-pixelcnn"), spec), 0.6).eval()
    x = all_items(spec)
    mass = made.log_prob(x).double().exp().detach().numpy()
    first = x[:, 0, 0, 0].numpy()
    marginal = np.array([mass[first == value].sum() for value in (0, 1)])
    np.testing.assert_allclose(sim.surprise(made, x)[:, 0, 0, 0], -np.log2(marginal[first]), rtol=1e-4)


def test_what_precedes_a_change_is_as_surprising_as_before():
    made, x = model(), items(SPECS["grey"], 3)
    other = x.clone()
    other[:, 0, 4, 3] = (other[:, 0, 4, 3] + 8) % 17
    before, after = (sim.surprise(made, items).reshape(3, 64) for items in (x, other))
    np.testing.assert_allclose(before[:, : 4 * 8 + 3], after[:, : 4 * 8 + 3], rtol=1e-5)
    assert (before[:, 4 * 8 + 3] != after[:, 4 * 8 + 3]).all()


def test_batches_and_read_only_arrays_change_nothing(monkeypatch):
    made, x = model(), items(SPECS["grey"], 7)
    whole, array = sim.surprise(made, x), x.numpy()
    array.flags.writeable = False
    monkeypatch.setitem(sim.surprise.__globals__, "BLOCK", 3)
    np.testing.assert_allclose(sim.surprise(made, array), whole, rtol=1e-5, atol=1e-6)


def test_what_has_no_map():
    vae = small_model(registry.find("vae"), SPECS["grey"])
    with pytest.raises(NotSupported, match=r"vae is no chain of conditionals.*gated-pixelcnn"):
        sim.surprise(vae, items(SPECS["grey"], 2))
    with pytest.raises(UsageError, match=r"items of shape \(1, 8, 8\)"):
        sim.surprise(model(), items(SPECS["grey"], 2)[0])
    with pytest.raises(UsageError, match="conditioned on 'label'"):
        sim.surprise(model("grey-labelled"), items(SPECS["grey"], 2))
    given = condition_of(SPECS["grey-labelled"], 2)
    assert sim.surprise(model("grey-labelled"), items(SPECS["grey"], 2), given).shape == (2, 1, 8, 8)
