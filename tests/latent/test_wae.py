"""The MMD against its definition, and what the WAE makes of it."""

import itertools

import pytest
import torch
from small import SPECS, condition_of, items, randomise, stripes

import simulacra as sim
from simulacra.condition import Condition
from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels
from simulacra.latent import WAEMMD
from simulacra.latent.wae import SCALES, mmd
from simulacra.networks import Dense
from simulacra.turns import Turn

LABELLED = SPECS["grey-labelled"]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(z, w, distance, same=lambda i, j: True) -> float:
    """The mean over pairs of k(z_i, z_j) + k(w_i, w_j) - k(z_i, w_j) - k(z_j, w_i)."""

    def k(a, b):
        return sum(s * distance / (s * distance + float(((a - b) ** 2).sum())) for s in SCALES)

    pairs = [(i, j) for i, j in itertools.permutations(range(len(z)), 2) if same(i, j)]
    return sum(k(z[i], z[j]) + k(w[i], w[j]) - k(z[i], w[j]) - k(z[j], w[i]) for i, j in pairs) / len(pairs)


def small(spec: DataSpec = LABELLED, **arguments) -> WAEMMD:
    return randomise(WAEMMD(spec, **({"latent": 2, "network": Dense(hidden=16, layers=2)} | arguments)).double().eval())


def test_it_is_its_definition():
    z, w = normal(6, 3), normal(6, 3, seed=1) + 0.5
    assert mmd(z, w, 6.0).item() == pytest.approx(by_hand(z, w, 6.0), abs=1e-12)
    kinds = torch.tensor([0, 1, 0, 2, 1, 0])
    within = by_hand(z, w, 6.0, lambda i, j: kinds[i] == kinds[j])
    assert mmd(z, w, 6.0, kinds).item() == pytest.approx(within, abs=1e-12)


def test_it_is_zero_for_equal_sets_and_for_none():
    z = normal(7, 2)
    assert mmd(z, z, 4.0) == 0
    assert mmd(z, z, 4.0, torch.tensor([0, 0, 1, 1, 1, 2, 2])) == 0
    assert mmd(z, z + 1, 4.0, torch.arange(7)) == 0  # no two of one class
    assert mmd(z[:1], z[1:2], 4.0) == 0


def test_it_is_without_bias_and_so_at_times_negative():
    """200 pairs of sets from one distribution, of ten each; a biased estimate would have a mean of k(z, z) / 10."""
    values = torch.stack([mmd(normal(10, 2, seed=2 * i), normal(10, 2, seed=2 * i + 1), 4.0) for i in range(200)])
    assert values.mean().abs() < 4 * values.std() / 200**0.5
    assert 0.2 < (values < 0).double().mean() < 0.9


def test_it_grows_as_distributions_part():
    z = normal(300, 2)
    values = [mmd(z, normal(300, 2, seed=1) + shift, 4.0).item() for shift in (0.3, 1.0, 3.0, 10.0)]
    assert 0 < values[0] < values[1] < values[2] < values[3] <= 2 * len(SCALES)
    assert mmd(z, 2 * normal(300, 2, seed=1), 4.0) > 0.05  # another width will do


def test_units_and_order_do_not_matter():
    z, w = normal(8, 3), normal(8, 3, seed=1)
    torch.testing.assert_close(mmd(10 * z, 10 * w, 600.0), mmd(z, w, 6.0))
    torch.testing.assert_close(mmd(w, z, 6.0), mmd(z, w, 6.0))
    order = torch.randperm(8)
    torch.testing.assert_close(mmd(z[order], w[order], 6.0), mmd(z, w, 6.0))


def test_classes_that_have_changed_places_are_seen_only_with_labels():
    """Two modes, one a class: as sets both are the same, class by class they are far apart."""
    kinds = torch.arange(200) % 2
    z, w = normal(200, 2) + 5 * kinds[:, None], normal(200, 2, seed=1) + 5 * (1 - kinds)[:, None]
    assert mmd(z, w, 30.0).abs() < 0.05
    assert mmd(z, w, 30.0, kinds) > 1


def test_gradients_are_finite_where_codes_coincide():
    z = torch.zeros(4, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(mmd(z, torch.ones(4, 2), 4.0), z)
    assert torch.isfinite(gradient).all()
    assert (gradient < 0).all()  # toward the ones


def test_the_kernel_is_as_wide_as_the_prior():
    assert small(latent=5).distance == pytest.approx(10, rel=0.05)
    ring = small(prior="ring")
    assert ring.distance == pytest.approx(2 * (0.4**2 + 0.1**2), rel=0.1)  # of one class: within a mode
    assert small(SPECS["grey"], prior="ring").distance == pytest.approx(2 * (4 + 0.4**2 + 0.1**2), rel=0.1)


def test_the_kernel_has_a_width_for_any_number_of_classes():
    many = DataSpec(Levels((1, 8, 8), 17), {"label": ClassLabel(1500)})
    assert small(many, latent=5).distance == pytest.approx(10, rel=0.05)
    assert small(many, prior="ring").distance == pytest.approx(2 * (0.4**2 + 0.1**2), rel=0.1)


def test_the_loss_is_the_reconstruction_and_the_weighted_gap():
    x, given, found = items(LABELLED, 8), condition_of(LABELLED, 8), {}
    for weight in (1.0, 50.0):
        model = small(weight=weight)
        torch.manual_seed(3)
        found[weight] = model.loss(Turn(x, Condition(given)))
    reconstruction = -model.decode(model.encode(x, given).mean, given).log_prob(x).mean()
    for terms in found.values():
        torch.testing.assert_close(terms["reconstruction"], reconstruction)
    torch.testing.assert_close(found[50.0]["mmd"], 50 * found[1.0]["mmd"])


@pytest.mark.parametrize(("prior", "sees"), [("gaussian", True), ("ring", False)])
def test_a_decoder_sees_the_class_unless_the_code_says_it(prior, sees):
    model, z, x = small(prior=prior), normal(2, 2), items(LABELLED, 2)
    one, other = (model.decode(z, {"label": label}).mean for label in (0, 1))
    assert torch.equal(one, other) != sees
    codes = [model.encode(x, {"label": label}).mean for label in (0, 1)]
    assert torch.equal(*codes)  # the encoder never is


def test_codes_come_to_lie_like_the_prior(tmp_path):
    data = stripes(DataSpec(Levels((1, 8, 8), 2)), n=256)
    sizes = {"network": Dense(hidden=32, layers=2), "latent": 2}
    model = sim.fit("wae-mmd", data, tmp_path, **sizes, steps=300, batch=64, learning_rate=3e-3, ema=0.9)
    z = torch.from_numpy(sim.encode(model, data)["mean"])
    w = model.prior(len(z)).sample(torch.Generator(model.device).manual_seed(0)).cpu()
    start = WAEMMD(data.spec, **sizes).encode(torch.from_numpy(data.test.x)).mean.detach()
    assert mmd(z, w, 4.0) < 0.1 < mmd(start, w, 4.0)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_that_weighs_nothing_is_refused(weight):
    with pytest.raises(UsageError, match="needs weight > 0"):
        WAEMMD(LABELLED, weight=weight)
