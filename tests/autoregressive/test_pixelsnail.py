"""What is particular to PixelSNAIL: windows have a blind spot, attention has none, and remembers what it computed."""

from collections import Counter

import pytest
import torch
from small import condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import Raster, pixelsnail
from simulacra.data import DataSpec
from simulacra.distributions import Bernoulli, DiscretisedLogisticMixture
from simulacra.errors import UsageError
from simulacra.fields import numeric
from simulacra.nn import CausalAttention, RightConv2d

SHAPES = [(1, 4, 3), (3, 2, 3), (1, 1, 6), (2, 6, 1), (3, 1, 1)]


def snail(shape, levels: int = 5, condition=None, **arguments) -> Raster:
    small = {"width": 6, "blocks": 1, "layers": 1, "heads": 2, "components": 2}
    return randomise(pixelsnail(DataSpec(numeric(shape, levels), condition or {}), **(small | arguments)).eval(), 0.3)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("network", [{}, {"blocks": 2, "layers": 2, "heads": 1}], ids=str)
def test_it_is_causal_and_walks(shape, network):
    model = snail(shape, condition=labels(3), **network).double()
    assert sim.checks.causality(model).causal
    drawn = [
        model.sample(4, condition_of(model.spec, 4), sampler=sampler, generator=torch.Generator().manual_seed(0))
        for sampler in ("cached", "naive", "fixed-point")
    ]
    assert all(torch.equal(x, drawn[0]) for x in drawn)
    assert len(drawn[0].unique()) > 2


def test_attention_sees_all_of_the_past_and_windows_alone_do_not():
    model = snail((1, 6, 8), width=12)
    assert sim.checks.causality(model, draws=2).coverage == 1
    with torch.no_grad():
        for block in model.network.blocks:
            block.both.merge.weight.zero_()
    assert sim.checks.causality(model, draws=2).coverage < 0.5


def test_the_first_pixel_knows_nothing_but_the_condition():
    model = snail((1, 4, 4), condition=labels(3), blocks=2)
    x, y = items(model.spec, 6), items(model.spec, 6, seed=1)
    given = condition_of(model.spec, 6)
    one, other = (model.conditionals(values, given).log_masses()[:, 0, 0, 0] for values in (x, y))
    assert torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    assert torch.equal(one[0], one[3])


def test_a_walk_computes_every_activation_once():
    model, calls = snail((3, 4, 5), blocks=2, layers=2), Counter()
    once_a_pixel = [module for module in model.modules() if isinstance(module, RightConv2d | CausalAttention)]
    for module in once_a_pixel:
        module.register_forward_hook(lambda m, *_: calls.update([m]))
    model.sample(2, sampler="cached")
    assert calls == dict.fromkeys(once_a_pixel, 4 * 5)


def test_keys_and_values_are_those_of_the_rows_before_as_well():
    """A change of the very first pixel is felt by the last factor, in a walk as in a forward pass."""
    model = snail((1, 6, 6)).double()
    x = items(model.spec, 2)
    x[1, :, 1:], x[1, :, 0, 1:], x[1, 0, 0, 0] = x[0, :, 1:], x[0, :, 0, 1:], (x[0, 0, 0, 0] + 1) % 5
    steps = model.steps(2)
    for value in x.flatten(1).T:
        p = steps.conditional()
        steps.append(value)
    masses = p.log_masses()
    assert (masses[0] != masses[1]).all()
    torch.testing.assert_close(masses, model.conditionals(x).log_masses()[:, 0, -1, -1], rtol=1e-10, atol=1e-10)


def test_every_part_is_learnt():
    model = snail((3, 4, 4), condition=labels(3), blocks=2, layers=2).train()
    model.log_prob(items(model.spec, 3), condition_of(model.spec, 3)).sum().backward()
    assert not {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}


def test_a_binary_image_of_one_channel_has_a_bernoulli_and_others_a_mixture():
    for shape, levels, expected in (((1, 3, 3), 2, Bernoulli), ((3, 2, 2), 2, DiscretisedLogisticMixture)):
        model = snail(shape, levels)
        assert type(model.conditionals(items(model.spec, 2))) is expected


@pytest.mark.parametrize("arguments", [{"blocks": 0}, {"layers": 0}, {"heads": 0}, {"dropout": 1.0}], ids=str)
def test_what_makes_no_network_is_refused(arguments):
    with pytest.raises(UsageError, match=r"(blocks|layers|heads|dropout) of pixel-network 'pixelsnail' must be"):
        snail((1, 4, 4), **arguments)
