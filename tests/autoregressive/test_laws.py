"""The laws of the chain rule, for every registered model of the family on every kind of data that it takes."""

import copy

import pytest
import torch
from small import all_items, condition_of, items, labels, randomise, same, small_arguments, weights
from torch import Tensor

import simulacra as sim
from simulacra.autoregressive.samplers import SAMPLERS
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real, numeric
from simulacra.model import Model

ENTRIES = [entry for entry in sim.models() if entry.family == "autoregressive"]
LARGER = {  # than small ones: so that all of the past can pass; orders to mix
    "width": 12,
    "hidden": 64,
    "orders": 3,
    "network": "gated-pixelcnn:width=12,layers=3,kernel=3",
}


def untrained(entry, spec: DataSpec, **arguments) -> Model:
    given = small_arguments(entry) | LARGER | arguments
    known = entry.arguments
    return entry.build(spec, **{k: v for k, v in given.items() if k in known})


def build(entry, spec: DataSpec, scale: float = 1.0, **arguments) -> Model:
    """A small model in float64: counts of a few items, or random weights, biases too, that neither fade nor explode."""
    model = randomise(untrained(entry, spec, **arguments), 1.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale * (1.5 * parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.3)
    return model.double().eval()


TAKEN: dict[tuple[str, str], bool] = {}  # every process asks while it collects, and of a spec many times over


def takes(entry, spec: DataSpec) -> bool:
    key = (entry.name, repr(spec))
    if key not in TAKEN:
        try:
            untrained(entry, spec)
            TAKEN[key] = True
        except UsageError:
            TAKEN[key] = False
    return TAKEN[key]


def cases(specs: dict[str, DataSpec]) -> pytest.MarkDecorator:
    """All models, each with those of the specs that it takes."""
    found = [
        pytest.param(entry, spec, id=f"{entry.name}-{name}")
        for entry in ENTRIES
        for name, spec in specs.items()
        if takes(entry, spec)
    ]
    return pytest.mark.parametrize(("entry", "spec"), found)


VECTORS = {
    "vector": DataSpec(Levels((5,), 3)),
    "continuous": DataSpec(Real((4,))),
    "continuous labelled": DataSpec(Real((3,)), labels(3)),
}
SEEN = {
    "grey 5×4": DataSpec(Levels((1, 5, 4), 4)),
    "binary 3×6 labelled": DataSpec(Levels((1, 3, 6), 2), labels(3)),
    "colour 3×2 labelled": DataSpec(Levels((3, 3, 2), 4), labels(3)),
    "a row": DataSpec(Levels((2, 1, 5), 4)),
    "a column": DataSpec(Levels((1, 5, 1), 4)),
    "a pixel": DataSpec(Levels((1, 1, 1), 4)),
} | VECTORS
ENUMERABLE = {
    "512 binary images of 3×3": DataSpec(Levels((1, 3, 3), 2)),
    "4,096 colour images of 1×2 on 4 levels": DataSpec(Levels((3, 1, 2), 4)),
    "64 binary images of 3×2 by class": DataSpec(Levels((1, 3, 2), 2), labels(3)),
    "243 vectors on 3 levels": DataSpec(Levels((5,), 3)),
}
DRAWN = {
    "grey 4×3": DataSpec(Levels((1, 4, 3), 5)),
    "colour 2×3 labelled": DataSpec(Levels((3, 2, 3), 4), labels(3)),
    "a binary row": DataSpec(Levels((1, 1, 6), 2)),
    "a column labelled": DataSpec(Levels((1, 5, 1), 4), labels(3)),
} | VECTORS


def test_every_model_is_under_the_laws():
    for specs in (SEEN, DRAWN):
        marked = cases(specs).args[1]
        for entry in ENTRIES:
            taken = [case.values[1] for case in marked if case.values[0] is entry]
            assert any(spec.condition for spec in taken), entry.name
            assert any(not spec.condition for spec in taken), entry.name


# What a factor sees


CAUSALITY: dict[tuple[str, str], sim.checks.Causality] = {}


def causality(entry, spec: DataSpec) -> sim.checks.Causality:
    """Of two laws, found once."""
    key = (entry.name, repr(spec))
    if key not in CAUSALITY:
        CAUSALITY[key] = sim.checks.causality(build(entry, spec))
    return CAUSALITY[key]


@cases(SEEN)
def test_no_factor_reads_itself_or_what_follows_or_another_item(entry, spec):
    """Exactly, in evaluation and in training mode, at sub-pixel level; and the chain goes through every place once."""
    model = build(entry, spec)
    assert sorted(model.order().tolist()) == list(range(spec.dims))
    found = causality(entry, spec)
    assert found.causal, str(found)


@cases({"grey 5×4": SEEN["grey 5×4"]})
def test_all_that_comes_before_reaches_a_factor_unless_the_model_says_otherwise(entry, spec):
    pairs = spec.dims * (spec.dims - 1) / 2
    coverage = causality(entry, spec).coverage
    if entry.name in ("independent", "markov"):
        assert coverage == (0 if entry.name == "independent" else (spec.dims - 1) / pairs)
    elif entry.name in ("pixelcnn", "pixelrnn-row"):  # the blind spot, the triangle
        assert 0.5 < coverage < 1
    else:
        assert coverage >= (0.9 if entry.name == "multiscale-pixelrnn" else 1)  # its rows may see a triangle only


@cases({name: spec for name, spec in SEEN.items() if spec.condition})
def test_a_condition_reaches_every_factor(entry, spec):
    """Of one item at least: a ReLU may be off for others."""
    model, x = build(entry, spec), items(spec, 20)
    each = torch.stack([model.log_each(x, {"label": label}) for label in range(3)])
    assert ((each[0] != each[1]) | (each[1] != each[2])).any(0).all()


# A probability


@cases(ENUMERABLE)
def test_the_probabilities_of_all_items_add_up_to_one(entry, spec):
    """Also those of several orders together, and given each class."""
    for scale in (0.3, 3.0):
        model = build(entry, spec, scale)
        found = sim.checks.normalisation(model)
        assert found.deviation < 1e-5, str(found)
    given = {name: torch.zeros(64, dtype=torch.long) for name in spec.condition}
    assert model.log_prob(all_items(spec)[:64], given).std() > 0.01  # they are not all alike


@cases(DRAWN)
def test_log_prob_is_the_sum_of_the_conditionals_met_while_sampling(entry, spec):
    model, n = build(entry, spec, orders=1), 6
    given = condition_of(spec, n)
    steps, u = model.steps(n, given), torch.rand(spec.dims, n, dtype=torch.float64)
    x, each = torch.zeros(n, *spec.shape, dtype=torch.float64), torch.zeros(n, *spec.shape, dtype=torch.float64)
    with torch.no_grad():
        for place, noise in zip(model.order().tolist(), u, strict=True):
            p = steps.conditional()
            value = p.quantile(noise)
            x.flatten(1)[:, place], each.flatten(1)[:, place] = value.double(), p.log_each(value)
            steps.append(value)
        drawn = x if spec.levels is None else x.byte()
        torch.testing.assert_close(model.log_each(drawn, given), each, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(model.log_prob(drawn, given), each.flatten(1).sum(1), rtol=1e-7, atol=1e-7)


@cases({"16 binary images of 2×2": DataSpec(Levels((1, 2, 2), 2))})
def test_draws_are_as_frequent_as_the_model_says(entry, spec):
    """8,000 of them against p(x), by chi square with 15 degrees of freedom at 1e-4."""
    model, n = build(entry, spec), 8000
    drawn = model.sample(n, generator=torch.Generator().manual_seed(0)).flatten(1).long()
    counts = torch.bincount(drawn @ torch.tensor([8, 4, 2, 1]), minlength=16)
    with torch.no_grad():
        expected = n * model.log_prob(all_items(spec)).exp()
    assert ((counts - expected) ** 2 / expected).sum() < 44.3


@cases(DRAWN)
def test_scoring_and_drawing_leave_every_parameter_as_it_is(entry, spec):
    model = build(entry, spec)
    before, given = weights(model), condition_of(spec, 2)
    model.log_prob(items(spec, 2), given)
    for sampler in SAMPLERS:
        model.sample(2, given, sampler=sampler)
    assert same(weights(model), before)


# Samplers


def draw(model: Model, n: int, sampler: str, **arguments) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return model.sample(n, condition_of(model.spec, n), sampler=sampler, generator=generator, **arguments)


def agree(one: Tensor, other: Tensor) -> bool:
    """Levels are the same; real numbers are, but for rounding."""
    return torch.equal(one, other) if one.dtype == torch.uint8 else torch.allclose(one, other, rtol=1e-5, atol=1e-5)


@cases(DRAWN)
def test_all_samplers_turn_the_same_noise_into_the_same_items(entry, spec):
    model = build(entry, spec)
    for n, temperature in ((7, 1.0), (1, 0.6)):
        reference = draw(model, n, "naive", temperature=temperature)
        for sampler in SAMPLERS:
            assert agree(draw(model, n, sampler, temperature=temperature), reference), (sampler, n, temperature)
        assert n == 1 or len(reference.unique()) >= (2 if spec.levels == 2 else 3)


@cases(DRAWN)
def test_all_samplers_complete_alike_and_touch_nothing_that_is_known(entry, spec):
    """One mask for all items, and one for each."""
    model, x, given = build(entry, spec), items(spec, 4), condition_of(spec, 4)
    masks = torch.rand(4, *spec.shape) < 0.5
    masks.flatten(1)[:, 1] = True
    for unknown in (masks, masks[0]):
        completed = [
            model.complete(x, unknown, given, 0.8, torch.Generator().manual_seed(5), sampler) for sampler in SAMPLERS
        ]
        assert all(agree(one, completed[0]) for one in completed)
        known = ~unknown.expand(x.shape)
        assert torch.equal(completed[0][known], x[known].to(completed[0].dtype))
        assert not torch.equal(completed[0], x)
        torch.testing.assert_close(
            model.log_prob_completion(x, unknown, given),
            torch.cat([_one_by_one(model, x[i : i + 1], unknown.expand(x.shape)[i], given, i) for i in range(4)]),
        )


def _one_by_one(model: Model, x: Tensor, unknown: Tensor, given: dict[str, Tensor], i: int) -> Tensor:
    """log p of the unknown values of an item, each given what precedes it in the order that suits the mask."""
    each = model.log_each(x, {name: values[i : i + 1] for name, values in given.items()}, model.order(unknown))
    return each[:, unknown].sum(1)


@cases({"binary 2×3": DataSpec(Levels((1, 2, 3), 2))})
def test_completions_follow_the_conditional_distribution(entry, spec):
    """4,000 completions of three unknown pixels against enumeration, by chi square with 7 degrees of freedom at 1e-4.

    Twice: with the unknown ones last in the chain, where p(unknown | known) is a ratio of sums of p(x), and with known
    ones among and after them, which a fixed order does not see.
    """
    model, n = build(entry, spec), 4000
    chain = model.order()
    for hidden in (chain[3:], chain[[0, 2, 4]]):
        unknown = torch.zeros(spec.dims, dtype=torch.bool)
        unknown[hidden] = True
        everything, unknown = all_items(spec), unknown.view(spec.shape)
        x = items(spec, 1, seed=4)
        agreeing = everything[(everything[:, ~unknown] == x[:, ~unknown]).all(1)]
        with torch.no_grad():
            p = model.log_prob_completion(agreeing, unknown).exp()
            order = model.order(unknown)
            joint = model.log_each(agreeing, None, order).flatten(1).sum(1).exp()
        assert p.sum().item() == pytest.approx(1, abs=1e-6)
        if not unknown.flatten()[order][:3].any():  # all that is known comes first
            torch.testing.assert_close(p, joint / joint.sum(), rtol=1e-6, atol=1e-6)
        drawn = model.complete(x.expand(n, *spec.shape), unknown, generator=torch.Generator().manual_seed(0))
        counts = (drawn[:, None] == agreeing).flatten(2).all(2).sum(0)
        assert counts.sum() == n
        assert ((counts - n * p) ** 2 / (n * p)).sum() < 29.9


@cases(DRAWN)
def test_progress_tells_what_is_final(entry, spec):
    model = build(entry, spec, orders=1)
    order = model.order()
    for sampler in SAMPLERS:
        states: list[tuple[Tensor, int, int]] = []
        final = draw(model, 3, sampler, progress=lambda x, *counts, states=states: states.append((x.clone(), *counts)))
        assert [total for _, _, total in states] == [spec.dims] * len(states)
        assert [done for _, done, _ in states] == sorted(done for _, done, _ in states)
        assert states[-1][1] == spec.dims
        for x, done, _ in states:
            assert agree(x.flatten(1)[:, order[:done]], final.flatten(1)[:, order[:done]])


once_each = cases({"grey": DataSpec(Levels((1, 2, 3), 4)), "continuous": DataSpec(Real((6,)))})


@once_each
def test_what_makes_no_sense_is_refused(entry, spec):
    model = build(entry, spec)
    x, everything = items(spec, 2), torch.ones(spec.shape, dtype=torch.bool)
    with pytest.raises(UsageError, match="cached, naive, fixed-point"):
        model.sample(1, sampler="quick")
    with pytest.raises(UsageError, match="of the shape of the items"):
        model.complete(x, everything.flatten()[:5])
    with pytest.raises(UsageError, match="nothing is unknown"):
        model.complete(x, ~everything)
    with pytest.raises(UsageError, match=r"x is \(N, .*\), not"):
        model.complete(torch.zeros(2, 7), everything)


@once_each
def test_data_of_the_other_kind_are_refused_with_a_model_that_takes_them(entry, spec):
    other = DataSpec(numeric(spec.shape, None if spec.levels else 4))
    with pytest.raises(UsageError, match="rnade" if spec.levels else r"\b(made|nade)\b"):
        build(entry, other)


@once_each
def test_a_copy_in_another_precision_is_the_same_density(entry, spec):
    model = build(entry, spec)
    x = items(spec, 5)
    torch.testing.assert_close(
        copy.deepcopy(model).float().log_prob(x), model.log_prob(x).float(), rtol=1e-4, atol=1e-4
    )
