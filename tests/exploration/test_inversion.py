"""Inversion: a search finds the codes that a generator's own items have, and rejects foreign ones."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, items, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN
from simulacra.capabilities import Inverter, can
from simulacra.errors import NotSupported, SimulacraWarning, UsageError
from simulacra.exploration import invert
from simulacra.inverse import Mass
from simulacra.latent.sampled_priors import Draws
from simulacra.networks import DenseGenerator

FOUND = pytest.warns(SimulacraWarning, match="codes found by search")


def generator(name: str = "grey-labelled") -> GAN:
    """A generator with random weights: what it draws differs, and most pictures are none of its own."""
    torch.manual_seed(3)
    return randomise(GAN(SPECS[name], 4, DenseGenerator(hidden=32)), 0.3, seed=5).eval()


def noise(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def gan() -> GAN:
    return generator()


def test_a_search_recovers_the_picture_and_the_code_of_a_sample(gan):
    """The generator maps four numbers to 64 pixels: of its own pictures the codes are found, as far as levels allow."""
    labels = torch.arange(6) % 3
    z = Mass.of(gan).keep(gan.prior(6).sample(noise(1)))
    x = gan.decode(z, {"label": labels}).mean
    found = gan.invert(x, {"label": labels}, generator=noise(2))
    again = gan.decode(found.z, {"label": labels}).mean
    error = ((again.double() - x.double()) / 16).square().flatten(1).mean(1).sqrt()
    torch.testing.assert_close(found.error.double(), error)
    assert (-20 * found.error.log10() > 35).all()  # dB
    assert (found.z - z).abs().max() < 0.1


def test_a_search_in_the_plane_recovers_points():
    """x is continuous, so that nothing is rounded: the error is in its own units, and goes to 0."""
    gan = generator("continuous")
    x = gan.decode(gan.prior(5).sample(noise(1))).mean
    found = gan.invert(x, steps=300, generator=noise(2))
    torch.testing.assert_close(found.error, (gan.decode(found.z).mean - x).square().mean(1).sqrt())
    assert found.error.max() < 0.01 * x.std()


def test_noise_is_rejected_and_samples_are_not(gan):
    x, given = torch.from_numpy(sim.sample(gan, 6, seed=9)), {"label": torch.arange(6) % 3}
    own, foreign = invert(gan, x, given), invert(gan, items(gan.spec, 6), given)
    assert own.rejected.sum() <= 1  # of 20 one, on average
    assert foreign.rejected.all()
    assert foreign.reach == own.reach
    assert (foreign.psnr < own.psnr.min()).all()
    assert "6 of 6 items rejected" in foreign.describe()


def test_a_search_follows_from_its_seed_and_not_from_the_other_items(gan):
    x, given = items(gan.spec, 5), {"label": torch.arange(5) % 3}
    together, again, other = (invert(gan, x, given, seed=seed, steps=30) for seed in (1, 1, 2))
    assert torch.equal(together.z, again.z)
    assert torch.equal(together.error, again.error)
    assert not torch.equal(together.z, other.z)
    for i in (0, 4):
        alone = invert(gan, x[i : i + 1], {"label": i % 3}, seed=1, steps=30)
        torch.testing.assert_close(alone.z[0], together.z[i], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(alone.error[0], together.error[i], rtol=1e-3, atol=1e-3)
    torch.manual_seed(11)
    assert torch.equal(invert(gan, x, given, seed=1, steps=30).z, together.z)


def test_a_search_leaves_the_model_as_it_was(gan):
    before = {name: tensor.clone() for name, tensor in gan.state_dict().items()}
    gan.train()
    gan.invert(items(gan.spec, 2), {"label": 1}, steps=2)
    assert gan.training
    gan.eval()
    assert all(torch.equal(tensor, before[name]) for name, tensor in gan.state_dict().items())
    assert all(parameter.grad is None for parameter in gan.parameters())


def test_codes_stay_where_the_prior_has_its_mass(gan):
    """Of foreign items the best code would be far out."""
    mass, z = Mass.of(gan), invert(gan, items(gan.spec, 8), {"label": 0}, steps=100).z
    assert 3.7 < mass.most < 4.1  # the square root of the 99.5 % quantile of χ² with 4 degrees of freedom: 3.85
    assert 0.3 < mass.least < 0.6  # of the 0.5 % quantile: 0.455
    assert (((z - mass.mean) / mass.scale).norm(dim=1) <= mass.most + 1e-4).all()
    far = torch.full((1, 4), 30.0)
    kept = mass.keep(far)
    torch.testing.assert_close(((kept - mass.mean) / mass.scale).norm(), mass.most.squeeze())
    assert torch.equal(mass.keep(kept), mass.keep(mass.keep(kept)))
    inside = gan.prior(200).sample(noise(4))
    moved = (mass.keep(inside) - inside).abs().amax(1) > 1e-5
    assert moved.float().mean() < 0.05  # draws lie there already, but for 1 % by each measure


def test_a_wrong_search_is_refused(gan):
    x, given = items(gan.spec, 2), {"label": 0}
    for wrong in ({"steps": 0}, {"starts": 0}, {"starts": 65}):
        with pytest.raises(UsageError, match="steps >= 1 and 1 to 64 starts"):
            invert(gan, x, given, **wrong)
    with pytest.raises(UsageError, match="items of shape"):
        invert(gan, np.zeros((1, 1, 9, 9), np.uint8), given)
    with pytest.raises(UsageError, match="conditioned on 'label'"):
        invert(gan, x)
    with pytest.raises(NotSupported, match="nade finds no codes by search; fit a gan"):
        invert(small_model(registry.find("nade"), SPECS["binary"]), x)


class Half(Draws):
    """Of four numbers the first two are a class, (1, 0) or (0, 1)."""

    def draw(self, n, latent, generator):
        first = torch.randint(2, (n, 1), generator=generator).float()
        return torch.cat([first, 1 - first, torch.randn(n, latent - 2, generator=generator)], 1)


def test_the_classes_of_a_code_stay_those_of_the_start():
    gan = generator("grey")
    gan.codes = Half()
    z = gan.prior(5).sample(noise(1))
    found = gan.invert(gan.decode(z).mean, generator=noise(2))
    assert torch.equal(found.z[:, :2], z[:, :2])
    assert (found.error < 0.02).all()


# The verbs


def test_encode_and_reconstruct_find_codes_of_the_items_that_are_named(gan):
    data = dataset(gan.spec)
    with FOUND:
        codes = sim.encode(gan, data, limit=3)
    assert codes["z"].shape == codes["mean"].shape == (3, 4)
    assert codes["error"].shape == codes["rejected"].shape == codes["label"].shape == (3,)
    x, label = data.test.x[:3], data.test.condition["label"][:3]
    with FOUND:
        made = sim.reconstruct(gan, x, {"label": label})
    assert torch.equal(made, gan.decode(torch.from_numpy(codes["z"]), {"label": label}).mean)
    plain = generator("grey")
    with FOUND:
        assert len(sim.encode(plain, x)["z"]) == 3  # all of an array


def test_no_verb_searches_for_the_codes_of_a_whole_split(gan):
    data = dataset(gan.spec)
    for call in (
        lambda: sim.encode(gan, data),
        lambda: sim.reconstruct(gan, data),
        lambda: sim.edit(gan, data, {0: 1.0}),
        lambda: sim.exploration.attribute_of_classes(gan, data, ["a"]),
        lambda: sim.attribute(gan, data.test, data.train),
    ):
        with pytest.raises(UsageError, match=r"by search.*--limit 16"):
            call()
    assert sim.neighbours(gan, data, 2).by_codes is None
    assert not {"linear_probe_error", "mig"} & set(sim.evaluate(gan, data))


def test_what_is_edited_is_the_code_that_was_found(gan):
    x, given = sim.sample(gan, 1, condition={"label": 1}, seed=4), {"label": 1}
    z = invert(gan, x, given).z
    with FOUND:
        found = sim.edit(gan, x, {2: 1.5}, condition=given)
    moved = z + torch.tensor([0, 0, 1.5, 0])
    assert (found.reconstructed == gan.decode(z, given).mean.numpy()).all()
    assert (found.after == gan.decode(moved, given).mean.numpy()).all()
    assert found.explained > 0.95


def test_an_attribute_is_the_difference_of_codes_that_were_found(gan):
    x = sim.sample(gan, 6, condition={"label": 1}, seed=4)
    plain = generator("grey")
    with FOUND:
        vector = sim.attribute(plain, x[:3], x[3:])
    z = invert(plain, x).z.numpy()
    np.testing.assert_allclose(vector, z[:3].mean(0) - z[3:].mean(0), atol=1e-4)
    with FOUND:
        of_classes = sim.exploration.attribute_of_classes(gan, dataset(gan.spec), ["a"], limit=4)
    assert of_classes.shape == (4,)


def test_neighbours_by_codes_are_found_among_so_many_training_items(gan):
    with FOUND:
        found = sim.neighbours(gan, dataset(gan.spec), 2, limit=5)
    assert found.by_codes is not None
    assert list(found.rows()) == ["samples", "nearest by pixels", "nearest by code"]


def test_walks_and_traversals_start_at_the_codes_of_items(gan):
    data = dataset(gan.spec)
    with FOUND:
        walk = sim.interpolate(gan, steps=3, rows=1, data=data)
    assert walk.shape == (3, 1, 8, 8)
    with FOUND:
        found = sim.traverse(gan, data, 2, steps=3, top=2)
    assert found.importance.measure == "change"
    assert sim.manifold(gan, data, side=3).items.shape[:2] == (3, 3)


def test_models_with_a_generator_search_for_codes():
    assert can(GAN, Inverter)
    assert not can(GAN, sim.capabilities.Encoder)
