"""Walks between two conditions: their ends are items of either, and every embedding moves in a straight line."""

import pytest
import torch
from small import SPECS, condition_of, dataset, randomise, small_model
from torch import nn

import simulacra as sim
from simulacra import checks, registry
from simulacra.adversarial import GAN
from simulacra.condition import Condition
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.morphs import morphed
from simulacra.networks import DenseGenerator
from simulacra.randomness import some_of


def model(name: str, spec: str = "grey-labelled"):
    return randomise(small_model(registry.find(name), checks.SPECS[spec]), 0.4).eval()


@pytest.mark.parametrize("name", ["gan", "dcgan", "vae"])
def test_a_row_has_one_code_and_its_ends_are_items_of_the_two_classes(name):
    made = model(name)
    found = sim.interpolate(made, 4, 3, seed=2, condition={"label": 0}, to={"label": "c"}).view(3, 4, 1, 8, 8)
    z = made.prior(3, {"label": 0}).sample(sim.randomness.generator(torch.device("cpu"), 2, "interpolate"))
    for column, label in ((0, 0), (-1, 2)):
        assert torch.equal(found[:, column], made.decode(z, {"label": label}).mean.round().byte())
    assert not torch.equal(found[:, 0], found[:, -1])
    short = sim.interpolate(made, steps=2, rows=3, seed=2, condition={"label": 0}, to={"label": 2})
    assert torch.equal(short.view(3, 2, 1, 8, 8), found[:, [0, -1]])


def test_half_way_the_network_sees_the_mean_of_two_rows():
    """The table of a plain generator gets a further row, half way between two, and that is what a morph decodes."""
    torch.manual_seed(0)
    made = randomise(GAN(SPECS["grey-labelled"], 3, DenseGenerator(hidden=16)), 0.4).eval()
    z, half = made.prior(5).sample(), torch.full((5,), 0.5)
    labels = [Condition({"label": torch.full((5,), label)}) for label in (0, 2)]
    found = morphed(made, z, *labels, half)
    table = made.generator.enter.vectors["label"]
    with torch.no_grad():
        table.weight[1] = (table.weight[0] + table.weight[2]) / 2
    assert torch.equal(found, made.decode(z, {"label": 1}).mean)


@pytest.mark.parametrize("name", ["gan", "vae"])
def test_pictures_and_numbers_are_moved_as_what_the_network_makes_of_them(name):
    made = model(name, "grey-mixed")
    spec = made.spec
    one, other = (condition_of(spec, 12).rows(slice(begin, begin + 3)) for begin in (0, 5))
    z = made.prior(3, one).sample()
    for t, end in ((0.0, one), (1.0, other)):
        found = morphed(made, z, one, other, torch.full((3,), t))
        torch.testing.assert_close(found, made.decode(z, end).mean, rtol=1e-4, atol=1e-4)


def test_an_item_keeps_its_code_on_the_way_to_another_class():
    made, data = model("vae"), dataset(SPECS["grey-labelled"])
    found = sim.interpolate(made, steps=3, rows=4, data=data, to={"label": 1}).view(4, 3, 1, 8, 8)
    some = some_of(len(data.test), 4, 0, "shown")
    x, label = data.test.x[some], data.test.condition["label"][some]
    z = made.encode(torch.from_numpy(x), {"label": label}).mean
    assert torch.equal(found[:, 0], made.decode(z, {"label": label}).mean.round().byte())
    assert torch.equal(found[:, -1], made.decode(z, {"label": 1}).mean.round().byte())
    assert set(label) > {1}


def test_a_morph_leaves_no_hook_behind():
    made = model("dcgan")
    z, one, other = made.prior(2).sample(), {"label": 0}, {"label": 1}
    before = made.decode(z, one).mean
    with pytest.raises(UsageError, match="label"):
        sim.interpolate(made, condition=one, to={"label": 7})
    sim.interpolate(made, steps=2, rows=2, condition=one, to=other)
    assert torch.equal(made.decode(z, one).mean, before)
    assert not any(module._forward_hooks for module in made.modules())


def test_what_has_nothing_between_two_conditions_is_refused():
    with pytest.raises(UsageError, match="no condition to go to"):
        sim.interpolate(model("dcgan", "grey"), to={"label": 1})
    with pytest.raises(UsageError, match="joins two codes"):
        sim.interpolate(model("dcgan"), to={"label": 1}, path="linear")
    with pytest.raises(NotSupported, match="has no styles"):
        sim.interpolate(model("dcgan"), path="styles")
    made = model("gan")

    class OneHot(nn.Module):
        """A generator that reads classes without a table."""

        def forward(self, z, condition):
            return torch.tanh(z.sum(1) + condition["label"].float()).view(-1, 1, 1, 1).expand(-1, *made.spec.shape)

    made.generator = OneHot()
    made.generator.weight = nn.Parameter(torch.zeros(1))
    with pytest.raises(NotSupported, match="reads its condition without embedding it"):
        sim.interpolate(made, steps=2, rows=1, condition={"label": 0}, to={"label": 1})
