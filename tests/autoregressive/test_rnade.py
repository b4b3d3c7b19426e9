"""RNADE: densities of real numbers in whatever units; the laws of the chain are in test_laws.py."""

import math

import pytest
import torch
from small import condition_of, dataset, items, labels, randomise

import simulacra as sim
from simulacra.autoregressive import RNADE
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.turns import Turn

PLANE = DataSpec(Real((2,)))


def build(spec: DataSpec, **arguments) -> RNADE:
    model = RNADE(spec, **({"hidden": 8, "components": 3} | arguments)).double().eval()
    randomise(model, 0.5)
    return model


def learn(model: RNADE, x: torch.Tensor, batch: int = 50) -> None:
    """The units of the items, and nothing else."""
    model.train()
    with torch.no_grad():
        for some in x.split(batch):
            model.loss(Turn(some, Condition(condition_of(model.spec, len(some)))))
    model.eval()


def correlated(n: int) -> torch.Tensor:
    """In units that differ by six orders of magnitude."""
    z = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return z @ torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 2.0]]).double() * torch.tensor([1e-3, 1, 1e3]) + 500


# The density


@pytest.mark.parametrize("direct", [True, False])
def test_all_factors_at_once_are_the_definition(direct):
    """h_i = max(0, ρ_i (c + Σ_{j<i} z_j W_j)), and a mixture whose means move with Σ_{j<i} z_j L_ji."""
    model, x = build(DataSpec(Real((4,))), direct=direct), items(DataSpec(Real((4,))), 6).double()
    learn(model, 3 * items(model.spec, 100, seed=1).double() + 1)
    mean, scale = model.units.mean, model.units.scale
    z, each = (x - mean) / scale, []
    for i in range(4):
        h = torch.relu(model.rates[i] * (model.start + z[:, :i] @ model.inputs[:i]))
        weights, means, log_scales = (h @ model.outputs[i] + model.biases[i]).chunk(3, dim=1)
        if model.direct is not None:
            means = means + (z[:, :i] @ model.direct[:i, i])[:, None]
        normal = torch.distributions.Normal(means, log_scales.exp())
        density = (weights.softmax(1) * normal.log_prob(z[:, i : i + 1]).exp()).sum(1)
        each.append(density.log() - scale[i].log())
    torch.testing.assert_close(model.log_each(x), torch.stack(each, dim=1))


@pytest.mark.parametrize("condition", [{}, labels(2)])
def test_the_density_integrates_to_one_over_the_line_and_over_the_plane(condition):
    """Also of data that are neither centred nor of unit scale."""
    line = build(DataSpec(Real((1,)), condition))
    plane = build(DataSpec(Real((2,)), condition))
    learn(line, 4 * items(line.spec, 100).double() + 7)
    learn(plane, items(plane.spec, 100).double() * torch.tensor([4.0, 0.5]) + 7)
    given = dict.fromkeys(condition, 1)
    x = torch.linspace(-100, 100, 10_001, dtype=torch.float64)[:, None]
    assert line.log_prob(x, given).exp().sum().item() * 0.02 == pytest.approx(1, abs=1e-6)
    first = torch.linspace(-60, 75, 271, dtype=torch.float64)
    second = torch.linspace(-10, 25, 701, dtype=torch.float64)
    total = plane.log_prob(torch.cartesian_prod(first, second), given).exp().sum().item()
    assert total * 0.5 * 0.05 == pytest.approx(1, abs=1e-5)


def test_one_component_and_direct_sums_are_any_gaussian():
    """Σ = L D Lᵀ: with the hidden layer off, means that move by the regression on what came before."""
    x = correlated(4000)
    model = RNADE(DataSpec(Real((3,))), hidden=1, components=1).double()
    learn(model, x)
    z = (x - model.units.mean) / model.units.scale
    with torch.no_grad():
        model.outputs.zero_()
        model.biases.zero_()
        for i in range(3):
            slopes = torch.linalg.lstsq(z[:, :i], z[:, i]).solution if i else z.new_zeros(0)
            model.direct[:i, i] = slopes
            model.biases[i, 2] = (z[:, i] - z[:, :i] @ slopes).std(correction=0).log()
    covariance = (x - x.mean(0)).t() @ (x - x.mean(0)) / len(x)
    expected = torch.distributions.MultivariateNormal(x.mean(0), covariance).log_prob(x)
    torch.testing.assert_close(model.log_prob(x), expected, rtol=1e-6, atol=1e-6)


# Units


def test_the_units_are_those_of_all_items_seen_in_training():
    """Batches of unequal sizes, whose means differ, pool to the mean and the deviation of all of them."""
    model, x = build(DataSpec(Real((3,)))), correlated(203).sort(0).values
    learn(model, x, batch=50)
    torch.testing.assert_close(model.units.mean, x.mean(0))
    torch.testing.assert_close(model.units.scale, x.std(0, correction=0))


def test_data_in_other_units_have_the_same_density_but_for_the_units():
    """log p(s x + m) = log p(x) - Σ log s: what is learnt does not depend on what x is measured in."""
    spec, x = DataSpec(Real((3,))), items(DataSpec(Real((3,))), 100).double()
    s, m = torch.tensor([1e-4, 1.0, 1e5], dtype=torch.float64), torch.tensor([1e-3, -20.0, 1e6], dtype=torch.float64)
    one, other = build(spec), build(spec)
    learn(one, x)
    learn(other, x * s + m)
    torch.testing.assert_close(other.log_prob(x * s + m), one.log_prob(x) - s.log().sum(), rtol=1e-8, atol=1e-6)
    drawn = (model.sample(50, generator=torch.Generator().manual_seed(0)) for model in (one, other))
    first, second = (each.double() for each in drawn)
    torch.testing.assert_close((second - m) / s, first, rtol=1e-3, atol=1e-3)


def test_what_is_scored_teaches_no_units():
    model, x = build(PLANE), 5 + items(PLANE, 20).double()
    before = model.log_prob(x)
    model.loss(Turn(x))
    model.sample(3)
    assert torch.equal(model.log_prob(x), before)


def test_a_constant_coordinate_is_no_division_by_zero():
    model, x = build(PLANE), items(PLANE, 40).double()
    x[:, 1] = 3.0
    learn(model, x)
    assert torch.isfinite(model.log_prob(x)).all()
    assert torch.isfinite(model.log_prob(torch.zeros(2, 2))).all()


# Training


def test_peaks_far_from_the_origin_are_found(tmp_path):
    """Four of them at the corners of a square, of which the entropy is known and no Gaussian is near."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(2, (1500, 2), generator=generator)
    x = 1000 + 20 * corners + torch.randn(1500, 2, generator=generator)
    data = sim.data.from_arrays(x.numpy(), name="corners")
    model = sim.fit("rnade", data, tmp_path / "run", hidden=8, components=4, steps=200, every=200)
    entropy = math.log(4) + 1 + math.log(2 * math.pi)
    assert sim.score(model, data).nats == pytest.approx(entropy, abs=0.25)
    assert torch.equal(sim.load(tmp_path / "run").log_prob(x), model.cpu().log_prob(x))
    nearest = ((model.sample(200, generator=generator) - 1000) / 20).round()
    assert nearest.unique(dim=0).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_a_narrow_peak_has_a_bounded_density():
    """Biases that ask for a scale of e^-100 get one of e^-7 standard deviations."""
    model = RNADE(DataSpec(Real((1,))), hidden=1, components=1)
    with torch.no_grad():
        model.outputs.zero_()
        model.biases.copy_(torch.tensor([0.0, 0.0, -100.0]))
    assert model.log_prob(torch.zeros(1, 1)).item() == pytest.approx(7 - 0.5 * math.log(2 * math.pi))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: RNADE(DataSpec(Levels((4,), 16))), "continuous.*16 levels.*made or nade"),
        (lambda: RNADE(PLANE, hidden=0), "hidden >= 1"),
        (lambda: RNADE(PLANE, components=0), "components >= 1"),
        (lambda: RNADE(PLANE).steps(1, order=torch.tensor([1, 0])), "raster order only"),
        (lambda: RNADE(PLANE).conditionals(torch.zeros(1, 2), order=torch.tensor([1, 0])), "raster order only"),
    ],
)
def test_what_it_cannot_do_is_refused(build, words):
    with pytest.raises(UsageError, match=words):
        build()


def test_the_command_that_is_refused_for_discrete_data_names_models_that_take_them(tmp_path):
    with pytest.raises(UsageError, match="made or nade"):
        sim.fit("rnade", dataset(DataSpec(Levels((4,), 3))), tmp_path / "run", steps=1)
