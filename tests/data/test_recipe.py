"""A recipe is data: it is written, read again, hashed, and refused where it is none."""

import json

import numpy as np
import pytest

import simulacra as sim
from simulacra.data import Origin, Recipe
from simulacra.errors import DataError, UsageError


@pytest.mark.parametrize("recipe", [Recipe(), Recipe((8, 9), 4, "depth"), Recipe(levels=2)], ids=repr)
def test_a_recipe_is_json(recipe):
    again = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe
    assert again.digest == recipe.digest


def test_another_step_is_another_digest():
    recipes = [Recipe(), Recipe((8, 8)), Recipe((8, 9)), Recipe(levels=4), Recipe(target="depth")]
    assert len({recipe.digest for recipe in recipes}) == len(recipes)


@pytest.mark.parametrize(
    "record",
    [[], {"resize": 8}, {"resize": [8, 8, 8]}, {"resize": [8, "8"]}, {"levels": 1}, {"levels": True}, {"target": 3},
     {"shear": 2}, {"resize": [0, 9]}],
    ids=str,
)  # fmt: skip
def test_what_is_no_recipe_is_refused(record):
    with pytest.raises(DataError):
        Recipe.from_json(record)
    with pytest.raises(DataError):
        Origin.from_json({"name": "x", "fingerprint": "y", "recipe": record})


def test_steps_that_are_given_go_before_the_others():
    assert Recipe(levels=4).over(Recipe((8, 8), 2, "depth")) == Recipe((8, 8), 4, "depth")


def test_a_data_set_knows_where_and_how_it_was_read(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=rng.integers(0, 3, (40, 1, 4, 4), np.uint8), depth=rng.random((40, 4, 4)))
    data = sim.data.load(tmp_path / "x.npz", levels=4, target="depth")
    assert data.recipe == Recipe(None, 4, "depth")
    assert data.source == str(tmp_path / "x.npz")
    assert data.summary()["recipe"] == {"resize": None, "levels": 4, "target": "depth", "digest": data.recipe.digest}


def test_all_items_of_an_array_keep_its_order():
    x = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4), np.uint8)
    data = sim.data.from_arrays(x, np.arange(50))
    assert np.array_equal(data.split("all").x, x)
    assert data.split("all").field("label").tolist() == list(range(50))
    assert len(sim.data.load("digits").split("all")) == 1797


def test_levels_and_resize_that_are_none_are_refused(tmp_path):
    for wrong in ({"levels": 1}, {"levels": 300}, {"resize": 0}, {"resize": "8"}, {"resize": (8,)}):
        with pytest.raises(UsageError):
            sim.data.load(tmp_path, **wrong)
    with pytest.raises(UsageError, match="name or path"):
        sim.data.load(3)
