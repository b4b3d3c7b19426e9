"""MADE: masks that hide in every order what is to come, and orders that are mixed as densities."""

import math

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import MADE
from simulacra.autoregressive.masked import MaskedLinear
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.turns import Turn

BINARY, COLOUR = DataSpec(Levels((1, 3, 3), 2)), DataSpec(Levels((3, 2, 2), 4), labels(3))


def double(spec: DataSpec, **arguments) -> MADE:
    return randomise(MADE(spec, **({"hidden": 20} | arguments)).double().eval())


@pytest.mark.parametrize("hidden", [5, 8, 9, 40])
def test_the_masks_leave_as_many_weights_as_the_degrees_say(hidden):
    """A unit of degree m reads m inputs and tells n - m outputs; direct connections are the pairs."""
    n = BINARY.dims
    plain = n * hidden + n + hidden
    assert MADE(BINARY, hidden=hidden, direct=False).free_parameters() == plain
    assert MADE(BINARY, hidden=hidden, direct=True).free_parameters() == plain + n * (n - 1) // 2


@pytest.mark.parametrize("network", [{}, {"layers": 3}, {"direct": False}, {"hidden": 3}, {"orders": 3}], ids=str)
def test_no_factor_looks_ahead_in_any_order(network):
    """Neither in the orders of the mixture nor in others."""
    model = double(COLOUR, **network)
    for order in (*model.orders, torch.randperm(COLOUR.dims)):
        found = sim.checks.causality(model, {"label": 1}, order)
        assert found.causal, str(found)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_all_of_the_past_is_seen_with_a_unit_for_every_coordinate_or_with_direct_connections(layers, direct):
    """Many units of each degree, so that some are on; or directly, with hardly any."""
    model = double(DataSpec(Levels((7,), 4)), layers=layers, direct=direct, hidden=2 if direct else 60)
    assert sim.checks.causality(model).coverage == 1


def test_a_mixture_is_the_mean_of_the_densities():
    model, x = double(BINARY, orders=4), items(BINARY, 10)
    each = torch.stack([model.log_each(x, order=order).flatten(1).sum(1) for order in model.orders])
    assert each.std(0).min() > 1e-3  # the orders are at odds
    torch.testing.assert_close(model.log_prob(x).exp(), each.exp().mean(0))
    torch.testing.assert_close(model.log_each(x).flatten(1).sum(1), each[0])  # the first one speaks for coordinates


@pytest.mark.parametrize("arguments", [{"layers": 2}, {"direct": False, "hidden": 5}], ids=str)
def test_mixtures_of_orders_add_up_to_one(arguments):
    assert double(BINARY, orders=5, **arguments).log_prob(all_items(BINARY)).exp().sum().item() == pytest.approx(1)


def test_orders_are_the_same_every_time_and_raster_comes_first():
    one, other = MADE(COLOUR, orders=3), MADE(COLOUR, orders=5)
    assert torch.equal(one.orders, other.orders[:3])
    assert one.orders[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]  # red, green and blue of the first pixel
    assert len(other.orders.unique(dim=0)) == 5


def test_completion_takes_the_order_that_sees_most_of_what_is_known():
    model = double(BINARY, orders=6)
    for order in model.orders:
        last = order[6:]
        unknown = torch.zeros(9, dtype=torch.bool)
        unknown[last] = True
        chosen = model.order(unknown.view(1, 3, 3))
        assert set(chosen[6:].tolist()) == set(last.tolist())  # all that is known comes first
    assert torch.equal(model.order(), model.orders[0])


def test_each_batch_is_trained_in_one_order_that_follows_from_the_seed():
    model, x = double(BINARY, orders=3), items(BINARY, 8)

    def loss(seed: int) -> float:
        torch.manual_seed(seed)
        return model.loss(Turn(x))["nats"].item()

    expected = [-model.log_each(x, order=order).flatten(1).sum(1).mean().item() for order in model.orders]
    found = {min(range(3), key=lambda k, s=seed: abs(expected[k] - loss(s))) for seed in range(20)}
    assert found == {0, 1, 2}
    assert all(min(abs(loss(seed) - value) for value in expected) < 1e-12 for seed in range(20))


@pytest.mark.parametrize("orders", [1, 3])
def test_what_is_hidden_in_every_order_has_no_gradient_and_does_not_matter(orders):
    model, x, given = double(COLOUR, orders=orders, layers=2), items(COLOUR, 4), condition_of(COLOUR, 4)
    before = model.log_prob(x, given)
    before.sum().backward()
    layers = [module for module in model.modules() if isinstance(module, MaskedLinear)]
    assert len(layers) == 3
    with torch.no_grad():
        for layer in layers:
            hidden = layer.mask == 0
            assert (layer.weight.grad[hidden] == 0).all()
            assert layer.weight.grad.abs().sum() > 0
            layer.weight[hidden] = 1e6
    assert torch.equal(model.log_prob(x, given), before)


def test_a_mixture_tells_its_progress_as_that_of_all_items():
    model, states = double(BINARY, orders=3), []
    drawn = model.sample(20, generator=torch.Generator().manual_seed(0), progress=lambda *state: states.append(state))
    done = [count for _, count, _ in states]
    assert done == sorted(done)
    assert done[-1] == 9
    assert torch.equal(states[-1][0], drawn)
    assert all(len(x) == 20 and total == 9 for x, _, total in states)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (BINARY, {"hidden": 0}, "hidden >= 1"),
        (BINARY, {"layers": 0}, "layers >= 1"),
        (BINARY, {"dropout": 1.0}, "dropout"),
        (BINARY, {"orders": 0}, "at least one order"),
        (DataSpec(Levels((3, 32, 32), 256)), {}, "--levels"),
        (DataSpec(Real((4,))), {}, "use rnade"),
    ],
)
def test_what_it_cannot_do_is_refused(spec, arguments, message):
    with pytest.raises(UsageError, match=message):
        MADE(spec, **arguments)


def test_a_single_order_of_one_coordinate_is_a_free_table():
    model = double(DataSpec(Levels((1,), 5)))
    total = model.log_prob(torch.arange(5, dtype=torch.uint8)[:, None]).exp().sum().item()
    assert math.isclose(total, 1)
