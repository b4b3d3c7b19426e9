"""Every verb takes a model, data and items alike; what a path holds is read by the recipe of the run."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import simulacra as sim
from simulacra.data import Recipe
from simulacra.errors import DataError, UsageError

DENSE = {"network": "dense:hidden=8", "latent": 2, "steps": 2}
VERBS = {  # of data, for a vae
    "score": sim.score,
    "evaluate": sim.evaluate,
    "encode": sim.encode,
    "reconstruct": sim.reconstruct,
    "health": sim.health,
    "interpolate": lambda model, data=None: sim.interpolate(model, 3, 2, data),
    "traverse": lambda model, data=None: sim.traverse(model, data, steps=2, top=1),
    "neighbours": lambda model, data=None: sim.neighbours(model, data, 2),
}
READS_AGAIN = ["score", "evaluate", "encode", "reconstruct", "health", "neighbours"]


def fill(folder, classes, n=20, side=(13, 10), seed=0):
    """Grey pictures of one size, in a sub-folder for each class, some dark and some bright."""
    rng = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(0, 60, side) + (120 * number)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("pictures") / "mine", ["cat", "dog"])


@pytest.fixture(scope="module")
def run(tmp_path_factory, pictures):
    """A vae of pictures that were resized when they were read."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    sim.fit("vae", sim.data.load(pictures, resize=8), folder, **DENSE)
    return folder


# The recipe of a run


def test_the_run_and_its_model_remember_the_recipe(run, pictures):
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["recipe"] == {"resize": [8, 8], "levels": None, "target": None}
    assert record["source"] == str(pictures)
    config = json.loads((run / "model" / "config.json").read_text())
    assert config["data"]["recipe"] == record["data"]["recipe"]
    assert str(pictures) not in json.dumps(config)  # where files lie on this machine is not a matter of the model
    card = (run / "model" / "card.md").read_text()
    assert f"recipe of the data: resize 8×8 ({Recipe((8, 8)).digest})" in card


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_reads_ones_own_folder_by_the_recipe_of_the_run(name, run, tmp_path):
    VERBS[name](str(run), fill(tmp_path / "other", ["cat", "dog"], side=(21, 17), seed=1))


@pytest.mark.parametrize("name", READS_AGAIN)
def test_a_verb_without_data_reads_those_of_the_run_again(name, run, pictures):
    again, named = VERBS[name](run), VERBS[name](run, pictures)
    if name == "reconstruct":
        assert torch.equal(again, named)
    elif name == "encode":
        assert np.array_equal(again["mean"], named["mean"])
    elif name == "score":
        assert (again.nats, again.n) == (named.nats, named.n)


def test_a_model_that_was_saved_alone_has_the_recipe_and_not_the_data(run, pictures, tmp_path):
    sim.save(sim.load(run), str(tmp_path / "alone"))
    assert sim.load(tmp_path / "alone").origin.recipe == Recipe((8, 8))
    assert sim.score(tmp_path / "alone", pictures).nats == sim.score(run, pictures).nats
    with pytest.raises(UsageError, match="does not say where mine, on which it was fitted, lies: name the data"):
        sim.score(tmp_path / "alone")


def test_data_that_have_changed_since_are_not_taken_for_held_out(tmp_path):
    folder = fill(tmp_path / "in", ["a", "b"])
    sim.fit("vae", sim.data.load(folder, resize=8), tmp_path / "run", **DENSE)
    (folder / "a" / "0.png").unlink()
    with pytest.raises(UsageError, match="has changed since this vae was fitted on it"):
        sim.score(tmp_path / "run")
    assert sim.score(tmp_path / "run", folder).n > 0


def test_another_recipe_does_not_continue_a_run(run, pictures):
    with pytest.raises(UsageError, match=r"data\.recipe\.resize \(\[8, 8\] there, \[8, 9\] now\)"):
        sim.fit("vae", sim.data.load(pictures, resize=(8, 9)), run, **DENSE)


def test_levels_and_target_are_applied_to_an_array_file(tmp_path):
    rng = np.random.default_rng(0)

    def write(name, most):
        x, depth = rng.integers(0, most, (60, 1, 4, 4), np.uint8), rng.integers(0, 2, (60, 1, 4, 4), np.uint8)
        np.savez(tmp_path / name, x=x, depth=depth)
        return tmp_path / name

    levels = sim.fit("independent", sim.data.load(write("a.npz", 3), levels=4), tmp_path / "levels")
    assert sim.score(levels, write("b.npz", 2)).n > 0  # whose values alone would be taken for bits
    with pytest.raises(DataError, match=r"is not one of the levels 0\.\.3"):
        sim.score(levels, write("c.npz", 9))
    target = sim.fit("independent", sim.data.load(tmp_path / "a.npz", target="depth"), tmp_path / "target")
    assert target.spec.levels == 2
    assert sim.score(target, tmp_path / "b.npz").nats > 0
    assert sim.score(target).n > 0


def test_values_are_on_the_grid_of_the_model_where_nobody_stated_theirs(tmp_path):
    """Bytes of 0 and 1 alone are bits to whoever does not know the model, and bytes beyond 16 none of its levels."""
    x = np.random.default_rng(0).integers(0, 2, (40, 1, 8, 8), np.uint8)
    model = sim.fit("independent", "digits", tmp_path / "run")
    assert sim.score(model, x).n == sim.score(model, list(x)).n == 40
    assert sim.score(model, x, "test").n == 4
    with pytest.raises(UsageError, match="the model is for 1×8×8, 17 levels"):
        sim.score(model, 100 * x)


def test_classes_go_by_their_names(tmp_path):
    """Another folder's classes are numbered anew: `dog` is no cat because it comes first there."""
    pictures = fill(tmp_path / "mine", ["cat", "dog", "emu"], side=(8, 8))
    model = sim.fit("independent", pictures, tmp_path / "run", condition="label")
    there = fill(tmp_path / "there", ["dog", "emu"], side=(8, 8))
    for name, nickname in (("dog", 1), ("emu", 2)):
        for file in (there / name).iterdir():
            file.write_bytes((pictures / name / file.name).read_bytes())
        assert name == sim.load(tmp_path / "run").spec.condition["label"].names[nickname]
    right = sim.verbs.data_of(model, there)
    assert {1, 2} == set(right.split("all").field("label").tolist())
    (there / "dog").rename(there / "yak")
    with pytest.raises(UsageError, match="has the class 'yak' of 'label', and the model knows cat, dog, emu"):
        sim.score(model, there)


# One reading of arguments


class Torch(torch.utils.data.Dataset):
    """A torch `Dataset` of items."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return torch.from_numpy(np.array(self.x[index]))


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_takes_a_path_an_array_a_torch_data_set_and_a_loaded_one(name, run, pictures):
    loaded = sim.data.load(pictures, resize=8)
    x = np.array(loaded.split("all").x)
    for data in (str(pictures), pictures, x, Torch(x), loaded):
        for model in (run, str(run), sim.load(run)):
            VERBS[name](model, data)


def test_items_of_a_sequence_are_all_of_them_in_their_order(run, pictures):
    model = sim.load(run)
    x = np.array(sim.data.load(pictures, resize=8).split("all").x[:5])
    expected = sim.reconstruct(model, x)
    assert torch.equal(sim.reconstruct(model, Torch(x)), expected)
    assert torch.equal(sim.reconstruct(model, list(x)), expected)
    assert sim.reconstruct(model, pictures, split="valid", limit=2).shape == (2, 1, 8, 8)


@pytest.mark.parametrize("given", [np.array, torch.from_numpy, list], ids=["array", "tensor", "list"])
def test_few_items_are_looked_at_without_being_split(run, given):
    """Neither one item nor two that are alike can be split, and nothing needs them to be."""
    model = sim.load(run)
    for x in (np.full((1, 1, 8, 8), 7, np.uint8), np.full((2, 1, 8, 8), 7, np.uint8)):
        n, nats = len(x), sim.score(model, given(x)).per_item
        assert len(nats) == n
        assert np.array_equal(nats, sim.score_items(model, given(x)))
        assert sim.encode(model, given(x))["mean"].shape == (n, 2)
        assert sim.reconstruct(model, given(x)).shape == (n, 1, 8, 8)
        assert sim.health(model, given(x)).n == n
        assert sim.traverse(model, given(x), steps=2, top=1).items.shape == (1, 2, 1, 8, 8)
        assert sim.score(model, given(x[:, 0])).n == n  # without the axis of the channel
    pair = list(torch.from_numpy(np.stack([np.zeros((1, 8, 8), np.uint8), np.full((1, 8, 8), 9, np.uint8)])))
    assert sim.score(model, pair).n == 2
    assert sim.interpolate(model, 3, 1, pair).shape == (3, 1, 8, 8)
    with pytest.raises(DataError, match="1 distinct training item cannot be split"):
        sim.score(model, given(np.full((2, 1, 8, 8), 7, np.uint8)), "test")
    with pytest.raises(DataError, match="cannot be split"):
        sim.fit("independent", np.full((2, 1, 8, 8), 7, np.uint8))


def test_items_that_are_looked_at_keep_their_order_and_name(run):
    x = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), np.uint8)
    scored = sim.score(run, x)
    assert (scored.data, scored.split, scored.n) == ("arrays", "all", 40)
    assert np.array_equal(scored.per_item, sim.score_items(run, x))
    alone = np.concatenate([sim.encode(run, one[None])["mean"] for one in x])
    np.testing.assert_allclose(sim.encode(run, x)["mean"], alone, rtol=1e-3, atol=1e-5)


def test_the_nats_of_items_are_those_of_the_score(run, pictures):
    data = sim.data.load(pictures, resize=8)
    nats = sim.score(run).per_item
    assert np.array_equal(sim.score_items(run, data.test), nats)
    assert np.array_equal(sim.score_items(str(run), np.array(data.test.x)), nats)
    assert np.array_equal(sim.score_items(run, pictures), nats)


def test_complete_edit_and_surprise_take_data_too(tmp_path):
    sim.fit("made", "digits", tmp_path / "made", hidden=8, steps=2)
    mask = np.ones((1, 8, 8), bool)
    assert sim.complete(tmp_path / "made", None, mask, limit=3).completed.shape == (3, 1, 1, 8, 8)
    assert sim.complete(tmp_path / "made", "digits", mask, limit=3).completed.shape == (3, 1, 1, 8, 8)
    assert sim.surprise(str(tmp_path / "made"), limit=3).shape == (3, 1, 8, 8)


def test_edit_takes_data_too(run):
    assert sim.edit(run, None, {0: 1.0}, limit=3).after.shape == (3, 1, 8, 8)


WRONG = {
    "a model that is a number": lambda model: sim.score(3, "digits"),
    "a class of models": lambda model: sim.score(type(model), "digits"),
    "a module that is no model": lambda model: sim.score(torch.nn.Linear(2, 2), "digits"),
    "data that are a number": lambda model: sim.score(model, 3),
    "a split that is a number": lambda model: sim.score(model, "digits", split=3),
    "a split that does not exist": lambda model: sim.score(model, "digits", "tset"),
    "n that is a word": lambda model: sim.sample(model, "many"),
    "n that is no whole number": lambda model: sim.sample(model, 2.5),
    "a seed that is a word": lambda model: sim.sample(model, 2, seed="zero"),
    "a temperature that is a word": lambda model: sim.sample(model, 2, temperature="hot"),
    "a condition that is a word": lambda model: sim.sample(model, 2, condition="label"),
    "a condition that is an array": lambda model: sim.sample(model, 2, condition=np.zeros(2)),
    "items that are a number": lambda model: sim.reconstruct(model, 3),
    "steps that are a word": lambda model: sim.interpolate(model, "ten"),
    "a limit that is a word": lambda model: sim.health(model, "digits", limit="few"),
    "a model to fit that is a number": lambda model: sim.fit(3, "digits"),
    "a class to fit": lambda model: sim.fit(type(model), "digits"),
    "a condition to fit that is a number": lambda model: sim.fit("vae", "digits", condition=3),
    "steps to fit that are a word": lambda model: sim.fit("vae", "digits", steps="some"),
    "steps to fit that are text": lambda model: sim.fit("vae", "digits", steps="10"),
    "betas that are text": lambda model: sim.fit("vae", "digits", betas="0,0.9"),
    "an argument of a model that is text": lambda model: sim.fit("vae", "digits", latent="20"),
    "labels that are text": lambda model: sim.fit("m2", "digits", condition="label", labels="100"),
    "labels of finetune that are text": lambda model: sim.finetune(model, "digits", labels="100"),
    "levels that are text": lambda model: sim.data.load("digits", levels="17"),
    "levels of arrays that are text": lambda model: sim.data.from_arrays(np.ones((9, 2), np.uint8), levels="4"),
    "a side that is text": lambda model: sim.data.load("digits", resize=("8", "8")),
    "a run that is a number": lambda model: sim.load(3),
    "a folder that is a number": lambda model: sim.save(model, 3),
    "something else to save": lambda model: sim.save("vae", "folder"),
    "bytes that are a number": lambda model: sim.decompress(model, 3),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_a_plain_refusal(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = sim.registry.build("vae", sim.data.load("digits").spec, latent=2).eval()
    with pytest.raises(UsageError) as refusal:
        WRONG[name](model)
    assert 1 <= len(str(refusal.value).splitlines()) <= 2


def test_paths_are_text_or_path(tmp_path):
    model = sim.registry.build("independent", sim.data.load("digits").spec)
    sim.save(model, str(tmp_path / "a"))
    sim.save(model, tmp_path / "b")
    assert sim.load(str(tmp_path / "a")).config() == sim.load(tmp_path / "b").config()
