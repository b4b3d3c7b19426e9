"""Fields of one kind as one set without pairs: no training item is of two domains, no held-out one without its pair."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from small import SPECS, dataset

import simulacra as sim
from simulacra.data import ClassLabel, Levels, Recipe
from simulacra.data.domains import dealt
from simulacra.errors import DataError, UsageError
from simulacra.training.batches import Batches
from simulacra.training.runtime import Runtime


def styles(n: int = 60, seed: int = 0):
    """Drawings whose three styles are the number of the drawing in the first pixels, times 1, and that of the style."""
    rng = np.random.default_rng(seed)
    number = rng.permutation(n).astype(np.uint8)
    x, bold, thin = (np.full((n, 1, 4, 4), style, np.uint8) for style in range(3))
    for style in (x, bold, thin):
        style[:, 0, 0, 0] = number
    fields = {"bold": bold, "thin": thin, "small": np.zeros((n, 1, 2, 2), np.uint8)}
    kinds = {name: Levels((1, 4, 4), 64) for name in ("bold", "thin")}
    return sim.data.from_arrays(x, np.arange(n) % 3, fields=fields, kinds=kinds, levels=64, name="styles")


NUMBER, STYLE = (slice(None), 0, 0, 0), (slice(None), 0, 1, 1)


def test_no_training_item_is_of_two_domains_and_each_domain_has_its_share():
    data = styles().domains("x", "thin", "bold")
    assert data.spec.condition["domain"] == ClassLabel(3, ("x", "thin", "bold"))
    number, domain = data.train.x[NUMBER], data.train.condition["domain"]
    assert len(set(number.tolist())) == len(number) == len(styles().train)
    assert (data.train.x[STYLE] == np.array([0, 2, 1])[domain]).all()
    assert np.ptp(np.bincount(domain)) <= 1
    assert "pair" not in data.train.condition
    assert not {"bold", "thin", "x"} & data.train.condition.keys()


def test_a_held_out_item_is_of_every_domain_beside_its_pair():
    plain, data = styles(), styles().domains("x", "thin")
    for split in (data.valid, data.test):
        own = plain.split(split.name)
        assert len(split) == 2 * len(own)
        assert (split.x == split.condition["pair"][np.arange(len(split)), split.condition["domain"]]).all()
        assert (split.condition["pair"][:, :, 0, 1, 1] == [0, 2]).all()
        assert sorted(split.x[NUMBER].tolist()) == sorted(2 * own.x[NUMBER].tolist())
        assert np.array_equal(split.condition["label"], own.condition["label"].repeat(2))
    assert "pair" not in data.spec.condition  # so that nobody can learn from it


def test_the_domain_of_an_item_follows_from_its_values_alone():
    rng = np.random.default_rng(3)
    fields = [rng.integers(0, 256, (50, 3, 4, 4)).astype(np.uint8) for _ in "ab"]
    order = rng.permutation(50)
    assert np.array_equal(dealt([values[order] for values in fields]), dealt(fields)[order])


def test_items_that_share_a_value_are_shown_in_one_domain():
    """The second one's style a is the first one's, its style b the third one's, and so on."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (40, 8)).astype(np.uint8) for _ in "ab")
    for one, other in pairwise(range(12)):
        values = a if one % 2 else b
        values[other] = values[one]
    a[20] = b[25]  # the same picture in two styles
    domain = dealt([a, b])
    assert len(set(domain[:12].tolist())) == 1
    assert domain[20] == domain[25]
    assert 5 < domain[12:].sum() < 23


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("x",), "two or more different fields"),
        (("x", "x"), "two or more different fields"),
        (("x", "bald"), "no field 'bald'. Did you mean 'bold'"),
        (("x", "small"), "fields of one kind, and 'x' is 1×4×4.*'small' is 1×2×2"),
        (("x", "label"), "fields of one kind"),
    ],
)
def test_what_are_no_domains_is_refused(names, reason):
    with pytest.raises(UsageError, match=reason):
        styles().domains(*names)


def test_domains_of_domains_or_of_a_target_are_refused():
    with pytest.raises(UsageError, match="already"):
        styles().domains("x", "thin").domains("bold", "x")
    with pytest.raises(UsageError, match="leave out the target"):
        styles().target("bold").domains("x", "thin")


# The step of the recipe


def test_domains_are_a_step_of_the_recipe():
    recipe = Recipe((8, 8), domains=("x", "noto"))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert recipe.describe() == "resize 8×8, domains x noto"
    assert len({own.digest for own in (Recipe((8, 8)), recipe, Recipe((8, 8), domains=("noto", "x")))}) == 3
    assert "domains" not in Recipe((8, 8)).to_json()  # the digest of other data is that of before
    assert Recipe((9, 9)).over(recipe) == Recipe((9, 9), domains=("x", "noto"))
    for wrong in ("x", [3, 4], ["x"]):
        with pytest.raises(DataError):
            Recipe.from_json({"domains": wrong})


def test_a_run_reads_its_domains_again(tmp_path):
    """From the run alone, by the name of the data, and for data that have no domains."""
    rng = np.random.default_rng(0)
    fields = {name: rng.integers(0, 4, (80, 1, 8, 8), np.uint8) for name in ("x", "other")}
    np.savez(tmp_path / "drawn.npz", **fields)
    data = sim.data.load(tmp_path / "drawn.npz", domains=("x", "other"))
    small = {"generator": "resnet:width=4,halvings=1,blocks=1", "critic": "patch:width=4,halvings=1", "batch": 4}
    model = sim.fit("cyclegan", data, tmp_path / "run", steps=2, progress=None, **small)
    assert model.spec.condition == {"domain": ClassLabel(2, ("x", "other"))}  # without being named
    again = sim.load(tmp_path / "run")
    assert sim.verbs.data_of(again).recipe == data.recipe
    assert np.array_equal(sim.verbs.data_of(again, tmp_path / "drawn.npz").train.x, data.train.x)
    assert len(sim.verbs.data_of(again, fields["x"][:3], whole=True).test) == 3
    assert sim.evaluate(again) is not None
    assert sim.health(again) is not None
    assert (tmp_path / "run" / "samples" / "step-00000002.png").exists()


def test_a_model_of_domains_needs_training_items_of_each(tmp_path):
    data = dataset(SPECS["grey-domains"])
    data.train.condition["label"][:] = 0
    with pytest.raises(UsageError, match="no training item of label 'b'"):
        sim.fit("cyclegan", data, tmp_path / "run", condition="label", steps=1)


# Draws


@pytest.mark.parametrize("batch", [2, 3, 4, 7])
def test_a_stratified_draw_lacks_no_class_however_rare(batch):
    data = dataset(SPECS["grey-domains"], (40, 1, 1))
    data.train.condition["label"][:] = np.arange(40) == 7
    here = Runtime(torch.device("cpu"), False)
    made = Batches(data.train, SPECS["grey-domains"], batch, 0, here, stratified=True)
    draws = [made.indices(d) for d in range(45)]
    counts = [np.bincount(data.train.condition["label"][draw], minlength=2) for draw in draws]
    assert all(np.ptp(count) <= 1 for count in counts)
    usual = [each for draw in draws for each in draw if each != 7]
    assert sorted(usual[:39]) == [each for each in range(40) if each != 7]  # an epoch of its own
