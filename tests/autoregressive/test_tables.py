"""Tables are counted, smoothed towards shorter memories, and as large as the docs say."""

import math

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise, same, weights

from simulacra.autoregressive import Markov, independent
from simulacra.capabilities import ClosedForm, can
from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, numeric

BINARY = DataSpec(Levels((1, 3, 3), 2))
COLOUR = DataSpec(Levels((3, 1, 2), 4))
KINDS = {"independent": (independent, {}), "markov": (Markov, {}), "markov-2": (Markov, {"memory": 2})}
every_kind = pytest.mark.parametrize("kind", KINDS)


def made(kind: str, spec: DataSpec, **more) -> Markov:
    cls, arguments = KINDS[kind]
    return randomise(cls(spec, **arguments, **more).double().eval())


def counted(model: Markov, x: torch.Tensor, condition=None) -> Markov:
    model.double().estimate([(x, condition or {})])
    return model


# What is counted


def test_independent_masses_are_frequencies_pulled_to_those_of_all_coordinates():
    spec, x = DataSpec(Levels((3,), 4)), items(DataSpec(Levels((3,), 4)), 50)
    masses = counted(independent(spec, smoothing=2.0), x).conditionals(x[:1]).log_masses().exp()[0]
    levels = torch.arange(4, dtype=torch.uint8)
    pooled = ((x.flatten()[:, None] == levels).sum(0) + 2 / 4) / (150 + 2)
    expected = ((x[..., None] == levels).sum(0) + 2 * pooled) / (50 + 2)
    torch.testing.assert_close(masses, expected.double(), rtol=1e-6, atol=0)


def test_markov_masses_are_frequencies_pulled_to_those_of_a_shorter_memory():
    """All 3^3 contexts and levels of a vector of three, one by one, from the definition."""
    spec, alpha = DataSpec(Levels((3,), 3)), 1.5
    x = items(spec, 40)
    model = counted(Markov(spec, memory=2, smoothing=alpha), x)

    def share(i: int, memory: int, history: list[int], level: int) -> float:
        if memory < 0:
            return ((x == level).sum().item() + alpha / 3) / (x.numel() + alpha)
        past = history[len(history) - memory :]
        fits = torch.stack([x[:, i - memory + j] == value for j, value in enumerate(past)] + [x[:, i] >= 0]).all(0)
        below = share(i, memory - 1, history, level)
        return ((x[fits, i] == level).sum().item() + alpha * below) / (fits.sum().item() + alpha)

    for item in all_items(spec):
        given, found = item.tolist(), model.conditionals(item[None]).log_masses().exp()[0]
        for i in range(3):
            expected = [share(i, min(i, 2), given[:i], level) for level in range(3)]
            assert found[i].tolist() == pytest.approx(expected, rel=1e-9)


def test_the_order_is_raster_and_the_channels_of_a_pixel_come_one_after_the_other():
    """Green repeats red, and red the blue on its left; a chain of order one is sure of both and of nothing else."""
    spec = DataSpec(Levels((3, 2, 2), 2))
    x = items(spec, 400)
    x[:, 0, :, 1] = x[:, 2, :, 0]
    x[:, 1] = x[:, 0]
    sure = counted(Markov(spec, smoothing=0.1), x).conditionals(x).log_masses().exp().amax(-1).mean(0)
    assert (sure[1] > 0.99).all()
    assert (sure[0, :, 1] > 0.99).all()
    assert (sure[0, :, 0] < 0.6).all()
    assert (sure[2] < 0.6).all()


def test_enough_draws_recover_a_known_chain():
    """x_1 is fair, then x_i = x_{i-1} with probability 0.9: the divergence from the truth is about parameters / 2n."""
    spec, n = DataSpec(Levels((8,), 2)), 20_000
    stays = torch.rand(n, 8, generator=torch.Generator().manual_seed(0)) < torch.tensor([0.5] + [0.9] * 7)
    x = ((~stays).cumsum(1) % 2).byte()
    model = counted(Markov(spec), x)
    every = all_items(spec).long()
    changes = (every[:, 1:] != every[:, :-1]).sum(1)
    truth = math.log(0.5) + changes * math.log(0.1) + (7 - changes) * math.log(0.9)
    divergence = (truth.exp() * (truth - model.log_prob(every))).sum()
    assert 0 <= divergence < 2e-3
    assert (counted(independent(spec), x).log_prob(every) - 8 * math.log(0.5)).abs().max() < 0.1  # which sees nothing


@every_kind
def test_neither_batches_nor_their_order_nor_what_was_learnt_before_matter(kind):
    spec = DataSpec(Levels((1, 3, 2), 3), labels(3))
    x, given = items(spec, 30), condition_of(spec, 30)
    one, other = made(kind, spec), made(kind, spec)
    one.estimate([(x, given)])
    parts = [slice(20, 30), slice(0, 7), slice(7, 20)]
    other.estimate([(x[part], {"label": given["label"][part]}) for part in parts])
    assert same(weights(one), weights(other))


@every_kind
def test_each_class_has_a_table_of_its_own(kind):
    spec = DataSpec(Levels((1, 3, 2), 3), labels(3))
    x, given = items(spec, 60), condition_of(spec, 60)
    model, alone = made(kind, spec), made(kind, DataSpec(Levels(spec.shape, 3)))
    model.estimate([(x, given)])
    for label in range(3):
        alone.estimate([(x[given["label"] == label], {})])
        torch.testing.assert_close(model.log_prob(x, {"label": label}), alone.log_prob(x))


def test_two_fields_of_a_condition_are_one_class_for_each_pair():
    spec = DataSpec(Levels((4,), 2), {"shape": ClassLabel(2), "ink": ClassLabel(3)})
    pairs = [(shape, ink) for shape in range(2) for ink in range(3)]
    model = independent(spec, smoothing=0.1)
    x = all_items(DataSpec(Levels((4,), 2)))[[0, 1, 2, 4, 8, 15]]
    both = {"shape": torch.tensor([shape for shape, _ in pairs]), "ink": torch.tensor([ink for _, ink in pairs])}
    model.estimate([(x, both)] * 20)
    assert (model.log_prob(x, both) > math.log(0.9)).all()
    assert (model.log_prob(x.roll(1, 0), both) < math.log(0.1)).all()
    assert model.free_parameters() == 6 * 4


@every_kind
def test_before_it_is_fitted_all_items_are_alike(kind):
    cls, arguments = KINDS[kind]
    nats = cls(COLOUR, **arguments).log_prob(items(COLOUR, 5))
    torch.testing.assert_close(nats, torch.full((5,), -6 * math.log(4)))


@every_kind
def test_what_was_never_seen_is_possible(kind):
    model = counted(KINDS[kind][0](BINARY, **KINDS[kind][1]), torch.zeros(1000, 1, 3, 3, dtype=torch.uint8))
    assert torch.isfinite(model.log_prob(all_items(BINARY))).all()


# How many numbers are free


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_free_parameters_of_binary_data(n):
    """n for independence, 2n - 1 for a chain, 2^n - 1 for the full table."""
    spec = DataSpec(Levels((n,), 2))
    assert independent(spec).free_parameters() == n
    assert Markov(spec).free_parameters() == 2 * n - 1
    assert Markov(spec, memory=max(1, n - 1)).free_parameters() == 2**n - 1
    assert Markov(spec, memory=n + 3).free_parameters() == 2**n - 1  # there is nothing more to remember


def test_free_parameters_of_levels_and_classes():
    spec = DataSpec(Levels((1, 8, 8), 17))
    assert independent(spec).free_parameters() == 64 * 16
    assert Markov(spec).free_parameters() == 16 * (1 + 63 * 17)
    assert Markov(DataSpec(Levels((1, 8, 8), 17), labels(10))).free_parameters() == 10 * 16 * (1 + 63 * 17)


def test_a_full_table_is_the_relative_frequencies_of_whole_items():
    """With a memory of n - 1 and next to no smoothing p(x) is the share of x in the data."""
    spec = DataSpec(Levels((4,), 2))
    x = torch.cat([all_items(spec), items(spec, 200)])
    shares = (x[:, None] == all_items(spec)).all(-1).double().mean(0)
    model = counted(Markov(spec, memory=3, smoothing=1e-9), x)
    torch.testing.assert_close(model.log_prob(all_items(spec)).exp(), shares, rtol=1e-6, atol=0)


# The laws of a chain


@every_kind
@pytest.mark.parametrize("spec", [BINARY, COLOUR], ids=["binary", "colour"])
def test_probabilities_of_all_items_add_up_to_one(kind, spec):
    nats = made(kind, spec).log_prob(all_items(spec))
    assert nats.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert nats.std() > 0.1
    model = made(kind, DataSpec(numeric(spec.shape, spec.levels), labels(2)))
    for label in range(2):
        assert model.log_prob(all_items(spec), {"label": label}).exp().sum().item() == pytest.approx(1, abs=1e-9)


@every_kind
@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 2, 2), (1, 1, 1), (5,)], ids=str)
def test_a_coordinate_reads_its_memory_and_nothing_else(kind, shape):
    """By perturbation, bit for bit: a table has no derivative."""
    model = made(kind, DataSpec(Levels(shape, 3)))
    order, x = model.order(), items(model.spec, 8)
    start = model.conditionals(x).log_masses().flatten(1, -2)[:, order]
    for index, place in enumerate(order.tolist()):
        changed = x.clone()
        changed.flatten(1)[:, place] = (changed.flatten(1)[:, place] + 1) % 3
        found = model.conditionals(changed).log_masses().flatten(1, -2)[:, order]
        moved = (found != start).flatten(2).any(2).any(0).nonzero().flatten().tolist()
        assert moved == list(range(index + 1, min(index + model.memory, len(order) - 1) + 1))


@every_kind
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 2, 2), (5,)], ids=str)
def test_all_samplers_draw_the_same(kind, labelled, shape):
    model = made(kind, DataSpec(Levels(shape, 5), labels(3) if labelled else {}))
    given, hidden = condition_of(model.spec, 6), items(DataSpec(Levels(shape, 2)), 1)[0].bool()
    x = items(model.spec, 6)
    for temperature in (1.0, 0.5):
        draws, fills = [], []
        for sampler in ("cached", "naive", "fixed-point"):
            noise = torch.Generator().manual_seed(3)
            draws.append(model.sample(6, given, temperature, noise, sampler))
            fills.append(model.complete(x, hidden, given, temperature, noise, sampler))
        assert all(torch.equal(draws[0], draw) for draw in draws)
        assert all(torch.equal(fills[0], fill) for fill in fills)
        assert len(draws[0].unique()) > 2


@every_kind
def test_real_numbers_are_read_as_the_nearest_level(kind):
    model, x = made(kind, COLOUR), items(COLOUR, 9)
    near = x.double() + torch.rand(x.shape, dtype=torch.float64) * 0.9 - 0.45
    assert torch.equal(model.conditionals(near).log_masses(), model.conditionals(x).log_masses())


def test_independent_coordinates_can_be_told_in_any_order_and_a_chain_in_one():
    order = torch.randperm(6)
    model, chain = made("independent", COLOUR), made("markov", COLOUR)
    steps, x = model.steps(4, order=order), items(COLOUR, 4)
    each = model.log_each(x, order=order).flatten(1)
    for place in order.tolist():
        value = x.flatten(1)[:, place]
        torch.testing.assert_close(steps.conditional().log_each(value), each[:, place])
        steps.append(value)
    for call in (lambda: chain.steps(4, order=order), lambda: chain.log_each(x, order=order)):
        with pytest.raises(UsageError, match="raster order"):
            call()


# Refusals


def test_they_are_in_closed_form_and_have_no_phases():
    for build in (independent, Markov):
        assert can(build(BINARY), ClosedForm)
        assert build(BINARY).phases() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: independent(DataSpec(Real((2,)))), "continuous.*rnade"),
        (lambda: Markov(DataSpec(Real((2,)))), "continuous.*rnade"),
        (lambda: Markov(BINARY, memory=-1), "remembers 0 coordinates or more, not -1"),
        (lambda: Markov(BINARY, smoothing=0.0), "smoothing must be positive, not 0.0"),
        (lambda: independent(BINARY, smoothing=math.nan), "smoothing must be positive, not nan"),
        (
            lambda: Markov(DataSpec(Levels((3, 32, 32), 256))),
            r"memory of 1 has 2\^27.6 masses.*smaller --memory.*--levels",
        ),
        (lambda: Markov(DataSpec(Levels((1, 28, 28), 2)), memory=500), r"2\^510.6 masses"),
    ],
)
def test_what_cannot_be_tabled_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
