"""A part of a split is drawn: what is seen of data that are sorted by class is what is seen of them shuffled."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SPECS, dataset, small_model

import simulacra as sim
from simulacra import registry
from simulacra.cli import main
from simulacra.cli.arguments import OnData, OnItems
from simulacra.data import DataSpec, Levels
from simulacra.evaluation.fidelity import PixelPCA
from simulacra.evaluation.kernels import median_distance
from simulacra.exploration import attributes, importance
from simulacra.exploration.rejection import Judge
from simulacra.feed import drawn, shown

CLASSES = 3


def by_class(n: int = 300, period: bool = False):
    """Images of one level each, that of their class: one class after the other, or all of them in turn."""
    spec = SPECS["grey-labelled"]
    data = dataset(spec, (n, n, n))

    def arranged(split):
        label = np.arange(n) % CLASSES if period else np.arange(n) * CLASSES // n
        x = np.broadcast_to((5 * label + 2)[:, None, None, None], (n, *spec.shape)).astype(np.uint8)
        return replace(split, x=x.copy(), condition={"label": label.astype(np.int64)})

    return replace(data, **{split.name: arranged(split) for split in data.splits})


SORTED, PERIODIC = by_class(), by_class(period=True)


def classes_of(x) -> set[int]:
    levels = np.unique(np.asarray(x).reshape(len(x), -1)[:, 0])
    return {int(level) // 5 for level in levels if level % 5 == 2}


@pytest.fixture
def seen(monkeypatch):
    """A VAE, and the classes of all images that its encoder reads."""
    torch.manual_seed(0)
    model, classes = small_model(registry.find("vae"), SPECS["grey"]), set()
    encode = model.encode

    def watched(x, condition=None):
        classes.update(classes_of(x))
        return encode(x, condition)

    monkeypatch.setattr(model, "encode", watched)
    return model, classes


def test_health_reads_all_classes(seen):
    model, classes = seen
    assert sim.health(model, SORTED, limit=30).n == 30
    assert classes == set(range(CLASSES))


def test_the_importance_of_dimensions_does_too(seen, monkeypatch):
    model, classes = seen
    monkeypatch.setattr(importance, "ITEMS", 30)
    sim.traverse(model, SORTED, index=0)
    assert classes == set(range(CLASSES))


def test_so_do_walks_and_pictures(seen):
    model, classes = seen
    sim.interpolate(model, 3, 8, SORTED)
    assert classes == set(range(CLASSES))
    assert classes_of(drawn(SORTED.test, 20, model, 0)[0]) == set(range(CLASSES))
    other = [drawn(SORTED.test, 20, model, seed)[1] for seed in (0, 0, 1)]
    assert other[0].keys() == other[1].keys()


def test_so_do_groups_of_an_attribute(seen, monkeypatch):
    model, classes = seen
    monkeypatch.setattr(attributes, "MOST", 30)
    attributes.attribute(model, SORTED.train.rows(slice(0, 300)), SORTED.train.x[:10])
    assert classes == set(range(CLASSES))


def test_conditions_to_look_at_are_those_of_items_of_all_classes():
    spec = DataSpec(Levels((1, 8, 8), 17)).conditioned_on(("down:factor=2",))
    model = small_model(registry.find("vae"), spec)
    assert classes_of(shown(model, SORTED.test, 20)["down"]) == set(range(CLASSES))
    assert len(shown(model, SORTED.test, 700)["down"]) == 700


def test_features_and_judges_are_fitted_to_all_classes(monkeypatch):
    """Of classes in turn, every third item is of one class."""
    monkeypatch.setattr(sys.modules[PixelPCA.__module__], "FITTED_ON", 100)
    monkeypatch.setattr(sys.modules[Judge.__module__], "FITTED_ON", 100)
    mixed = np.random.default_rng(0).permutation(SORTED.train.x)
    for data in (SORTED, PERIODIC):
        mean = PixelPCA.fit(data.train.x, 17, 2).mean.mean()
        assert mean == pytest.approx(mixed.mean() / 16, abs=0.06)
        guessed = Judge(data, "label").log_prob(data.test.x).argmax(1).numpy()
        assert (guessed == data.test.condition["label"]).mean() > 0.99


def test_a_bandwidth_is_that_of_items_in_any_order(monkeypatch):
    monkeypatch.setattr(sys.modules[median_distance.__module__], "BEHIND_A_BANDWIDTH", 60)
    a = np.concatenate([np.random.default_rng(0).normal(10.0 * k, 1.0, size=(100, 4)) for k in range(3)])
    assert median_distance(a) > 5


@pytest.mark.parametrize("verb", ["complete", "reconstruct"])
def test_pictures_on_the_command_line_are_of_all_classes(verb, tmp_path, monkeypatch):
    model, found = small_model(registry.find("vae"), SPECS["grey"]), []
    for command in (OnData, OnItems):
        monkeypatch.setattr(command, "loaded", lambda command: (model, SORTED))
    monkeypatch.setattr(sim, verb, lambda model, x, *args, **rest: found.append(x) or sys.exit(0))
    with pytest.raises(SystemExit):
        main([verb, str(tmp_path), "sorted", "-n", "20"])
    assert classes_of(found[0]) == set(range(CLASSES))
