"""The dimensions of a code: each is moved alone, in the prior's own units, and they are sorted by what they matter."""

import math

import pytest
import torch
from small import SPECS, condition_of, dataset, randomise, small_model, suited

import simulacra as sim
from simulacra import registry
from simulacra.capabilities import Decoder, Prior, Quantised, can
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.dimensions import dimensions_of
from simulacra.latent import VAE

PRIORS = ["gaussian", "laplace", "bernoulli", "categorical", "mixture", "vampprior"]
PARTS = {each: f"{each}:components=6" for each in ("mixture", "vampprior")} | {
    "categorical": "categorical:categories=3"
}
EVERY_PRIOR = pytest.mark.parametrize("prior", PRIORS)
SILENT = 1  # the dimension that does nothing


def vae(prior: str = "gaussian", spec: str = "grey", latent: int = 4, seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    model = VAE(SPECS[spec], latent=latent, network="dense:hidden=16", prior=PARTS.get(prior, prior))
    return randomise(model, 0.4, seed).eval()


def with_a_silent_dimension(prior: str = "gaussian", spec: str = "grey") -> VAE:
    """The encoder says nothing in one dimension, and the decoder does not read it."""
    model = vae(prior, spec)
    each = model.codes.parameters_each
    with torch.no_grad():
        for parameter in model.encoder.body.last.parameters():
            parameter[SILENT * each : (SILENT + 1) * each] = 0
        read = model.codes.numbers // model.codes.latent
        model.decoder.body.first.weight[:, SILENT * read : (SILENT + 1) * read] = 0
    return model


# Dimensions


@EVERY_PRIOR
def test_one_dimension_moves_and_the_others_stay(prior):
    model = vae(prior)
    found = dimensions_of(model, {})
    z = model.prior(5).sample()
    each = z.flatten(1).shape[1] // found.count  # numbers of a dimension
    for setting in found.settings(3, 2.0):
        put = found.put(z, 2, setting).detach()
        changed = (put != z).flatten(1).view(5, found.count, each).any(-1)
        assert not changed[:, [0, 1, 3]].any()
        if found.values:
            assert set(put.unique().tolist()) <= {0.0, 1.0}
            value = put[:, 2] if put.dim() == 2 else put[:, 2].argmax(-1)
            assert (value == setting).all()
            assert torch.equal(found.move(z, 2, setting), put)


def test_settings_and_moves_are_in_standard_deviations_of_the_prior():
    for prior, deviation in (("gaussian", 1.0), ("laplace", math.sqrt(2))):
        model = vae(prior)
        found, z = dimensions_of(model, {}), torch.randn(3, 4)
        assert found.values == 0
        torch.testing.assert_close(found.scale, torch.full((4,), deviation))
        torch.testing.assert_close(found.put(z, 1, -2.0)[:, 1], torch.full((3,), -2 * deviation))
        torch.testing.assert_close(found.move(z, 1, -2.0)[:, 1], z[:, 1] - 2 * deviation)


def test_the_scale_of_a_mixture_is_that_of_its_draws():
    model = vae("mixture")
    p, found = model.prior(1), dimensions_of(model, {})
    weights = p.log_weights.exp()[:, None]
    second = (weights * (p.means.square() + (2 * p.log_scales).exp())).sum(0)
    deviation = (second - p.mean[0].square()).sqrt()
    torch.testing.assert_close(found.scale, deviation.detach(), rtol=0.08, atol=0)
    torch.testing.assert_close(found.mean, p.mean.detach(), rtol=0, atol=0.15)


@pytest.mark.parametrize("prior", ["gaussian", "laplace", "mixture"])
def test_a_share_u_of_the_prior_lies_below_its_quantile(prior):
    model = vae(prior)
    found, u = dimensions_of(model, {}), torch.tensor([0.1, 0.5, 0.8])
    draws = model.prior(4000).sample().detach()
    for dimension in (0, 3):
        below = (draws[:, dimension, None] <= found.quantiles(dimension, u)).float().mean(0)
        torch.testing.assert_close(below, u, rtol=0, atol=0.04)


@pytest.mark.parametrize(
    ("prior", "dimension", "amount", "message"),
    [
        ("gaussian", 4, 1.0, "no dimension 4: those of this code are 0 to 3"),
        ("gaussian", -1, 1.0, "no dimension -1"),
        ("gaussian", 0, math.nan, "cannot be moved by nan"),
        ("bernoulli", 2, 2.0, "discrete: dimension 2 can be 0 or 1, not 2"),
        ("bernoulli", 2, 0.5, "can be 0 or 1"),
        ("categorical", 0, 3.0, "can be 0 to 2, not 3"),
        ("categorical", 4, 0.0, "no dimension 4"),
    ],
)
def test_a_move_that_does_not_exist_is_refused(prior, dimension, amount, message):
    model = vae(prior)
    with pytest.raises(UsageError, match=message):
        dimensions_of(model, {}).move(model.prior(2).sample(), dimension, amount)


@pytest.mark.parametrize("entry", registry.models(), ids=lambda entry: entry.name)
def test_every_model_has_dimensions_or_says_why_not(entry):
    model = small_model(entry, suited(entry, "grey", "binary"))
    given = condition_of(model.spec, 1)
    if not can(model, Decoder):
        reason = "no decoder"
    elif isinstance(model, Quantised):
        reason = "codebook"
    elif not can(model, Prior):
        reason = "no prior"
    else:
        found = dimensions_of(model, given)
        moved = found.put(found.start, found.count - 1, 1.0)
        assert model.decode(moved, given).mean.shape == (1, *model.spec.shape)
        return
    with pytest.raises(NotSupported, match=reason):
        dimensions_of(model, given)


def _takes(entry, spec) -> bool:
    try:
        small_model(entry, spec)
    except UsageError:
        return False
    return True


# Traversals


@EVERY_PRIOR
@pytest.mark.parametrize("data", [None, dataset(SPECS["grey"])], ids=["draws", "items"])
def test_rows_are_sorted_and_a_dimension_that_does_nothing_is_last(prior, data):
    found = sim.traverse(with_a_silent_dimension(prior), data)
    figures = [found.importance.each[d].item() for d in found.dims]
    assert figures == sorted(figures, reverse=True)
    assert found.dims[-1] == SILENT
    assert figures[-1] < 1e-5 < figures[-2]  # exactly zero, but for rounding
    assert (found.items[-1] == found.items[-1, :1]).all()
    assert (found.items[0] != found.items[0, :1]).any()
    closed = prior not in ("mixture", "vampprior")
    assert found.importance.measure == ("change" if data is None else "KL" if closed else "spread")


def test_kl_is_the_mean_over_items():
    model, data = with_a_silent_dimension(), dataset(SPECS["grey"])
    q = model.encode(torch.from_numpy(data.test.x))
    each = 0.5 * ((2 * q.log_scale).exp() + q.mean.square() - 1) - q.log_scale
    found = sim.traverse(model, data, index=3).importance
    torch.testing.assert_close(found.each, each.mean(0).detach(), rtol=1e-4, atol=1e-5)
    assert found.each[SILENT] == 0


def test_a_column_holds_one_dimension_at_its_setting_and_the_item_elsewhere():
    model, data = vae(spec="grey-labelled"), dataset(SPECS["grey-labelled"])
    found = sim.traverse(model, data, index=4, dims=[3, 0], steps=5)
    assert found.dims == (3, 0)
    assert found.settings == (-3.0, -1.5, 0.0, 1.5, 3.0)
    given = {"label": int(data.test.condition["label"][4])}
    z = model.encode(torch.from_numpy(data.test.x[4:5]), given).mean.detach()
    for row, dimension in enumerate(found.dims):
        for column, setting in enumerate(found.settings):
            moved = z.clone()
            moved[0, dimension] = setting
            expected = model.decode(moved, given).mean.round().byte()[0]
            assert (found.items[row, column] == expected.numpy()).all()


def test_without_data_rows_cross_at_the_mean_of_the_prior():
    model = vae(spec="grey-labelled")
    found = sim.traverse(model, steps=3, condition={"label": "b"})
    centre = model.decode(torch.zeros(1, 4), {"label": 1}).mean.round().byte()[0].numpy()
    assert (found.items[:, 1] == centre).all()
    assert (sim.traverse(model, steps=3).items != found.items).any()  # the first class


def test_a_gan_is_walked_around_a_draw_that_follows_from_the_seed():
    model = randomise(small_model(registry.find("dcgan"), SPECS["grey"]), 0.4).eval()
    found = sim.traverse(model, seed=1, top=2)
    assert found.importance.measure == "change"
    assert found.items.shape == (2, 9, 1, 8, 8)
    assert (found.items == sim.traverse(model, seed=1, top=2).items).all()
    assert (found.items != sim.traverse(model, seed=2, dims=found.dims).items).any()


def test_a_discrete_dimension_takes_its_values():
    for prior, values in (("bernoulli", 2), ("categorical", 3)):
        found = sim.traverse(vae(prior), top=3)
        assert found.settings == tuple(range(values))
        assert found.items.shape[:2] == (3, values)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 1}, "steps >= 2"),
        ({"top": 0}, "top >= 1"),
        ({"dims": [0, 4]}, "no dimension 4"),
        ({"dims": []}, "a dimension, not steps = 9"),
        ({"data": dataset(SPECS["grey-labelled"]), "condition": {"label": 1}}, "items of data have their own label"),
        ({"data": dataset(SPECS["grey"]), "index": 12}, "no item 12: the test split has items 0 to 11"),
        ({"data": dataset(SPECS["grey"]), "index": -1}, "no item -1"),
        ({"data": dataset(SPECS["binary"])}, "the model is for"),
        ({"condition": {"label": 1}}, "not conditioned"),
    ],
)
def test_a_wrong_traversal_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.traverse(vae(), **wrong)


# Manifolds


def test_the_plane_is_decoded_at_the_quantiles_of_the_prior():
    model = vae(latent=2)
    found = sim.manifold(model, side=5)
    assert found.dims == (0, 1)
    normal = torch.distributions.Normal(0.0, 1.0)
    for row in range(5):
        for column in range(5):
            u = torch.tensor([[(column + 0.5) / 5, (4 - row + 0.5) / 5]])  # to the right, and upwards
            expected = model.decode(normal.icdf(u)).mean.round().byte()[0].numpy()
            assert (found.items[row, column] == expected).all()


@pytest.mark.parametrize("data", [None, dataset(SPECS["grey"])], ids=["draws", "items"])
def test_the_two_dimensions_that_matter_most_are_shown(data):
    model = with_a_silent_dimension()
    assert sim.manifold(model, data, side=2).dims == sim.traverse(model, data).dims[:2]
    found = sim.manifold(model, data, side=3, dims=(2, SILENT))
    assert (found.items == found.items[:1]).all()  # upwards nothing changes
    assert (found.items != found.items[:, :1]).any()


@pytest.mark.parametrize(
    ("prior", "latent", "wrong", "message"),
    [
        ("bernoulli", 4, {}, "discrete.*traverse"),
        ("gaussian", 1, {}, "a single number.*traverse"),
        ("gaussian", 4, {"side": 1}, "side >= 2"),
        ("gaussian", 4, {"dims": (1, 1)}, "two different dimensions"),
        ("gaussian", 4, {"dims": (1, 7)}, "no dimension 7"),
    ],
)
def test_a_plane_that_does_not_exist_is_refused(prior, latent, wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.manifold(vae(prior, latent=latent), **wrong)


def test_points_of_the_plane_have_manifolds_and_traversals_too():
    model = vae(spec="continuous", latent=2)
    assert sim.manifold(model, side=3).items.shape == (3, 3, 2)
    assert sim.traverse(model, dataset(SPECS["continuous"]), steps=4).items.shape == (2, 4, 2)
