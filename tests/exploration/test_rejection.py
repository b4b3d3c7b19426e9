"""Of several draws the best: kept by a judge that knows the classes, as many of each as are wanted."""

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, dataset, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import Card, Dataset, DataSpec, Levels, Split
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration.rejection import Judge, _best, _drawn_for

SPEC = DataSpec(Levels((1, 4, 4), 17), labels(3, "a", "b", "c"))


def stripes(n: int = 90, noise: float = 2.0) -> Dataset:
    """Class k is bright in row k."""
    rng = np.random.default_rng(0)

    def part(name: str, count: int) -> Split:
        y = np.arange(count) % 3
        x = rng.normal(4, noise, (count, 1, 4, 4))
        x[np.arange(count), 0, y] += 8
        return Split(x.round().clip(0, 16).astype(np.uint8), {"label": y}, name)

    parts = {name: part(name, n) for name in ("train", "valid", "test")}
    return Dataset("rows", SPEC, **parts, card=Card("rows", "a test", "none"), fingerprint="rows")


def model(name: str = "gated-pixelcnn", spec: DataSpec = SPEC):
    return randomise(small_model(registry.find(name), spec), 0.4).eval()


def test_the_judge_knows_the_classes_and_says_probabilities():
    data = stripes()
    log_prob = Judge(data, "label").log_prob(data.test.x)
    torch.testing.assert_close(log_prob.exp().sum(1), torch.ones(90, dtype=torch.float64))
    assert (log_prob.argmax(1).numpy() == data.test.field("label")).mean() > 0.95


def test_what_is_kept_is_the_best_of_what_is_drawn():
    """The same noise draws four times as many; those of each class that the judge likes most are kept, best first."""
    made, data = model(), stripes()
    kept = sim.sample(made, 6, keep=0.25, judge=data, seed=2, condition={"label": [0, 1, 2, 2, 1, 2]})
    drawn_labels = [0] * 4 + [1] * 8 + [2] * 12
    drawn = sim.sample(made, 24, seed=2, condition={"label": drawn_labels})
    scores = Judge(data, "label").log_prob(drawn)[torch.arange(24), drawn_labels]
    for label, own in ((0, slice(0, 4)), (1, slice(4, 12)), (2, slice(12, 24))):
        best = scores[own].argsort(descending=True)
        places = [i for i, wanted in enumerate([0, 1, 2, 2, 1, 2]) if wanted == label]
        for place, which in zip(places, best.tolist(), strict=False):
            assert (kept[place] == drawn[own][which]).all()


def test_keeping_less_makes_the_judge_surer():
    made, data = model(), stripes()
    sure = []
    for keep in (1.0, 0.5, 0.1):
        x = sim.sample(made, 12, keep=keep, judge=data)
        sure.append(Judge(data, "label").log_prob(x)[torch.arange(12), torch.arange(12) % 3].mean())
    assert sure[0] < sure[1] < sure[2]


@pytest.mark.parametrize(("keep", "drawn"), [(1.0, [2, 1]), (0.5, [4, 2]), (0.3, [7, 4]), (0.1, [20, 10])])
def test_as_many_are_drawn_of_each_class_as_the_share_asks(keep, drawn):
    assert torch.bincount(_drawn_for(torch.tensor([5, 7, 5]), keep))[[5, 7]].tolist() == drawn


def test_of_equals_the_first_is_kept():
    log_prob = torch.tensor([[0.0, -1.0], [0.0, -2.0], [-3.0, -1.0]])
    assert _best(torch.tensor([1, 0]), torch.tensor([0, 0, 1]), log_prob).tolist() == [2, 0]


@pytest.mark.parametrize("name", ["vqvae", "vae", "dcgan"])
def test_every_model_with_labels_can_be_judged(name):
    data = dataset(SPECS["grey-labelled"], (60, 10, 10))
    x = sim.sample(model(name, data.spec.conditioned_on("label")), 4, keep=0.5, judge=data)
    assert x.shape == (4, 1, 8, 8)
    assert (x == sim.sample(model(name, data.spec.conditioned_on("label")), 4, keep=0.5, judge=data)).all()


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(keep):
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        sim.sample(model(), 4, keep=keep, judge=stripes())


def test_what_cannot_be_judged_is_refused():
    data = stripes()
    with pytest.raises(NotSupported, match=r"gated-pixelcnn was not fitted with labels.*--condition label"):
        sim.sample(model(spec=DataSpec(Levels((1, 4, 4), 17))), 4, keep=0.5, judge=data)
    with pytest.raises(UsageError, match="the model is for 1×8×8"):
        sim.sample(model(spec=SPECS["grey-labelled"]), 4, keep=0.5, judge=data)
    with pytest.raises(UsageError, match="rows has not the classes of the model's 'label'"):
        sim.sample(model(spec=DataSpec(Levels((1, 4, 4), 17), labels(4))), 4, keep=0.5, judge=data)
    with pytest.raises(UsageError, match="n >= 1"):
        sim.sample(model(), 0, keep=0.5, judge=data)


def test_the_labels_of_the_condition_stay_in_their_places():
    """So that the picture of all classes in turn still shows them in turn."""
    data = stripes()
    x = sim.sample(model(), 9, keep=0.1, judge=data)
    guessed = Judge(data, "label").log_prob(x).argmax(1)
    assert (guessed == condition_of(SPEC, 9)["label"]).float().mean() > 0.5
