"""`translate` draws items given pictures or maps items to a domain; completions, edits and walks of such models."""

import numpy as np
import pytest
import torch
from small import dataset, items, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import ClassLabel, DataSpec, LabelMap, Levels
from simulacra.errors import NotSupported, SimulacraWarning, UsageError
from simulacra.exploration import inputs_of
from simulacra.model import Model
from simulacra.pictures import class_colours, field_pixels

X = Levels((1, 8, 8), 17)
STYLES = ("ink", "oil", "chalk")
RNG = np.random.default_rng(0)


def model(*words: str, of: str = "gated-pixelcnn", **fields):
    spec = DataSpec(X, fields).conditioned_on([*fields, *words])
    return randomise(small_model(registry.find(of), spec), 0.4).eval()


class Shift(Model):
    """Raises every level by the number of the style and, of a smile, by 5 more; with a grain of noise on demand."""

    def phases(self):
        return []

    @property
    def device(self):
        return torch.device("cpu")

    def translate(self, x, condition=None, generator=None, grain: int = 0):
        given = self.conditioned(condition, len(x))
        amount = given["style"] + 5 * given["smile"] if "smile" in given else given["style"]
        noise = torch.randint(0, grain + 1, x.shape, generator=generator)
        return ((x + amount.view(-1, 1, 1, 1) + noise) % 17).byte()


def shift(**more) -> Shift:
    return Shift(DataSpec(X, {"style": ClassLabel(3, STYLES), **more}))


def x_of(n: int, seed: int = 0) -> np.ndarray:
    return items(DataSpec(X), n, seed).numpy()


# Draws given a picture


def test_an_answer_depends_on_its_input_its_place_and_the_seed_alone():
    made, small = model("down:factor=2"), RNG.integers(0, 17, (5, 1, 4, 4), dtype=np.uint8)
    found = sim.translate(made, small, n=3, seed=4)
    assert found.shape == (5, 3, 1, 8, 8)
    assert found.dtype == np.uint8
    assert (found == sim.translate(made, small, n=3, seed=4)).all()
    assert (found != sim.translate(made, small, n=3, seed=5)).any()
    other = np.concatenate([small[:1], RNG.integers(0, 17, (4, 1, 4, 4), dtype=np.uint8)])
    again = sim.translate(made, other, n=3, seed=4)
    assert (again[0] == found[0]).all()
    assert (again[1:] != found[1:]).any()
    assert (found[0, 0] != found[0, 1]).any()


def test_answers_are_draws_of_the_model_under_its_condition():
    made, small = model("down:factor=2"), np.full((1, 4, 4), 9, np.uint8)
    noise = sim.randomness.generator(torch.device("cpu"), 7, "translate", 0)
    expected = made.sample(4, {"down": small}, generator=noise)
    assert (sim.translate(made, small, n=4, seed=7)[0] == expected.numpy()).all()


def test_an_item_of_another_size_than_the_condition_is_what_it_is_derived_of():
    made, x = model("down:factor=2"), x_of(3)
    small = np.floor(x.reshape(3, 1, 4, 2, 4, 2).mean((3, 5)) + 0.5).astype(np.uint8)
    assert (sim.translate(made, x) == sim.translate(made, small)).all()
    read = inputs_of(made, x)
    assert (read.shown == small).all()
    assert (read.truth == x).all()
    assert inputs_of(made, small).truth is None
    edges = model("edges")  # of the shape of x: what is meant has to be said
    drawing = (x > 8).astype(np.uint8)
    assert (inputs_of(edges, drawing).shown == drawing).all()
    derived = inputs_of(edges, drawing, reading=sim.exploration.Reading(derive=True))
    assert (derived.truth == drawing).all()
    with pytest.raises(UsageError, match=r"derived of nothing"):
        sim.translate(model(photo=Levels((1, 8, 8), 5)), x, derive=True)


def test_items_of_data_have_their_conditions_and_are_the_truth():
    made = model("down:factor=2", **labels(3, "a", "b", "c"))
    data = dataset(DataSpec(X, labels(3, "a", "b", "c")))
    read = inputs_of(made, data)
    assert (read.truth == data.test.x).all()
    assert (read.given["label"].numpy() == data.test.condition["label"]).all()
    assert sim.translate(made, data, limit=2).shape == (2, 1, 1, 8, 8)
    changed = inputs_of(made, data, "b")
    assert set(changed.given["label"].tolist()) == {1}
    assert (changed.shown == read.shown).all()
    with pytest.raises(UsageError, match="items of data have their own label"):
        sim.translate(made, data, condition={"label": 1})


def test_of_several_pictures_one_is_translated_and_the_others_are_given():
    made, small = model("down:factor=2", photo=Levels((1, 8, 8), 5)), np.zeros((2, 1, 4, 4), np.uint8)
    with pytest.raises(UsageError, match=r"'photo' and 'down': say which is translated by --field photo"):
        sim.translate(made, small)
    with pytest.raises(UsageError, match=r"also conditioned on 'photo'.*--given photo="):
        sim.translate(made, small, field="down")
    photo = RNG.integers(0, 5, (1, 8, 8), dtype=np.uint8)
    assert sim.translate(made, small, field="down", condition={"photo": photo}).shape == (2, 1, 1, 8, 8)
    with pytest.raises(UsageError, match=r"no picture 'phot'.*photo"):
        sim.translate(made, small, field="phot")
    with pytest.raises(UsageError, match="'down' is what is translated"):
        sim.translate(made, small, field="down", condition={"photo": photo, "down": small})


def test_what_cannot_be_translated_is_refused():
    with pytest.raises(NotSupported, match=r"given no picture; fit pix2pix.*cyclegan or stargan"):
        sim.translate(model(**labels(3)), x_of(1))
    with pytest.raises(NotSupported, match="cannot sample"):
        sim.translate(small_model(registry.find("autoencoder"), DataSpec(X)), x_of(1))
    made = model("down:factor=2")
    with pytest.raises(UsageError, match=r"of shape \(1, 4, 4\), not of shape \(1, 5, 5\)"):
        sim.translate(made, np.zeros((2, 1, 5, 5), np.uint8))
    with pytest.raises(UsageError, match="n >= 1"):
        sim.translate(made, x_of(1), n=0)
    with pytest.raises(UsageError, match="conditioned on no domain"):
        sim.translate(made, x_of(1), "zebra")
    with pytest.raises(UsageError, match=r"no sampling option 'truncatoin'"):
        sim.translate(made, x_of(1), options={"truncatoin": 1})


# Items mapped to a domain


def test_items_are_mapped_to_the_domain_by_name_or_number():
    made, x = shift(), x_of(4)
    for to, number in (("oil", 1), (2, 2), ({"style": "chalk"}, 2)):
        assert (sim.translate(made, x, to)[:, 0] == (x + number) % 17).all()
    assert (sim.translate(made, x[0], "oil")[0, 0] == (x[0] + 1) % 17).all()
    grainy = sim.translate(made, x, "oil", 2, options={"grain": 3}, seed=1)
    assert (grainy == sim.translate(made, x, "oil", 2, options={"grain": 3}, seed=1)).all()
    assert (grainy[:, 0] != grainy[:, 1]).any()
    other = np.concatenate([x[:1], x_of(3, 9)])
    assert (sim.translate(made, other, "oil", 2, options={"grain": 3}, seed=1)[0] == grainy[0]).all()
    with pytest.raises(UsageError, match=r"no class 'oli'.*oil"):
        sim.translate(made, x, "oli")
    with pytest.raises(UsageError, match=r"also conditioned on 'style', 3 classes.*--to ink"):
        sim.translate(made, x)
    with pytest.raises(UsageError, match="has no temperature"):
        sim.translate(made, x, "oil", temperature=0.5)
    with pytest.raises(UsageError, match="leave out the field"):
        sim.translate(made, x, "oil", field="style")


def test_items_of_two_domains_are_mapped_to_the_other_one_and_of_more_it_is_to_be_said():
    two = Shift(DataSpec(X, {"style": ClassLabel(2, STYLES[:2])}))
    data = dataset(two.spec)
    assert (inputs_of(two, data).given["style"].numpy() == 1 - data.test.condition["style"]).all()
    with pytest.raises(UsageError, match="say to which, --to chalk"):
        sim.translate(shift(), dataset(shift().spec))


def test_one_attribute_is_changed_and_all_others_are_kept():
    made, x = shift(smile=ClassLabel(2, ("no", "yes"))), x_of(3)
    own = {"style": [0, 1, 2], "smile": "no"}
    moved = (x + 5 + np.arange(3)[:, None, None, None]) % 17
    assert (sim.translate(made, x, "yes", condition={"style": [0, 1, 2]})[:, 0] == moved).all()
    found = sim.edit(made, x, condition=own, to={"smile": "yes"})
    assert (found.before == x).all()
    assert (found.reconstructed == (x + np.arange(3)[:, None, None, None]) % 17).all()
    assert (found.after == moved).all()
    with pytest.raises(UsageError, match=r"also conditioned on 'style'"):
        sim.translate(made, x, "yes")
    with pytest.raises(UsageError, match=r"there is no class 'maybe'. Did you mean 'yes'"):
        sim.translate(made, x, "maybe")
    with pytest.raises(UsageError, match=r"no 'smil' to change.*smile"):
        sim.edit(made, x, condition=own, to={"smil": "yes"})
    data = dataset(made.spec)
    kept = inputs_of(made, data, {"smile": "yes"}).given
    assert (kept["style"].numpy() == data.test.condition["style"]).all()
    assert set(kept["smile"].tolist()) == {1}


def test_an_edit_keeps_the_code_under_another_condition():
    made, x = model(of="vae", **labels(3, "a", "b", "c")), x_of(3)
    found = sim.edit(made, x, condition={"label": 0}, to={"label": "c"})
    z = made.encode(torch.from_numpy(x), {"label": 0}).mode
    assert (found.after == made.decode(z, {"label": 2}).mean.round().byte().numpy()).all()
    assert (found.reconstructed == made.decode(z, {"label": 0}).mean.round().byte().numpy()).all()


# Completion by what a mask leaves


@pytest.mark.parametrize("name", ["vae", "gan", "gated-pixelcnn"])
def test_a_model_of_what_a_mask_leaves_completes_around_it_without_a_look_at_the_rest(name):
    made, x = model("mask:kind=random", of=name), x_of(2)
    unknown = np.zeros((1, 8, 8), bool)
    unknown[:, 2:5, 1:6] = True
    found = sim.complete(made, x, unknown, 3, seed=2)
    assert (found.completed[:, :, ~unknown] == x[:, None][..., ~unknown]).all()
    other = np.where(unknown, 16 - x, x)
    assert (sim.complete(made, other, unknown, 3, seed=2).completed == found.completed).all()
    assert (found.completed[:, 0] != found.completed[:, 1]).any()
    assert not found.late.any()
    assert not found.unseen.any()
    known = sim.complete(made, np.where(unknown, 3, (x + 1) % 17), unknown, 3, seed=2).completed
    assert (known[..., unknown] != found.completed[..., unknown]).any()  # what is known is looked at
    from_data = sim.complete(made, dataset(DataSpec(X)), unknown)
    again = sim.complete(made, np.asarray(dataset(DataSpec(X)).test.x), unknown)
    assert (from_data.completed == again.completed).all()


def test_holes_that_were_never_fitted_are_warned_of():
    made, x = model("mask:kind=half", of="vae"), x_of(1)
    half = np.zeros((1, 8, 8), bool)
    half[:, 4:] = True
    sim.complete(made, x, half)
    with pytest.warns(SimulacraWarning, match="other pixels are unknown here"):
        sim.complete(made, x, ~half)


# Walks between conditions


def test_a_walk_between_two_pictures_and_one_between_two_styles():
    made = model("edges", of="pix2pix", **labels(2))
    one, other = RNG.integers(0, 2, (2, 1, 8, 8), dtype=np.uint8)
    begin = {"edges": one, "label": 1}
    walk = sim.interpolate(made, 5, 2, seed=3, condition=begin, to={"edges": other}).view(2, 5, 1, 8, 8)
    z = made.prior(2, begin).sample(sim.randomness.generator(torch.device("cpu"), 3, "interpolate"))
    for column, picture in ((0, one), (-1, other)):
        expected = made.decode(z, {"edges": picture, "label": 1}).mean.round().byte()
        assert (walk[:, column].int() - expected.int()).abs().max() <= 1
    assert not torch.equal(walk[:, 2], walk[:, 0])
    styles = sim.interpolate(made, 3, 1, seed=3, condition=begin)  # the picture is held, the code moves
    assert not torch.equal(styles[0], styles[-1])


def test_the_walk_fades_pictures_that_are_imposed_on_what_is_made():
    """A generator that ends with the area means of its condition has those between two of them on the way."""
    made = model("down:factor=2", of="srgan")
    one, other = np.full((1, 4, 4), 4, np.uint8), np.full((1, 4, 4), 12, np.uint8)
    walk = sim.interpolate(made, 3, 1, condition={"down": one}, to={"down": other}).float()
    means = walk.unflatten(3, (4, 2)).unflatten(2, (4, 2)).mean((3, 5))
    for found, wanted in zip(means, (4, 8, 12), strict=True):
        assert (found - wanted).abs().max() <= 0.75  # of pixels that are rounded to the grid


# Maps in colour


def test_neighbouring_classes_of_a_map_have_colours_far_apart():
    colours = class_colours(40).astype(int)
    assert len({tuple(colour) for colour in colours}) == 40
    assert (np.abs(np.diff(colours, axis=0)).sum(1) > 100).all()
    grid = np.array([[[0, 1], [2, 3]]], np.uint8)
    assert (field_pixels(grid, LabelMap(4, (2, 2)))[0] == colours[grid[0]]).all()


def test_parts_in_their_places_are_kept_and_loose_ones_are_no_place_to_fill():
    unknown = np.ones((1, 8, 8), bool)
    unknown[:, :4, :4] = False
    x = x_of(2)
    found = sim.complete(model("parts:grid=2", of="vae"), x, unknown).completed
    assert (found[:, 0, :, :4, :4] == x[:, :, :4, :4]).all()
    with pytest.raises(NotSupported, match="cannot complete"):
        sim.complete(model("parts:grid=2,loose=true", of="vae"), x, unknown)
