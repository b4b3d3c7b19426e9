"""The verbs on codes: repeatable, true to the model, and clear about what a model cannot do."""

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, dataset, items, randomise, small_model, suited

import simulacra as sim
from simulacra import registry
from simulacra.capabilities import Sampler, can
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration import codes, drawing, walk
from simulacra.fields import ClassLabel
from simulacra.randomness import some_of

EVERY_SAMPLER = pytest.mark.parametrize(
    "entry", [entry for entry in registry.models() if can(entry.model, Sampler)], ids=lambda entry: entry.name
)


def model(name: str = "vae", spec: str = "grey-labelled"):
    return randomise(small_model(registry.find(name), SPECS[spec]), 0.4).eval()


# sample


def on_data_that_suit_it(entry):
    """A model of grey levels, or of binary or continuous data where it is for these alone, with a condition for six."""
    made = randomise(small_model(entry, suited(entry, "grey-labelled", "binary-labelled")), 0.4).eval()
    classes = all(isinstance(own, ClassLabel) for own in made.spec.condition.values())
    return made, None if classes else condition_of(made.spec, 6)


@EVERY_SAMPLER
def test_the_same_seed_gives_the_same_items(entry):
    made, given = on_data_that_suit_it(entry)
    one = sim.sample(made, 6, seed=1, condition=given)
    assert isinstance(one, np.ndarray)
    assert one.dtype == (np.float32 if made.spec.levels is None else np.uint8)
    assert (one == sim.sample(made, 6, seed=1, condition=given)).all()
    assert (one != sim.sample(made, 6, seed=2, condition=given)).any()


def test_without_a_label_all_classes_take_turns_and_with_one_it_is_that(monkeypatch):
    made, seen = model(), []
    draw = made.sample
    made.sample = lambda n, condition, **rest: seen.append(condition["label"].tolist()) or draw(n, condition, **rest)
    sim.sample(made, 5)
    sim.sample(made, 3, condition={"label": "c"})
    sim.sample(made, 3, condition={"label": [2, 0, 1]})
    assert seen == [[0, 1, 2, 0, 1], [2, 2, 2], [2, 0, 1]]


def test_many_items_are_drawn_in_blocks_that_differ(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 4)
    x = sim.sample(model(), 10, condition={"label": 1})
    assert x.shape == (10, 1, 8, 8)
    assert len({item.tobytes() for item in x}) == 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n >= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"temperature": -1.0}, "temperature > 0"),
        ({"temperature": float("nan")}, "temperature > 0"),
        ({"condition": {"label": 3}}, "label 3 does not exist"),
        ({"condition": {"labl": 1}}, "Did you mean 'label'"),
    ],
)
def test_a_wrong_draw_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.sample(model(), **({"n": 2} | wrong))


def test_means_have_the_expectation_of_draws_and_what_the_pixels_vary_is_gone():
    """E[x] = E[E[x|z]] and Var[x] = Var[E[x|z]] + E[Var[x|z]], on data that no grid rounds."""
    made = model(spec="continuous")
    draws, means = (sim.sample(made, 20_000, seed=s, mean=m).astype(np.float64) for s, m in ((1, False), (2, True)))
    error = np.sqrt((draws.var(0) + means.var(0)) / len(draws))
    assert (np.abs(draws.mean(0) - means.mean(0)) < 5 * error).all()
    z = made.prior(20_000).sample(torch.Generator().manual_seed(3))
    noise = made.decode(z).log_scale.detach().double().mul(2).exp().mean(0).numpy()
    np.testing.assert_allclose(draws.var(0), means.var(0) + noise, rtol=0.1)


def test_a_generator_that_is_certain_draws_its_means():
    made = model("dcgan")
    assert (sim.sample(made, 6, seed=1, mean=True) == sim.sample(made, 6, seed=1)).all()


def test_means_of_codes_that_a_chain_draws_do_not_depend_on_the_sampler():
    made = model("vqvae")
    assert (sim.sample(made, 4, mean=True, sampler="naive") == sim.sample(made, 4, mean=True)).all()


def test_means_need_a_decoder():
    with pytest.raises(NotSupported, match="nade has no decoder"):
        sim.sample(model("nade"), 2, mean=True)


# encode and reconstruct


def test_codes_follow_from_the_seed(monkeypatch):
    made, data = model(), dataset(SPECS["grey-labelled"])
    split, one = data.test, sim.encode(made, data, seed=3)
    torch.manual_seed(77)
    again, other = sim.encode(made, data, seed=3), sim.encode(made, data, seed=4)
    assert (one["z"] == again["z"]).all()
    assert (one["z"] != other["z"]).any()
    assert (one["mean"] == other["mean"]).all()
    assert (one["label"] == split.condition["label"]).all()


def test_codes_are_draws_and_means_of_the_encoder_in_order(monkeypatch):
    made, data = model(), dataset(SPECS["grey-labelled"])
    split = data.test
    q = made.encode(torch.from_numpy(split.x), {"label": torch.from_numpy(split.condition["label"])})
    monkeypatch.setattr(codes, "at_once", lambda model: 5)
    monkeypatch.setattr(codes, "BLOCK", 5)
    found = sim.encode(made, data, limit=11)
    assert len(found["z"]) == len(found["mean"]) == len(found["label"]) == 11
    np.testing.assert_allclose(found["mean"], q.mean.detach().numpy()[:11], rtol=1e-4, atol=1e-5)
    gap = np.abs(found["z"] - found["mean"]) / q.log_scale.exp().detach().numpy()[:11]
    assert 0.4 < gap.mean() < 1.3  # of a standard normal: 0.8


@pytest.mark.parametrize("limit", [0, -3])
def test_codes_of_no_items_are_refused(limit):
    with pytest.raises(UsageError, match=f"at least one item is needed, not {limit}"):
        sim.encode(model(), dataset(SPECS["grey-labelled"]), limit=limit)


def test_mean_codes_are_those_of_encode_whatever_the_batch(monkeypatch):
    made, data = model(), dataset(SPECS["grey-labelled"])
    whole = sim.encode(made, data)["mean"]
    monkeypatch.setattr(codes, "at_once", lambda model: 5)
    parts = list(codes.mean_codes(made, data.test))
    assert [len(part) for part in parts] == [5, 5, 2]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)


def test_few_items_are_decoded_at_a_time_where_each_is_large(monkeypatch):
    made, seen = model(spec="grey"), []
    x, decode = items(SPECS["grey"], 7), made.decode
    whole = sim.reconstruct(made, x)
    monkeypatch.setattr(codes, "TABLE", 3 * 64 * 17)
    monkeypatch.setattr(made, "decode", lambda z, given: seen.append(len(z)) or decode(z, given))
    assert torch.equal(sim.reconstruct(made, x), whole)
    assert seen == [3, 3, 1]


def test_what_is_no_item_is_not_reconstructed():
    with pytest.raises(UsageError, match="off this grid"):
        sim.reconstruct(model(spec="grey"), np.full((1, 1, 8, 8), 17, np.uint8))
    with pytest.raises(UsageError, match="items of shape"):
        sim.reconstruct(model(spec="grey"), np.zeros((1, 1, 8, 9), np.uint8))


def test_a_reconstruction_is_the_mean_at_the_mean():
    made, x, given = model(), items(SPECS["grey-labelled"], 4), condition_of(SPECS["grey-labelled"], 4)
    mean = made.decode(made.encode(x, given).mean, given).mean
    found = sim.reconstruct(made, x, given)
    assert found.dtype == torch.uint8
    assert torch.equal(found, mean.round().byte())
    assert torch.equal(sim.reconstruct(made, x, given), found)


def test_continuous_items_are_reconstructed_as_numbers():
    made = model(spec="continuous")
    found = sim.reconstruct(made, items(SPECS["continuous"], 4))
    assert found.is_floating_point()
    assert found.shape == (4, 2)


# interpolate


def test_rows_begin_and_end_at_the_decoded_codes_of_items():
    made, data = model(), dataset(SPECS["grey-labelled"])
    found = sim.interpolate(made, steps=5, rows=3, data=data).view(3, 5, 1, 8, 8)
    some = some_of(len(data.test), 6, 0, "shown")
    x, label = torch.from_numpy(data.test.x[some]), torch.from_numpy(data.test.condition["label"][some])
    z = made.encode(x, {"label": label}).mean
    begins = made.decode(z[:3], {"label": label[:3]}).mean.round().byte()
    ends = made.decode(z[3:], {"label": label[:3]}).mean.round().byte()  # the class is that of the first item
    assert torch.equal(found[:, 0], begins)
    assert torch.equal(found[:, -1], ends)
    assert not torch.equal(found[:, 0], found[:, -1])


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_without_data_rows_join_draws_of_the_prior(name):
    made = model(name)
    found = sim.interpolate(made, steps=4, rows=3, seed=2)
    assert found.shape == (12, 1, 8, 8)
    assert torch.equal(found, sim.interpolate(made, steps=4, rows=3, seed=2))
    assert not torch.equal(found, sim.interpolate(made, steps=4, rows=3, seed=3))
    rows = found.view(3, 4, 1, 8, 8)
    assert not torch.equal(rows[:, 0], rows[:, -1])
    short = sim.interpolate(made, steps=2, rows=3, seed=2).view(3, 2, 1, 8, 8)
    assert torch.equal(short, rows[:, [0, -1]])  # the ends do not depend on the steps between


def test_a_row_keeps_its_class():
    made = model()
    assert torch.equal(
        sim.interpolate(made, steps=3, rows=2, condition={"label": 1}),
        sim.interpolate(made, steps=3, rows=2, condition={"label": "b"}),
    )
    one, other = (sim.interpolate(made, steps=3, rows=2, condition={"label": label}) for label in (1, 2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_both_paths_are_there_with_and_without_data(path):
    made, data = model(spec="grey"), dataset(SPECS["grey"])
    for given in (None, data):
        found = sim.interpolate(made, steps=3, rows=2, data=given, path=path).view(2, 3, 1, 8, 8)
        usual = sim.interpolate(made, steps=3, rows=2, data=given).view(2, 3, 1, 8, 8)
        assert torch.equal(found[:, [0, 2]], usual[:, [0, 2]])
        assert torch.equal(found, usual) == (path == ("spherical" if given is None else "linear"))
    z = made.encode(torch.from_numpy(data.test.x[some_of(len(data.test), 4, 0, "shown")])).mean
    centre = made.prior(1).mean * (path == "spherical")
    middle = centre + walk(z[:2] - centre, z[2:] - centre, 3, path == "spherical")[:, 1]
    assert torch.equal(found[:, 1], made.decode(middle).mean.round().byte())


# Refusals


def test_what_a_model_cannot_do_is_said_with_what_can():
    data = dataset(SPECS["grey-labelled"])
    pixelcnn, x = model("gated-pixelcnn"), items(SPECS["grey-labelled"], 2)
    with pytest.raises(NotSupported, match=r"gated-pixelcnn has no encoder.*fit a vae"):
        sim.encode(pixelcnn, data)
    with pytest.raises(NotSupported, match=r"gated-pixelcnn has no decoder"):
        sim.reconstruct(pixelcnn, x, {"label": 0})
    with pytest.raises(NotSupported, match=r"gated-pixelcnn has no decoder.*vae or a dcgan"):
        sim.interpolate(pixelcnn)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 1}, "steps >= 2"),
        ({"rows": 0}, "rows >= 1"),
        ({"path": "sphericl"}, "Did you mean 'spherical'"),
        (
            {"rows": 7, "data": dataset(SPECS["grey-labelled"])},
            r"7 walks between two items need 14, and made-up has 12 \(test\)",
        ),
        ({"data": dataset(SPECS["binary-labelled"], (4, 4, 40))}, "the model is for"),
        ({"data": dataset(SPECS["vector"], (4, 4, 40))}, "the model is for 1×8×8.*made-up is 5"),
        (
            {"data": dataset(SPECS["grey-labelled"]), "rows": 2, "condition": {"label": 1}},
            "items of data have their own label",
        ),
    ],
)
def test_a_wrong_walk_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.interpolate(model(), **wrong)
