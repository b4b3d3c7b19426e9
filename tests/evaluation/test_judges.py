"""The usual judges: which one a model gets, and that each is the figure it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SPECS, dataset, same, small_model, weights

from simulacra import registry
from simulacra.data import DataSpec, Split
from simulacra.evaluation.judges import (
    ByFrechetDistance,
    ByTranslation,
    by_likelihood,
    by_squared_error,
    drawn_of,
    usual_judge,
)
from simulacra.evaluation.likelihood import score
from simulacra.model import Model

GREY = SPECS["grey-labelled"]


def model_of(name: str, spec: DataSpec = GREY) -> Model:
    return small_model(registry.find(name), spec)


def test_a_model_is_judged_by_what_it_can():
    assert usual_judge(model_of("vae")) is usual_judge(model_of("gated-pixelcnn")) is by_likelihood
    assert isinstance(usual_judge(model_of("dcgan")), ByFrechetDistance)
    assert isinstance(usual_judge(model_of("aae")), ByFrechetDistance)
    assert usual_judge(model_of("autoencoder")) is by_squared_error
    assert isinstance(usual_judge(model_of("stargan")), ByTranslation)


@pytest.mark.parametrize("name", ["vae", "gated-pixelcnn"])
def test_the_likelihood_is_that_of_the_score(name):
    data, model = dataset(GREY, (10, 30, 4)), model_of(name)
    verdict = by_likelihood(model, data, 3)
    assert verdict.value == pytest.approx(score(model, data, "valid", seed=3).bits_per_dim, abs=1e-9)
    assert (verdict.name, verdict.error, verdict.stops) == ("valid_bits_per_dim", 0.0, True)


def test_a_part_of_a_split_is_drawn_by_the_seed_and_never_the_first_items():
    split = Split(np.arange(100)[:, None].astype(np.uint8), {"label": np.arange(100)}, "valid")
    one, again, other = (drawn_of(split, 20, seed) for seed in (0, 0, 1))
    assert (one.x == again.x).all()
    assert not (one.x == other.x).all()
    assert one.x[:, 0].tolist() == one.condition["label"].tolist() == sorted(set(one.x[:, 0].tolist()))
    assert one.x.max() > 50
    assert drawn_of(split, 100, 0) is split


def test_the_squared_error_is_that_of_the_reconstructions():
    spec, model = SPECS["grey"], model_of("autoencoder", SPECS["grey"])
    data = dataset(spec, (10, 300, 4))
    x = torch.from_numpy(np.array(data.valid.x))
    with torch.no_grad():
        made = model.decode(model.encode(x).mean).mean
    expected = ((spec.centred(made) - spec.centred(x)) ** 2).mean().item()
    verdict = by_squared_error(model, data, 0)
    assert verdict.value == pytest.approx(expected, rel=1e-6)
    assert verdict.stops


class Copier:
    """Samples that are items it was given, in the classes of the condition."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.conditions = torch.from_numpy(np.array(x)), []

    def __call__(self, n, condition=None, temperature=1.0, generator=None):
        self.conditions.append({name: values.tolist() for name, values in condition.items()})
        return self.x[torch.randint(len(self.x), (n,), generator=generator)]


def test_the_distance_is_from_fixed_noise_with_the_classes_of_the_items(monkeypatch):
    data, model, judge = dataset(GREY, (60, 40, 4)), model_of("dcgan"), ByFrechetDistance()
    copier = Copier(data.train.x)
    monkeypatch.setattr(model, "sample", copier)
    state, before = torch.get_rng_state(), weights(model)
    one, again = judge(model, data, 0), judge(model, data, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(weights(model), before)
    assert one == again
    assert one != judge(model, data, 1)
    assert copier.conditions[0]["label"] == data.valid.field("label").tolist()
    assert (one.name, one.stops) == ("valid_frechet_distance", True)
    fitted = judge.features
    assert judge(model, replace(data, train=data.test), 0) == one  # the features are fitted once
    assert judge.features is fitted
    noise = Copier(np.zeros_like(data.train.x))
    monkeypatch.setattr(model, "sample", noise)
    assert judge(model, data, 0).value > one.value


def test_its_error_is_one_standard_error(monkeypatch):
    """Against the distances of other items and samples, as many: equal within a factor of 1.5."""
    verdicts = []
    model = model_of("dcgan")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 17, (160, 1, 8, 8)).astype(np.uint8)
        real, fake = Split(x[:80], {"label": np.zeros(80, int)}, "valid"), torch.from_numpy(x[80:] // 3)
        data = replace(dataset(GREY, (60, 10, 4)), valid=real)
        monkeypatch.setattr(model, "sample", lambda n, condition=None, generator=None, fake=fake: fake)
        verdicts.append(ByFrechetDistance()(model, data, seed))
    truth = np.std([verdict.value for verdict in verdicts])
    assert truth / 1.5 < np.mean([verdict.error for verdict in verdicts]) < truth * 1.5


def test_too_few_items_are_no_judge():
    assert ByFrechetDistance()(model_of("dcgan"), dataset(GREY, (10, 3, 4)), 0) is None


class Moves(Model):
    """Items of class k of 3 have the values 5k to 5k + 4; it moves any item there, or leaves it as it is."""

    def __init__(self, spec: DataSpec, moves: bool) -> None:
        super().__init__(spec)
        self.moves, self.weight = moves, torch.nn.Parameter(torch.zeros(()))

    def phases(self):
        return []

    def translate(self, x, condition=None, generator=None):
        label = self.conditioned(condition, len(x))["label"].view(-1, 1, 1, 1)
        return (x % 5 + 5 * label).byte() if self.moves else x


def test_translations_are_judged_beside_the_items_of_their_class():
    data = dataset(GREY, (90, 90, 4))
    for split in (data.train, data.valid):
        split.x[:] = split.x % 5 + 5 * split.condition["label"].reshape(-1, 1, 1, 1)
    moved, copied = (ByTranslation()(Moves(GREY, moves), data, 0) for moves in (True, False))
    assert moved.value < 0.1 * copied.value
    assert 0 < moved.error < copied.value
    assert not moved.stops
    assert ByTranslation()(Moves(GREY, True), data, 0) == moved
    assert ByTranslation()(Moves(GREY, True), dataset(GREY, (9, 9, 4)), 0) is None  # three of each class
