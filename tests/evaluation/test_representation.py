"""Probes and clusters: what codes know is found, what they do not is chance, and pixels stand beside it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SPECS, dataset, items, small_model
from test_evaluate import FIELDS

import simulacra as sim
from simulacra import registry
from simulacra.data import ClassLabel, Dataset, DataSpec
from simulacra.distributions import PointMass
from simulacra.errors import UsageError
from simulacra.evaluation import representation, table
from simulacra.evaluation.representation import cluster, linear_probe, nearest_neighbours
from simulacra.fields import Levels, Real


def clouds(n: int, seed: int, apart: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of 5 numbers each, of which two show the class, in an order that is not that of the clouds."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    x = rng.normal(size=(n, 5))
    x[:, :2] += apart * np.array([[0, 0], [1, 0], [0, 1]])[[2, 0, 1]][y]
    return x, y


PROBES = [linear_probe, nearest_neighbours, cluster]


def test_the_linear_probe_is_the_one_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    (train, y), (test, _) = clouds(300, 0, apart=1.0), clouds(500, 1, apart=1.0)
    mean, scale = train.mean(0), train.std(0)
    reference = LogisticRegression(tol=1e-9).fit((train - mean) / scale, y).predict((test - mean) / scale)
    assert (linear_probe(train, y, test) == reference).all()


@pytest.mark.parametrize("probe", PROBES)
def test_classes_that_lie_apart_are_found(probe):
    (train, y), (test, truth) = clouds(300, 0), clouds(200, 1)
    assert (probe(train, y, test) == truth).mean() > 0.99
    assert (probe(train, 10 * y + 4, test) == 10 * truth + 4).mean() > 0.99  # whatever the classes are called


@pytest.mark.parametrize("probe", PROBES)
def test_classes_that_do_not_differ_are_guessed(probe):
    (train, y), (test, truth) = clouds(600, 0, apart=0), clouds(600, 1, apart=0)
    assert (probe(train, y, test) == truth).mean() == pytest.approx(1 / 3, abs=0.08)


def test_clusters_are_matched_one_to_one_and_made_without_labels():
    """Labels that ignore the clouds leave every cluster a class of its own, whatever most of its items are."""
    train, _ = clouds(300, 0)
    y = np.where(np.arange(300) % 10 == 0, np.arange(300) // 10 % 3, 0)  # nine of ten are of class 0
    assert set(cluster(train, y, train)) == {0, 1, 2}


def test_a_dimension_without_variance_harms_no_probe():
    (train, y), (test, truth) = clouds(300, 0), clouds(200, 1)
    train[:, 4] = test[:, 4] = 3.0
    test[:, 4] += 1e-9
    for probe in PROBES:
        assert (probe(train, y, test) == truth).mean() > 0.99


class Ideal(torch.nn.Module):
    """An encoder that separates the classes of a data set, or knows nothing of them; its codes come from the pixels."""

    def __init__(self, spec: DataSpec, code) -> None:
        super().__init__()
        self.spec, self.code, self.device = spec, code, torch.device("cpu")

    def encode(self, x, condition=None):
        return PointMass(self.code(x.float().flatten(1)))


def labelled(n: tuple[int, int, int] = (400, 10, 300)) -> Dataset:
    """Noise whose first pixel is the class and whose second is another factor."""
    spec = DataSpec(Levels((1, 5, 5), 17), {"label": ClassLabel(3), "place": ClassLabel(2)})
    data = dataset(spec, n)
    for split in data.splits:
        random = np.random.default_rng(len(split))
        for k, (name, label) in enumerate(spec.condition.items()):
            split.condition[name][:] = random.integers(label.count, size=len(split))
            split.x[:, 0, 0, k] = split.condition[name]
    return data


def test_evaluate_judges_codes_beside_pixels_and_all_factors():
    data = labelled()
    spec = data.spec.conditioned_on(())
    good = sim.evaluate(Ideal(spec, lambda x: 4 * x[:, :2]), data)
    assert {name.rsplit("_", 1)[-1] for name in good if "probe" in name} == {"label", "place"}
    assert len(good) == 6 + 5
    for name, measure in good.items():
        assert set(vars(measure)) == FIELDS
        assert measure.low <= measure.value <= measure.high
        assert measure.n == (len(data.train) if name in ("dci_disentanglement", "dci_completeness") else 300)
        if "error" in name:
            assert measure.value < 0.01 < 0.3 < measure.floor  # pixels are mostly noise
        elif name != "clustering_accuracy_place":  # two clusters do not show the factor that varies less
            assert measure.value > measure.floor
    bad = sim.evaluate(Ideal(spec, lambda x: x[:, -3:]), data)
    assert bad["linear_probe_error_label"].value == pytest.approx(2 / 3, abs=0.1)
    assert bad["mutual_information_gap"].value < 0.1


def test_a_field_of_the_condition_is_not_predicted():
    data = labelled((60, 10, 40))
    conditional = Ideal(data.spec.conditioned_on(("label",)), lambda x: x[:, :2])
    measures = sim.evaluate(conditional, data)
    assert set(measures) == {"linear_probe_error", "knn_probe_error", "clustering_accuracy"}
    assert all("of place from the 2 numbers of a mean code" in measure.protocol for measure in measures.values())
    assert sim.evaluate(Ideal(data.spec, lambda x: x[:, :2]), data) == {}


def test_items_are_few_enough_and_drawn_from_the_whole_split(monkeypatch):
    """A split that is sorted by class must not be probed on its first class."""
    data = labelled((900, 10, 500))
    for split in data.splits:
        order = np.argsort(split.condition["label"], kind="stable")
        split.x[:] = split.x[order]
        for values in split.condition.values():
            values[:] = values[order]
    monkeypatch.setattr(representation, "TRAIN", 300)
    monkeypatch.setattr(representation, "TEST", 100)
    measures = sim.evaluate(Ideal(data.spec.conditioned_on(("place",)), lambda x: 4 * x[:, :2]), data)
    assert measures["linear_probe_error"].value < 0.02
    assert measures["linear_probe_error"].floor > 0.1
    assert "300 of 900 training items, judged on 100 of 500 test items" in measures["linear_probe_error"].protocol


def test_fields_that_are_no_classes_are_not_predicted():
    """Attributes and pictures beside the items have no probes; the label has its own."""
    data = labelled((60, 10, 40))
    fields = {"weight": Real((2,)), "label": ClassLabel(3)}
    for split in data.splits:
        split.condition["weight"] = np.zeros((len(split), 2), np.float32)
        del split.condition["place"]
    data = replace(data, spec=DataSpec(data.spec.x, fields))
    measures = sim.evaluate(Ideal(data.spec.conditioned_on(()), lambda x: x[:, :2]), data)
    assert set(measures) == {"linear_probe_error", "knn_probe_error", "clustering_accuracy"}


def test_large_codes_are_brought_to_their_components_first():
    data = labelled((300, 10, 40))
    spread = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    measures = sim.evaluate(Ideal(data.spec.conditioned_on(("place",)), lambda x: 4 * x[:, :2] @ spread), data)
    assert measures["linear_probe_error"].value < 0.05
    assert "256 principal components of the 1000 numbers" in measures["linear_probe_error"].protocol


def test_codes_of_a_labelled_set_are_judged_whatever_the_model():
    measures = sim.evaluate(small_model(registry.find("dcgan"), SPECS["grey"]), dataset(SPECS["grey-labelled"]))
    assert not any("probe" in name for name in measures)  # it has no encoder


def test_without_the_extra_codes_are_left_out_and_the_extra_is_named(monkeypatch):
    data = labelled((60, 10, 40))
    model = Ideal(data.spec.conditioned_on(()), lambda x: x[:, :2])
    assert sim.evaluate(model, data).left_out == {}
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    monkeypatch.setattr(table, "find_spec", lambda package: None if package == "sklearn" else package)
    found = sim.evaluate(model, data)
    assert found == {}
    assert set(found.left_out) == {"probes", "disentanglement"}
    assert found.left_out["probes"] == "it needs sklearn: pip install 'simulacra[eval]'"
    with pytest.raises(UsageError, match=r"pip install 'simulacra\[eval\]'"):
        nearest_neighbours(*clouds(30, 0), items(SPECS["continuous"], 3).numpy())
