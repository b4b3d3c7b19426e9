"""Orderless NADE: what it says of a coordinate depends on which others are known and not on how they came to be."""

import itertools

import pytest
import torch
from small import condition_of, items, labels, randomise

from simulacra.autoregressive import OrderlessNADE, orderless_nade
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.turns import Turn

GREY, COLOUR = DataSpec(Levels((4,), 3)), DataSpec(Levels((3, 2, 2), 4), labels(3))


def double(spec: DataSpec, **arguments) -> OrderlessNADE:
    return randomise(OrderlessNADE(spec, **({"hidden": 12, "dropout": 0.0} | arguments)).double().eval())


def test_a_factor_depends_on_what_is_known_and_not_on_the_order_of_it():
    """Every factor of every order is what `predict` says, given the set of those before it."""
    model, x = double(GREY, layers=3), items(GREY, 3)
    for order in map(torch.tensor, itertools.permutations(range(4))):
        each = model.log_each(x, order=order)
        for position, place in enumerate(order.tolist()):
            known = torch.zeros(3, 4, dtype=torch.bool)
            known[:, order[:position]] = True
            torch.testing.assert_close(each[:, place], model.predict(x, known).log_each(x)[:, place])


@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=["grey", "colour"])
def test_values_that_are_not_known_do_not_matter(spec):
    model, x, given = double(spec), items(spec, 4), condition_of(spec, 4)
    known = torch.rand(4, spec.dims) < 0.5
    other = torch.where(known.view(x.shape), x, spec.levels - 1 - x)
    same = (model.predict(batch, known, given).log_masses() for batch in (x, other))
    assert torch.equal(*same)


def test_the_training_loss_is_the_mean_over_all_orders():
    """E over order and position of the weighted sum = mean over the 24 orders of -log p, here by 60,000 draws."""
    model, x = double(GREY), items(GREY, 1)
    orders = [torch.tensor(order) for order in itertools.permutations(range(4))]
    with torch.no_grad():
        nats = -torch.stack([model.log_each(x, order=order).sum() for order in orders]).mean()
        estimate = model.loss(Turn(x.expand(60_000, -1)))["nats"]
    assert estimate.item() == pytest.approx(nats.item(), abs=0.02)


def test_positions_are_spread_over_the_batch_and_none_is_left_out():
    """The share of known coordinates that the network is shown rises evenly through the batch."""
    model, shown = double(GREY), []
    model.predict = lambda x, known, condition: shown.append(known) or OrderlessNADE.predict(model, x, known, condition)
    for _ in range(5):
        model.loss(Turn(items(GREY, 40)))
    for known in shown:
        assert known.sum(1).bincount(minlength=4).tolist() == [10, 10, 10, 10]
    assert len(torch.cat(shown)[:, :4].unique(dim=0)) == 15  # all sets of fewer than four


def test_completion_is_told_all_that_is_known():
    """Of a single unknown coordinate: p(x_i | all others), whichever it is."""
    model, x, given = double(COLOUR), items(COLOUR, 2), condition_of(COLOUR, 2)
    for place in range(COLOUR.dims):
        unknown = torch.zeros(COLOUR.dims, dtype=torch.bool)
        unknown[place] = True
        expected = model.predict(x, ~unknown.expand(2, -1), given).log_each(x).flatten(1)[:, place]
        torch.testing.assert_close(model.log_prob_completion(x, unknown.view(COLOUR.shape), given), expected)


def test_the_order_of_a_completion_is_that_of_the_model_but_for_what_is_known():
    model = double(COLOUR)
    unknown = torch.rand(COLOUR.shape) < 0.5
    order, first = model.order(unknown).tolist(), model.order().tolist()
    count = int((~unknown).sum())
    flat = unknown.flatten().tolist()
    assert order[:count] == [place for place in first if not flat[place]]
    assert order[count:] == [place for place in first if flat[place]]


def test_positions_evaluated_a_few_at_a_time_give_the_same(monkeypatch):
    model, x, given = double(COLOUR, orders=2), items(COLOUR, 3), condition_of(COLOUR, 3)
    whole = model.log_prob(x, given)
    for at_once in (1, 5 * 3 * 12):
        monkeypatch.setattr(orderless_nade, "AT_ONCE", at_once)
        torch.testing.assert_close(model.log_prob(x, given), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"layers": 0}, "layers >= 1"), ({"hidden": 0}, "hidden >= 1"), ({"orders": 0}, "at least one order")],
)
def test_what_it_cannot_do_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        OrderlessNADE(GREY, **arguments)
