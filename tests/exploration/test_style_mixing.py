"""Styles: paths in W and mixtures, of a stand-in whose mapping and synthesis are simple enough to write down."""

import numpy as np
import pytest
import torch
from small import SPECS, randomise, small_model
from torch import nn

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.errors import NotSupported, UsageError
from simulacra.networks import DenseGenerator, Styled
from simulacra.randomness import generator

LAYERS = 3


class StandIn(nn.Module):
    """w = 2z + the class for each of three layers; x has the mean of each layer's style in columns of its own."""

    def __init__(self):
        super().__init__()
        self.mean_w = torch.zeros(3, 4)
        self.scale = nn.Parameter(torch.full((), 2.0))

    def mapping(self, z, condition):
        return (self.scale * z + condition["label"][:, None]).unsqueeze(1).expand(-1, LAYERS, -1)

    def synthesis(self, w):
        x = torch.tanh(w.mean(2))
        return torch.cat([x, x, x[:, :2]], 1)[:, None, None, :].expand(-1, 1, 8, -1)

    def truncated(self, z, condition, psi):
        return self.synthesis(psi * self.mapping(z, condition))

    def forward(self, z, condition):
        return self.synthesis(self.mapping(z, condition))


@pytest.fixture
def gan() -> GAN:
    made = GAN(SPECS["grey-labelled"], 4, DenseGenerator(hidden=8))
    made.generator = StandIn()
    return made.eval()


def draws(gan: GAN, n: int, verb: str, seed: int = 0):
    return gan.prior(n).sample(generator(gan.device, seed, verb))


def test_the_stand_in_has_styles(gan):
    assert isinstance(gan.generator, Styled)
    assert not isinstance(DenseGenerator(hidden=8).build(SPECS["grey"], 4), Styled)


def test_a_mixture_has_the_coarse_layers_of_its_row_and_the_fine_ones_of_its_column(gan):
    found = sim.mix_styles(gan, 2, 3, 1, condition={"label": [0, 1, 2, 0, 1]}, seed=5)
    assert found.shape == (3, 4, 1, 8, 8)
    assert found.dtype == np.uint8
    z, label = draws(gan, 5, "mix styles", 5), torch.tensor([0, 1, 2, 0, 1])
    alone = gan.decode(z, {"label": label}).mean.numpy()
    assert (found[1:, 0] == alone[:2]).all()
    assert (found[0, 1:] == alone[2:]).all()
    for row in range(2):
        for column in range(3):
            cell = found[1 + row, 1 + column]
            assert (cell[..., 0] == alone[row][..., 0]).all()  # the first layer's column
            assert (cell[..., 1:3] == alone[2 + column][..., 1:3]).all()
    assert (found[0, 0] == gan.spec.on_grid(torch.zeros(1)).item()).all()  # the mean style


def test_a_path_in_w_is_straight_there(gan):
    found = sim.interpolate(gan, steps=3, rows=2, seed=1, path="styles", condition={"label": 1}).view(2, 3, 1, 8, 8)
    z = draws(gan, 4, "interpolate", 1)
    middle = (z[:2] + z[2:]) / 2
    for column, codes in enumerate((z[:2], middle, z[2:])):
        assert torch.equal(found[:, column], gan.decode(codes, {"label": 1}).mean)


def test_wrong_mixtures_are_refused(gan):
    for wrong, message in (({"layer": 0}, "layer 1 to 2"), ({"layer": 3}, "layer 1 to 2"), ({"rows": 0}, "rows >= 1")):
        with pytest.raises(UsageError, match=message):
            sim.mix_styles(gan, **wrong)
    for name in ("gan", "vae"):
        with pytest.raises(NotSupported, match=f"{name} has no styles"):
            sim.mix_styles(randomise(small_model(registry.find(name), SPECS["grey"])))
