"""Attribute vectors and edits: what is added to a code is what the call says, and nothing else."""

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, dataset, items, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import AAE
from simulacra.data import ClassLabel, DataSpec, Levels, Split
from simulacra.errors import DataError, NotSupported, UsageError
from simulacra.exploration import Edit, attribute_of_classes, codes
from simulacra.exploration.attributes import class_called, read_attribute, stored
from simulacra.latent import VAE

SPEC = SPECS["grey"]
LABELLED = SPECS["grey-labelled"]  # the data; the models are unconditional


def vae(spec: DataSpec = SPEC, **arguments) -> VAE:
    torch.manual_seed(0)
    return randomise(VAE(spec, latent=4, network="dense:hidden=16", **arguments), 0.4).eval()


def code(model: VAE, x) -> np.ndarray:
    x = x if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))
    return model.encode(x).mean.detach().numpy()


def decoded(model: VAE, z) -> np.ndarray:
    return model.decode(torch.as_tensor(z)).mean.round().byte().numpy()


def unequal() -> sim.data.Dataset:
    """Three classes with 20, 5 and 15 training items."""
    data = dataset(LABELLED)
    data.train.condition["label"][:] = np.repeat([0, 1, 2], [20, 5, 15])
    return data


# Attributes


def test_an_attribute_is_the_difference_of_mean_codes():
    model, a, b = vae(), items(SPEC, 7, 1).numpy(), items(SPEC, 4, 2).numpy()
    vector = sim.attribute(model, a, b)
    np.testing.assert_allclose(vector, code(model, a).mean(0) - code(model, b).mean(0), atol=1e-5)
    np.testing.assert_allclose(sim.attribute(model, b, a), -vector, atol=1e-6)
    np.testing.assert_allclose(sim.attribute(model, a, a), 0, atol=1e-6)


def test_an_attribute_is_gathered_batch_by_batch(monkeypatch):
    model, a, b = vae(), items(SPEC, 7, 1).numpy(), items(SPEC, 4, 2).numpy()
    whole = sim.attribute(model, a, b)
    monkeypatch.setattr(codes, "at_once", lambda model: 3)
    found = sim.attribute(model, a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_every_class_has_the_same_weight():
    model, data = vae(), unequal()
    means = [code(model, data.train.x[data.train.condition["label"] == i]).mean(0) for i in range(3)]
    found = attribute_of_classes(model, data, ["b"])
    np.testing.assert_allclose(found, means[1] - (means[0] + means[2]) / 2, atol=1e-5)
    found = attribute_of_classes(model, data, ["2", "a"], ["b"])
    np.testing.assert_allclose(found, (means[2] + means[0]) / 2 - means[1], atol=1e-5)


def test_the_encoder_of_a_conditional_model_reads_the_labels():
    model, x = vae(LABELLED), items(SPEC, 6, 1).numpy()
    given = {"label": condition_of(LABELLED, 6)["label"].numpy()}
    found = sim.attribute(model, Split(x[:3], {"label": given["label"][:3]}, "with"), Split(x[3:], given, "without"))
    z = model.encode(torch.from_numpy(x), {"label": torch.tensor([0, 1, 2, 0, 1, 2])}).mean.detach().numpy()
    np.testing.assert_allclose(found, z[:3].mean(0) - z[3:].mean(0), atol=1e-5)
    with pytest.raises(UsageError, match="label"):
        sim.attribute(model, x[:3], x[3:])


FACTORS = DataSpec(Levels((1, 8, 8), 17), {"shape": ClassLabel(2, ("disc", "cross")), "size": ClassLabel(3)})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("cross", ("shape", 1)),
        ("shape:1", ("shape", 1)),
        ("shape:disc", ("shape", 0)),
        ("size:1", ("size", 1)),
        ("2", ("size", 2)),  # the shapes are two
    ],
)
def test_a_class_is_called_by_name_or_number_in_any_field(name, found):
    assert class_called(FACTORS, name) == found


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1", "several fields.*shape:1 or size:1"),
        ("crss", "Did you mean 'cross'"),
        ("shape:2", "no class 'shape:2'"),
        ("colour:1", "no class 'colour:1'"),
    ],
)
def test_a_class_that_does_not_exist_is_refused(name, message):
    with pytest.raises(UsageError, match=message):
        class_called(FACTORS, name)


@pytest.mark.parametrize(
    ("present", "absent", "message"),
    [
        (["d"], [], "no class 'd'"),
        (["a"], ["a"], "different classes of one field"),
        (["a", "b", "c"], [], "all classes of 'label'"),
    ],
)
def test_groups_that_are_none_are_refused(present, absent, message):
    with pytest.raises(UsageError, match=message):
        attribute_of_classes(vae(), dataset(LABELLED), present, absent)
    with pytest.raises(UsageError, match="no labels"):
        attribute_of_classes(vae(), dataset(SPEC), ["a"])


def test_an_empty_group_is_refused():
    with pytest.raises(UsageError, match="one of these groups is empty"):
        sim.attribute(vae(), items(SPEC, 3).numpy(), items(SPEC, 0).numpy())
    data = dataset(LABELLED)
    data.train.condition["label"][:] = 0
    with pytest.raises(UsageError, match="class 1 of field 'label' has no items in the train split"):
        attribute_of_classes(vae(), data, ["b"])


def test_an_attribute_in_a_file_belongs_to_its_weights(tmp_path):
    model, vector = vae(), np.arange(4, dtype=np.float32)
    np.savez(tmp_path / "a.npz", **stored(vector, model))
    assert (read_attribute(tmp_path / "a.npz", model) == vector).all()
    with pytest.raises(UsageError, match="made with another model"):
        read_attribute(tmp_path / "a.npz", randomise(vae(), 0.1, seed=5))
    np.savez(tmp_path / "b.npz", x=vector)
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 not an archive")
    for name in ("b.npz", "c.npz", "nothing.npz"):
        with pytest.raises(DataError, match=name):
            read_attribute(tmp_path / name, model)


# Edits


def test_dimensions_move_by_deviations_and_attributes_are_added():
    model, x = vae(), items(SPEC, 3)
    z, vector = code(model, x), np.array([0.5, -1.0, 0.0, 2.0], np.float32)
    found = sim.edit(model, x, {1: 2.0, 3: -0.5}, [(vector, 1.5)])
    assert (found.before == x.numpy()).all()
    assert (found.reconstructed == decoded(model, z)).all()
    deviations = model.prior(1).deviations[0].detach().numpy()
    expected = decoded(model, z + np.array([0, 2.0, 0, -0.5], np.float32) * deviations + 1.5 * vector)
    assert (found.after == expected).all()
    assert (found.after != found.reconstructed).any()


def test_every_item_moves_by_the_prior_of_its_own_class():
    """The modes of a ring are wide along the radius and narrow across it, so that their axes differ."""
    torch.manual_seed(0)
    model = randomise(AAE(LABELLED, latent=2, network="dense:hidden=16,layers=2", prior="ring"), 0.4).eval()
    x, label = items(SPEC, 3), torch.tensor([0, 1, 2])
    together = sim.edit(model, x, {0: 2.0}, condition={"label": label}).after
    alone = [sim.edit(model, x[i : i + 1], {0: 2.0}, condition={"label": i}).after for i in range(3)]
    assert (together == np.concatenate(alone)).all()
    assert (together != sim.edit(model, x, {0: 2.0}, condition={"label": 0}).after).any()


def test_an_edit_of_no_strength_is_the_reconstruction():
    model, x = vae(), items(SPEC, 3)
    found = sim.edit(model, x, {2: 0.0}, [(np.ones(4), 0.0)])
    assert (found.after == found.reconstructed).all()
    assert (found.reconstructed == sim.reconstruct(model, x).numpy()).all()


def test_how_much_of_an_item_its_reconstruction_has():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (3, 1, 8, 8)).astype(np.uint8)
    flat = np.broadcast_to(x.mean((1, 2, 3), keepdims=True), x.shape)
    assert Edit(x, x, x).explained.tolist() == [1, 1, 1]
    np.testing.assert_allclose(Edit(x, flat, flat).explained, 0, atol=1e-12)
    assert (Edit(x, 16 - x, x).explained < 0).all()


def test_the_whole_attribute_leads_from_one_mean_to_the_other():
    model, a, b = vae(), items(SPEC, 5, 1), items(SPEC, 5, 2)
    x = items(SPEC, 1, 3)
    found = sim.edit(model, x, toward=[(sim.attribute(model, b.numpy(), a.numpy()), 1.0)])
    z = code(model, x) + code(model, b).mean(0) - code(model, a).mean(0)
    np.testing.assert_allclose(found.after.astype(int), decoded(model, z).astype(int), atol=1)


def test_a_bit_is_set_and_not_shifted():
    model, x = vae(prior="bernoulli"), items(SPEC, 3)
    z = code(model, x).round()
    found = sim.edit(model, x, {0: 1.0, 2: 0.0})
    z[:, 0], z[:, 2] = 1, 0
    assert (found.after == decoded(model, z)).all()
    with pytest.raises(UsageError, match="0 or 1, not -1"):
        sim.edit(model, x, {0: -1.0})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "nothing to edit"),
        ({"dims": {9: 1.0}}, "no dimension 9: those of this code are 0 to 3"),
        ({"dims": {0: float("inf")}}, "cannot be moved by inf"),
        ({"toward": [(np.ones(5), 1.0)]}, r"\(4,\) finite numbers"),
        ({"toward": [(np.full(4, np.nan), 1.0)]}, "finite"),
        ({"toward": [(np.ones(4), float("nan"))]}, "finite strength"),
        ({"dims": {0: 1.0}, "x": np.zeros((2, 1, 8, 9), np.uint8)}, "items of shape"),
        ({"dims": {0: 1.0}, "x": np.full((2, 1, 8, 8), 17, np.uint8)}, "off this grid"),
        ({"dims": {0: 1.0}, "condition": {"label": 1}}, "not conditioned"),
    ],
)
def test_a_wrong_edit_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.edit(vae(), **({"x": items(SPEC, 2).numpy()} | wrong))


def test_what_a_model_lacks_is_said():
    x = items(SPEC, 2)
    with pytest.raises(NotSupported, match="gated-pixelcnn has no encoder"):
        sim.edit(small_model(registry.find("gated-pixelcnn"), SPEC), x, {0: 1.0})
    autoencoder = small_model(registry.find("autoencoder"), SPEC)
    vector = sim.attribute(autoencoder, x[:1].numpy(), x[1:].numpy())
    assert sim.edit(autoencoder, x, toward=[(vector, 1.0)]).after.shape == x.shape
    with pytest.raises(NotSupported, match="no prior"):
        sim.edit(autoencoder, x, {0: 1.0})
