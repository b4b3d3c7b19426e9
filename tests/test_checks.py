"""The public checks pass what is a probability and find every leak that is planted: those that projects really had."""

import doctest
import math
from pathlib import Path

import pytest
import torch
from small import labels, randomise, same, weights
from torch import nn

import simulacra as sim
from simulacra.autoregressive import gated_pixelcnn
from simulacra.data import DataSpec
from simulacra.distributions import Bernoulli, Categorical
from simulacra.errors import NotSupported, UsageError
from simulacra.fields import Levels, Real
from simulacra.nn import MaskedConv2d

SPEC = DataSpec(Levels((1, 4, 4), 2))


class Chain(nn.Module):
    """Somebody's own model: a network from x in [-1, 1] to one logit a pixel."""

    def __init__(self, *body: nn.Module, spec: DataSpec = SPEC) -> None:
        super().__init__()
        self.spec, self.body = spec, nn.Sequential(*body)
        randomise(self, 0.5)

    def order(self):
        return torch.arange(self.spec.dims)

    def conditionals(self, x, condition=None):
        return Bernoulli(self.body(self.spec.centred(x).to(next(self.parameters()).dtype)))

    def log_prob(self, x, condition=None):
        return self.conditionals(x, condition).log_prob(x)


def window(inputs: int, outputs: int, own: bool, below: bool = False) -> nn.Module:
    """A 3×3 convolution over what came before, padded; `own` is mask B."""
    mask = torch.ones(3, 3)
    mask[1, 1 + own :] = 0
    mask[2] = float(below)
    return nn.Sequential(nn.ZeroPad2d(1), MaskedConv2d(inputs, outputs, (3, 3), mask))


def good(**arguments) -> Chain:
    return Chain(window(1, 4, own=False), nn.Tanh(), window(4, 1, own=True), **arguments)


class Attention(nn.Module):
    """Every place attends to those before it; `port` forbids with -1e10 and forgets that the first has nothing left."""

    def __init__(self, port: bool) -> None:
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(1, 4) for _ in range(3))
        self.last, self.port = nn.Linear(4, 1), port

    def forward(self, x):
        flat = x.flatten(2).transpose(1, 2)
        past = torch.ones(flat.shape[1], flat.shape[1]).tril(-1).bool()
        agreement = self.query(torch.ones_like(flat)) @ self.key(flat).transpose(1, 2)
        weight = agreement.masked_fill(~past, -1e10).softmax(-1)
        found = (weight if self.port else weight * past) @ self.value(flat)
        return self.last(found).transpose(1, 2).view_as(x)


def test_a_chain_is_causal_and_its_coverage_is_that_of_the_window():
    """A single 3×3 window reaches the left neighbour and the three above, where there are any."""
    found = sim.checks.causality(Chain(window(1, 1, own=False)))
    assert found.causal
    assert found.largest == 0
    assert found.leaks == []
    seen = [1 if row == 0 else 3 + (0 < column < 3) - (column == 0) for row in range(4) for column in range(4)]
    seen[0] = 1  # of none
    past = torch.arange(16).clamp(min=1)
    assert torch.equal(found.reached, torch.tensor(seen) / past)
    assert found.coverage == pytest.approx((sum(seen) - 1) / 120)
    assert "causal: all 136 forbidden derivatives are exactly zero" in str(found)
    assert "row 3, column 0 sees least, 16.7%" in str(found)


def test_dependence_is_the_jacobian():
    model = good()
    found = sim.checks.causality(model)

    def logits(x):
        return model.double().conditionals(x).logits

    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(logits, x).view(16, 16)
    assert torch.equal(found.dependence != 0, jacobian != 0)
    assert torch.equal(found.past, torch.ones(16, 16).tril(-1).bool())


PLANTED = {
    "mask B in the first layer": (
        [window(1, 4, own=True), nn.Tanh(), window(4, 1, own=True)],
        "reads itself",
    ),
    "a mask that keeps the rows below": ([window(1, 1, own=False, below=True)], "row 0, column 0 reads row 1, column"),
    "a normalisation over H×W": (
        [window(1, 4, own=False), nn.GroupNorm(1, 4), window(4, 1, own=True)],
        "more: see .leaks",
    ),
    "a batch norm": (
        [window(1, 4, own=False), nn.BatchNorm2d(4), window(4, 1, own=True)],
        "in training mode only",
    ),
    "a first row of attention that sees all": ([Attention(port=True)], "row 0, column 0 reads"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_leak_is_found_and_named(name):
    body, message = PLANTED[name]
    found = sim.checks.causality(Chain(*body))
    assert not found.causal
    assert found.largest > 1e-6
    assert "NOT causal" in str(found)
    assert message in str(found)
    forbidden = {(i, j) for i in range(16) for j in range(16) if j >= i}
    assert {(leak.factor, leak.source) for leak in found.leaks} <= forbidden
    assert [leak.size for leak in found.leaks] == sorted((leak.size for leak in found.leaks), reverse=True)


def test_the_leak_of_the_attention_is_that_of_its_first_row_and_masking_again_mends_it():
    leaks = sim.checks.causality(Chain(Attention(port=True))).leaks
    assert {leak.factor for leak in leaks} == {0}
    assert len(leaks) == 16
    mended = sim.checks.causality(Chain(Attention(port=False)))
    assert mended.causal
    assert mended.coverage == 1


def test_a_batch_norm_lets_items_see_each_other():
    found = sim.checks.causality(Chain(window(1, 4, own=False), nn.BatchNorm2d(4), window(4, 1, own=True)))
    assert found.between_items > 0
    assert "batch mates" in str(found)
    assert (found.dependence[~found.past] == 0).all()  # with fixed statistics there is no leak
    assert sim.checks.causality(good()).between_items == 0


class LookedUp(Chain):
    """Logits by a table of what the pixel `ahead` places further on is: no derivative shows it."""

    def __init__(self, ahead: int, real: bool) -> None:
        super().__init__(window(1, 1, own=False))
        self.table, self.ahead, self.real = nn.Parameter(torch.tensor([-1.0, 1.0])), ahead, real

    def conditionals(self, x, condition=None):
        looked = self.table[x.long().flatten(1).roll(-self.ahead, 1)].view_as(x)
        looked = torch.where(torch.arange(16).view(1, 4, 4) + self.ahead < 0, 0, looked)
        return Bernoulli(looked + (super().conditionals(x).logits if self.real else 0))


def test_tables_are_checked_by_other_values():
    found = sim.checks.causality(LookedUp(-1, real=False))
    assert (found.by, found.causal) == ("values", True)
    assert torch.equal(found.dependence, torch.ones(15).diag(-1))
    assert found.coverage == 15 / 120
    ahead = sim.checks.causality(LookedUp(2, real=False))
    assert not ahead.causal
    assert {(leak.factor, leak.source) for leak in ahead.leaks} >= {(i, i + 2) for i in range(14)}
    assert "there are no derivatives" in str(ahead)


def test_a_table_beside_a_network_does_not_hide_a_leak():
    assert sim.checks.causality(LookedUp(-1, real=True)).causal
    found = sim.checks.causality(LookedUp(1, real=True))
    assert found.largest == 0
    assert not found.causal
    assert "looked up in a table" in str(found)


def test_channels_have_names_and_an_order():
    spec = DataSpec(Levels((3, 2, 2), 4))

    class Pixelwise(nn.Module):
        """Green depends on red, as it should be, and red by blue."""

        def __init__(self):
            super().__init__()
            self.spec, self.weight = spec, nn.Parameter(torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 0, 0]]))

        def order(self):
            return torch.arange(12).view(3, 4).t().flatten()

        def conditionals(self, x, condition=None):
            h = torch.einsum("oc,nchw->nohw", self.weight, x.to(self.weight.dtype))
            return Categorical(h.unsqueeze(-1) * torch.arange(4))

    found = sim.checks.causality(Pixelwise())
    assert {(leak.factor, leak.source) for leak in found.leaks} == {(place, 8 + place) for place in range(4)}
    assert "row 0, column 1, channel 0 reads row 0, column 1, channel 2" in str(found)


def test_another_order_is_another_past():
    spec, backwards = DataSpec(Levels((4,), 2)), torch.arange(4).flip(0)

    class AnyOrder(nn.Module):
        def __init__(self):
            super().__init__()
            self.spec, self.weight = spec, nn.Parameter(torch.randn(4, 4))

        def order(self):
            return torch.arange(4)

        def conditionals(self, x, condition=None, order=None):
            rank = (self.order() if order is None else order).argsort()
            return Bernoulli(x.to(self.weight.dtype) @ (self.weight * (rank[:, None] < rank[None, :])))

    for order in (None, backwards):
        found = sim.checks.causality(AnyOrder(), order=order)
        assert found.causal
        assert found.coverage == 1
    assert torch.equal(found.past, torch.ones(4, 4).triu(1).bool())
    assert "factor value" not in str(found)


def test_some_factors_are_rows_of_all():
    everything, some = sim.checks.causality(good()), sim.checks.causality(good(), factors=[5, 15])
    assert torch.equal(some.dependence, everything.dependence[[5, 15]])
    assert some.reached.tolist() == everything.reached[[5, 15]].tolist()


def test_what_starts_at_zero_hides_no_dependence_when_shaken():
    model = good()
    nn.init.zeros_(model.body[2][1].weight)
    assert sim.checks.causality(model).coverage == 0
    shaken = sim.checks.causality(model, randomise=True)
    assert shaken.causal
    assert shaken.coverage > 0.5


@pytest.mark.parametrize("check", [sim.checks.causality, sim.checks.normalisation])
def test_a_check_leaves_the_model_and_the_global_noise_alone(check):
    model = gated_pixelcnn(DataSpec(Levels((1, 3, 3), 2), labels(2)), width=4, layers=2).train()
    before, state = weights(model), torch.get_rng_state()
    first, again = str(check(model)), str(check(model))
    assert first == again
    assert model.training
    assert same(weights(model), before)
    assert all(parameter.requires_grad and parameter.dtype == torch.float32 for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_probabilities_add_up_to_one():
    found = sim.checks.normalisation(good(spec=DataSpec(Levels((1, 3, 3), 2))))
    assert found.normalised
    assert found.items == 512
    assert found.deviation < 1e-12
    assert "all 512 items add up to 1" in str(found)


def test_given_every_class_they_add_up_to_one():
    model = gated_pixelcnn(DataSpec(Levels((1, 2, 2), 3), labels(3, "a", "b", "c")), width=4, layers=1)
    assert len(sim.checks.normalisation(model).totals) == 3
    assert len(sim.checks.normalisation(model, {"label": "b"}).totals) == 1


class Averaged(nn.Module):
    """Two orders of four bits. A mixture of their densities is one; averaged logits are none."""

    def __init__(self, proper: bool) -> None:
        super().__init__()
        self.spec, self.proper = DataSpec(Levels((4,), 2)), proper
        self.weight = nn.Parameter(torch.tensor([[0.0, 2, -1, 3], [1, 0, 2, -2], [2, -3, 0, 1], [-1, 2, 2, 0]]))

    def log_prob(self, x, condition=None):
        real = x.to(self.weight.dtype)
        logits = [real @ self.weight.triu(1), real @ self.weight.tril(-1)]
        if not self.proper:
            return Bernoulli(sum(logits) / 2).log_prob(x)
        return torch.stack([Bernoulli(one).log_prob(x) for one in logits]).logsumexp(0) - math.log(2)


def test_averaged_logits_of_two_orders_are_no_density():
    assert sim.checks.normalisation(Averaged(proper=True)).normalised
    found = sim.checks.normalisation(Averaged(proper=False))
    assert not found.normalised
    assert found.deviation > 0.01
    assert str(found).startswith("NOT normalised")


def test_a_leak_shows_in_the_sum_too():
    leaky = Chain(window(1, 1, own=True), spec=DataSpec(Levels((1, 3, 3), 2)))
    assert not sim.checks.normalisation(leaky).normalised


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sim.checks.causality(nn.Linear(1, 1)), NotSupported, "no chain"),
        (lambda: sim.checks.causality(good(), draws=1), UsageError, "at least 2"),
        (lambda: sim.checks.causality(good(), factors=[16]), UsageError, "0 to 15"),
        (lambda: sim.checks.causality(good(), factors=[]), UsageError, "0 to 15"),
        (lambda: sim.checks.normalisation(nn.Linear(1, 1)), NotSupported, "no exact log_prob"),
        (
            lambda: sim.checks.normalisation(good(spec=DataSpec(Levels((1, 5, 4), 2)))),
            UsageError,
            r"2\^20 items.*DataSpec",
        ),
        (lambda: sim.checks.normalisation(good(spec=DataSpec(Real((4,))))), NotSupported, "continuous"),
    ],
)
def test_what_cannot_be_checked_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_examples_on_the_page_of_the_family_run():
    page = Path(__file__).parents[1] / "docs" / "autoregressive.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0
