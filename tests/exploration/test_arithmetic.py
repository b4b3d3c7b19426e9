"""Arithmetic of concepts, on a generator of which one number of a code lights the upper half and one the left."""

import numpy as np
import pytest
import torch
from small import SPECS, small_model
from torch import nn

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Split
from simulacra.errors import NotSupported, SimulacraWarning, UsageError
from simulacra.exploration import invert
from simulacra.exploration.arithmetic import random_directions
from simulacra.fields import Levels
from simulacra.networks import DenseGenerator

SPEC = DataSpec(Levels((1, 4, 4), 17), {name: ClassLabel(2, ("no", "yes")) for name in ("top", "left")})


class Halves(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((), 0.4))

    def forward(self, z, condition):
        top, left = torch.zeros(2, 4, 4)
        top[:2], left[:, :2] = 1, 1
        x = z[:, 0, None, None] * top + z[:, 1, None, None] * left + 0.1 * z[:, 2, None, None]
        return torch.tanh(self.scale * x)[:, None]


@pytest.fixture(scope="module")
def gan() -> GAN:
    made = GAN(SPEC.conditioned_on(()), 3, DenseGenerator(hidden=4))
    made.generator = Halves()
    return made.eval()


@pytest.fixture(scope="module")
def data(gan) -> Dataset:
    """Its own samples, each half labelled as lit where its number is positive."""
    parts = []
    for seed, name in enumerate(("train", "valid", "test")):
        z = gan.prior(300).sample(torch.Generator().manual_seed(seed))
        labels = {"top": (z[:, 0] > 0).long().numpy(), "left": (z[:, 1] > 0).long().numpy()}
        parts.append(Split(gan.decode(z).mean.numpy(), labels, name))
    return Dataset("halves", SPEC, *parts, card=Card("halves", "a test", "none"), fingerprint="halves")


def both(gan, data, **more):
    """Lit above, dark above (both dark at the left), and dark above but lit at the left: lit in both."""
    return sim.arithmetic(gan, data, "top:no+left:yes", "top:yes+left:no", "top:no+left:no", **more)


def test_the_difference_of_two_concepts_is_added_to_a_third(gan, data):
    found = both(gan, data)
    assert found.wanted == {"top": 1, "left": 1}
    assert found.vector[0] > 1.5  # from the surest dark upper halves to the surest lit ones
    assert abs(found.vector[1]) < 0.3 * found.vector[0]
    assert found.ceiling > 0.85  # of a network that has learnt from 200 items
    assert found.reached > 0.9
    assert found.by_chance < 0.5
    assert found.unmoved < 0.2
    assert {row.shape for row in found.rows().values()} == {(9, 1, 4, 4)}
    lit = found.moved[:, 0, :2, :2].mean((1, 2)) > found.start[:, 0, :2, :2].mean((1, 2))
    assert lit.all()
    again = both(gan, data)
    assert (again.control == found.control).all()
    assert (both(gan, data, seed=1).control != found.control).any()


def test_the_control_goes_as_far():
    v = torch.tensor([3.0, 0, 4])
    away = random_directions(torch.zeros(200, 3), v, seed=0)
    assert away.shape == (8, 200, 3)
    torch.testing.assert_close(away.norm(dim=2), torch.full((8, 200), 5.0))
    mean = away.flatten(0, 1).mean(0)
    assert (mean.abs() < 5 * 5 / (3 * 1600) ** 0.5).all()  # no direction is preferred: five standard errors


def test_codes_of_items_are_found_by_search_for_a_gan(gan, data):
    with pytest.warns(SimulacraWarning, match="codes found by search"):
        found = both(gan, data, source="items", each=3)
    assert found.vector[0] > 0.8
    assert found.present.shape == (4, 1, 4, 4)
    x = np.asarray(data.train.x)
    assert all((item == x).all((1, 2, 3)).any() for item in found.present[1:])  # which the search recovers


def test_wrong_concepts_are_refused(gan, data):
    for concepts, more, message in (
        (("top:no", "top:maybe", "top:no"), {}, "no class 'top:maybe'"),
        (("top:no", "top:no+top:yes", "top:no"), {}, "two classes of one field"),
        (("no", "top:yes", "top:no"), {}, "several fields have a class 'no'"),
        (("top:no", "top:yes", "top:no"), {"each": 2}, "at least 3 codes, not of 2"),
        (("top:no", "top:yes", "top:no"), {"source": "item"}, "Did you mean 'items'"),
    ):
        with pytest.raises(UsageError, match=message):
            sim.arithmetic(gan, data, *concepts, **more)
    with pytest.raises(NotSupported, match="has no decoder"):
        sim.arithmetic(small_model(registry.find("nade"), SPECS["binary"]), data, "top:no", "top:yes", "top:no")
    autoencoder = small_model(registry.find("autoencoder"), SPEC.conditioned_on(()))
    with pytest.raises(NotSupported, match="has no prior"):
        sim.arithmetic(autoencoder, data, "top:no", "top:yes", "top:no", source="draws")
    assert sim.arithmetic(autoencoder, data, "top:no", "top:yes", "top:no").vector.shape == autoencoder.code_shape


def test_a_concept_that_few_items_show_is_refused(gan, data):
    rare = {"top": np.zeros(300, np.int64), "left": np.asarray(data.train.condition["left"])}
    few = Dataset(
        "few",
        SPEC,
        *(Split(each.x, rare if each.name == "train" else each.condition, each.name) for each in data.splits),
        card=data.card,
        fingerprint="few",
    )
    with pytest.raises(UsageError, match=r"'top:yes' needs 3 codes, and 0 items of few \(train\) show it"):
        sim.arithmetic(gan, few, "top:no", "top:yes", "top:no", source="items")


def test_inversion_of_the_items_finds_them(gan, data):
    assert not invert(gan, data.test.x[:5]).rejected.any()
