"""Every verb takes its condition by one keyword, whatever the fields are and however they are called."""

import numpy as np
import pytest
import torch
from small import SPECS, dataset, items, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.condition import Condition
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Levels, Real, Split
from simulacra.errors import UsageError
from simulacra.exploration import completion_nats, walk
from simulacra.randomness import some_of

PICTURE = Levels((1, 4, 4), 5)
BOTH = DataSpec(Levels((1, 8, 8), 17), {"small": PICTURE, **labels(3, "a", "b", "c")})


def given(n: int, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"small": rng.integers(0, 5, (n, 1, 4, 4), dtype=np.uint8), "label": np.arange(n) % 3}


def both(counts: tuple[int, int, int] = (20, 8, 12)) -> Dataset:
    parts = [
        Split(items(BOTH, n, n).numpy(), given(n), name)
        for name, n in zip(("train", "valid", "test"), counts, strict=True)
    ]
    return Dataset("both", BOTH, *parts, card=Card("both", "a test", "none"), fingerprint="both")


def model(name: str, spec: DataSpec = BOTH):
    return randomise(small_model(registry.find(name), spec), 0.4).eval()


def tensors(values: dict[str, np.ndarray], index: slice = slice(None)) -> Condition:
    return Condition({name: torch.from_numpy(array[index]) for name, array in values.items()})


# A picture and a label at once


@pytest.mark.parametrize("name", ["vae", "gated-pixelcnn"])
def test_one_value_serves_all_items_and_several_serve_one_each(name):
    made, values = model(name), given(4)
    one = {"small": values["small"][1], "label": "b"}
    repeated = {"small": np.repeat(values["small"][1:2], 4, 0), "label": ["b"] * 4}
    assert (sim.sample(made, 4, condition=one) == sim.sample(made, 4, condition=repeated)).all()
    drawn = sim.sample(made, 4, condition=values)
    assert (drawn == sim.sample(made, 4, condition=tensors(values))).all()
    for field in values:
        other = {**values, field: values[field][[1, 2, 3, 0]]}
        assert (drawn != sim.sample(made, 4, condition=other)).any()


def test_codes_and_reconstructions_are_those_of_the_items_own_conditions():
    made, data = model("vae"), both()
    found = sim.encode(made, data)
    q = made.encode(torch.from_numpy(data.test.x), tensors(data.test.condition))
    np.testing.assert_allclose(found["mean"], q.mean.detach(), rtol=1e-4, atol=1e-5)
    assert (found["small"] == data.test.condition["small"]).all()
    again = sim.reconstruct(made, data.test.x, data.test.condition)
    expected = made.decode(q.mode, tensors(data.test.condition)).mean.round().byte()
    assert torch.equal(again, expected)
    alone = [
        sim.reconstruct(made, data.test.x[i : i + 1], {k: v[i] for k, v in data.test.condition.items()})
        for i in range(3)
    ]
    assert torch.equal(torch.cat(alone), again[:3])


def test_every_step_of_a_walk_has_the_condition_of_its_row():
    made, values = model("vae"), given(3)
    rows = sim.interpolate(made, steps=4, rows=3, seed=2, condition=values).view(3, 4, 1, 8, 8)
    for i in range(3):
        own = {name: array[i] for name, array in values.items()}
        alone = sim.interpolate(made, steps=4, rows=3, seed=2, condition=own).view(3, 4, 1, 8, 8)
        assert torch.equal(alone[i], rows[i])
    data = both()
    between = sim.interpolate(made, steps=3, rows=2, data=data).view(2, 3, 1, 8, 8)
    some = some_of(len(data.test), 4, 0, "shown")
    z = made.encode(torch.from_numpy(data.test.x[some]), tensors(data.test.condition, some)).mean
    middle = walk(z[:2], z[2:], 3, spherical=False)[:, 1]
    expected = made.decode(middle, tensors(data.test.condition, some[:2])).mean.round().byte()
    assert torch.equal(between[:, 1], expected)


def test_completions_of_an_item_have_its_condition():
    made, x, values = model("gated-pixelcnn"), items(BOTH, 3), given(3)
    unknown = np.zeros((1, 8, 8), bool)
    unknown[:, 5:] = True
    found = sim.complete(made, x, unknown, 2, condition=values)
    assert found.completed.shape == (3, 2, 1, 8, 8)
    for i in range(3):
        own = {name: array[i] for name, array in values.items()}
        nats = completion_nats(made, found.completed[i], unknown, own)
        np.testing.assert_allclose(found.nats[i], nats, rtol=1e-4)


def test_traversals_edits_and_planes_take_pictures_too():
    made, data, values = model("vae"), both(), given(2)
    one = {name: array[0] for name, array in values.items()}
    assert sim.traverse(made, condition=one, steps=3).items.shape == (3, 3, 1, 8, 8)
    assert sim.traverse(made, data, 2, steps=3).items.shape == (3, 3, 1, 8, 8)
    assert (sim.manifold(made, condition=one, side=3).items != sim.manifold(made, data, side=3).items).any()
    x = items(BOTH, 2)
    together = sim.edit(made, x, {0: 1.0}, condition=values).after
    alone = [
        sim.edit(made, x[i : i + 1], {0: 1.0}, condition={k: v[i] for k, v in values.items()}).after for i in (0, 1)
    ]
    assert (together == np.concatenate(alone)).all()


def test_neighbours_of_a_model_conditioned_on_pictures_have_the_conditions_of_test_items():
    made, data = model("vae"), both()
    found = sim.neighbours(made, data, 5, seed=1)
    some = some_of(len(data.test), 5, "shown")
    own = {name: array[some] for name, array in data.test.condition.items()}
    assert (found.samples == sim.sample(made, 5, seed=1, condition=own)).all()
    more = {name: np.concatenate([array[:12], array[:1]]) for name, array in data.test.condition.items()}
    assert (sim.neighbours(made, data, 13, seed=1).samples == sim.sample(made, 13, seed=1, condition=more)).all()


@pytest.mark.parametrize("verb", ["sample", "interpolate", "traverse", "manifold"])
def test_what_cannot_be_shown_in_turn_has_to_be_given(verb):
    with pytest.raises(UsageError, match="conditioned on 'small', 1×4×4, 5 levels"):
        getattr(sim, verb)(model("vae"))


# Fields of any name


@pytest.mark.parametrize("name", ["seed", "n", "condition", "temperature"])
def test_a_field_may_have_the_name_of_an_argument(name):
    spec = DataSpec(SPECS["grey"].x, {name: ClassLabel(3)})
    vae, pixelcnn = model("vae", spec), model("gated-pixelcnn", spec)
    value = {name: 2}
    for made in (vae, pixelcnn):
        assert (sim.sample(made, 3, seed=1, condition=value) != sim.sample(made, 3, seed=1, condition={name: 1})).any()
    x, data = items(spec, 2), dataset(spec)
    assert sim.interpolate(vae, 3, 2, condition=value).shape == (6, 1, 8, 8)
    assert sim.traverse(vae, condition=value, steps=2).items.shape == (3, 2, 1, 8, 8)
    assert sim.manifold(vae, condition=value, side=2).items.shape == (2, 2, 1, 8, 8)
    assert sim.neighbours(vae, data, 2, condition=value).samples.shape == (2, 1, 8, 8)
    assert sim.reconstruct(vae, x, condition=value).shape == (2, 1, 8, 8)
    assert sim.edit(vae, x, {0: 1.0}, condition=value).after.shape == (2, 1, 8, 8)
    assert sim.complete(pixelcnn, x, np.ones((1, 8, 8), bool), condition=value).completed.shape == (2, 1, 1, 8, 8)
    assert name in sim.encode(vae, data)


def test_real_attributes_are_a_condition():
    spec = DataSpec(SPECS["grey"].x, {"attributes": Real((2,))})
    made = model("vae", spec)
    one = sim.sample(made, 3, condition={"attributes": [0.5, -1.0]})
    assert (one == sim.sample(made, 3, condition={"attributes": [[0.5, -1.0]] * 3})).all()
    with pytest.raises(UsageError, match=r"'attributes' is finite real numbers of shape \(2,\)"):
        sim.sample(made, 3, condition={"attributes": [0.5]})
