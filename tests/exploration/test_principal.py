"""Principal directions: singular vectors of a first layer, components of codes, and of styles."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model
from test_style_mixing import StandIn

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.principal import Directions
from simulacra.networks import DenseGenerator


@pytest.fixture
def gan() -> GAN:
    torch.manual_seed(2)
    return randomise(GAN(SPECS["grey"], 4, DenseGenerator(hidden=16)), 0.4).eval()


def test_of_a_linear_first_layer_they_are_its_right_singular_vectors(gan):
    layer = gan.generator.stack[0]
    left, rows = torch.linalg.qr(torch.randn(16, 4))[0], torch.linalg.qr(torch.randn(4, 4))[0]
    with torch.no_grad():
        layer.weight.copy_(left @ torch.diag(torch.tensor([4.0, 2.0, 1.0, 0.5])) @ rows)
    found = sim.traverse(gan, directions="principal")
    assert found.importance.measure == "share of response"
    assert found.directions.shape == (4, 4)
    cosine = np.abs((found.directions * rows.numpy()).sum(1))
    assert (cosine > 0.98).all()  # 1 but for the covariance of 1,000 draws, which is not quite I
    np.testing.assert_allclose(found.importance.each, np.array([16, 4, 1, 0.25]) / 21.25, atol=0.03)


def test_a_direction_moves_one_coordinate_and_no_other():
    vectors = torch.linalg.qr(torch.randn(5, 5))[0][:3]
    found = Directions("codes", vectors, torch.randn(5), torch.tensor([3.0, 2, 1]), torch.ones(3))
    z = torch.randn(4, 5)
    moved = found.put(z, 1, -2.0)
    before, after = ((each - found.mean) @ vectors.t() for each in (z, moved))
    torch.testing.assert_close(after[:, 1], torch.full((4,), -4.0))
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])


def test_rows_are_the_directions_that_are_named(gan):
    found = sim.traverse(gan, directions="principal", steps=5, dims=[1, 0], seed=3)
    assert found.items.shape == (2, 5, 1, 8, 8)
    assert found.dims == (1, 0)
    again = sim.traverse(gan, directions="principal", steps=5, dims=[0], seed=3)
    assert (again.items[0] == found.items[1]).all()
    assert (found.items[:, 0] != found.items[:, -1]).any()
    other = sim.traverse(gan, directions="principal", steps=5, dims=[0], seed=4)
    assert (other.items != again.items).any()


def test_of_items_they_are_the_components_of_their_mean_codes():
    made = randomise(small_model(registry.find("vae"), SPECS["grey"]), 0.4).eval()
    data = dataset(SPECS["grey"], (40, 10, 60))
    found = sim.traverse(made, data, 2, directions="principal", steps=3)
    codes = sim.encode(made, data)["mean"].astype(np.float64)
    variance, vectors = np.linalg.eigh(np.cov(codes.T))
    assert found.importance.measure == "share of codes"
    np.testing.assert_allclose(found.importance.each, (variance / variance.sum())[::-1], rtol=1e-3)
    assert (np.abs((found.directions * vectors.T[::-1]).sum(1)) > 0.999).all()
    v = found.directions[0].astype(np.float64)
    along = (codes[2] - codes.mean(0)) @ v
    z = codes[2] + (3 * variance[-1] ** 0.5 - along) * v
    end = made.decode(torch.from_numpy(z[None]).float()).mean.round().byte()[0].numpy()
    assert np.abs(found.items[0, -1].astype(int) - end).max() <= 1


def test_of_styles_they_are_those_of_w():
    made = GAN(SPECS["grey-labelled"], 4, DenseGenerator(hidden=8))
    made.generator = StandIn()
    made.eval()
    found = sim.traverse(made, directions="principal", condition={"label": 1}, steps=3, top=2)
    assert found.importance.measure == "share of styles"
    assert found.items.shape == (2, 3, 1, 8, 8)
    np.testing.assert_allclose(found.importance.each, 0.25, atol=0.05)  # w = 2z + 1 varies alike in all directions
    mean = found.items[0].astype(int)
    assert (mean[0] != mean[-1]).any()


def test_what_has_no_principal_directions_is_refused(gan):
    with pytest.raises(UsageError, match="no direction 4: the principal ones are 0 to 3"):
        sim.traverse(gan, directions="principal", dims=[4])
    with pytest.raises(UsageError, match="Did you mean 'principal'"):
        sim.traverse(gan, directions="principle")
    discrete = registry.find("vae").build(SPECS["grey"], latent=3, prior="bernoulli", network="dense:hidden=8")
    with pytest.raises(NotSupported, match="discrete"):
        sim.traverse(discrete, directions="principal")
