"""Every metric comes with its interval, floor, n, kind and protocol, as plain numbers."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.errors import UsageError
from simulacra.evaluation.likelihood import has_likelihood

FIELDS = {"value", "low", "high", "floor", "n", "kind", "protocol"}
CASES = [("gated-pixelcnn", "grey"), ("vae", "binary-labelled"), ("vae", "continuous"), ("dcgan", "grey-labelled")]


def measured(name: str, spec: str, **options):
    model = randomise(small_model(registry.find(name), SPECS[spec]), 0.3).eval()
    return model, sim.evaluate(model, dataset(SPECS[spec], (60, 10, 40)), **options)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_measures_are_plain_numbers_that_json_holds(name, spec):
    model, measures = measured(name, spec)
    expected = {"frechet_distance", "kernel_mmd", "neighbour_distance", "near_copies"}
    assert measures.keys() == expected | ({"nats", "bits_per_dim"} if has_likelihood(model) else set())
    for metric, measure in measures.items():
        record = json.loads(json.dumps(asdict(measure), allow_nan=False))
        assert record.keys() == FIELDS
        assert record == asdict(measure)
        assert type(measure.n) is int
        assert all(type(getattr(measure, field)) is float for field in ("value", "low", "high")), metric
        assert measure.floor is None or type(measure.floor) is float, metric
        assert measure.low <= measure.value <= measure.high
        assert measure.protocol


def test_kinds_are_told_and_likelihoods_are_those_of_score():
    model, measures = measured("gated-pixelcnn", "grey")
    result = sim.score(model, dataset(SPECS["grey"], (60, 10, 40)))
    assert measures["nats"].kind == measures["bits_per_dim"].kind == "exact"
    assert measures["nats"].value == result.nats
    assert measures["bits_per_dim"].value == result.bits_per_dim
    assert measures["nats"].high - measures["nats"].value == pytest.approx(1.96 * result.standard_error)
    _, bound = measured("vae", "binary", samples=5)
    assert bound["nats"].kind == "bound"
    assert "K = 5" in bound["nats"].protocol
    assert bound["frechet_distance"].kind == "estimate"


def test_a_figure_repeats_with_its_seed():
    assert measured("vae", "grey")[1] == measured("vae", "grey")[1]
    assert measured("vae", "grey", seed=1)[1] != measured("vae", "grey")[1]


class Replay(torch.nn.Module):
    """A sampler that returns items of a data set."""

    def __init__(self, spec, items):
        super().__init__()
        self.spec, self.items, self.taken = spec, torch.from_numpy(np.array(items)), 0
        self.device = torch.device("cpu")

    def sample(self, n, condition=None, temperature=1.0, generator=None):
        self.taken += n
        return self.items[self.taken - n : self.taken]


def test_real_items_score_about_their_floor_and_noise_far_above(digits):
    spec = digits.spec.conditioned_on(())
    n = len(digits.test)
    real = sim.evaluate(Replay(spec, digits.train.x[:n]), digits)
    noise = np.random.default_rng(0).integers(0, 17, (n, 1, 8, 8)).astype(np.uint8)
    bad = sim.evaluate(Replay(spec, noise), digits)
    assert not has_likelihood(Replay(spec, noise))
    for metric in ("frechet_distance", "kernel_mmd"):
        assert real[metric].value < 2 * real[metric].floor + 1e-3
        assert bad[metric].value > 10 * bad[metric].floor
        assert bad[metric].low > bad[metric].floor
    assert real["near_copies"].value == 1  # they are training items, and are found out
    assert bad["near_copies"].value == 0
    assert bad["neighbour_distance"].value > bad["neighbour_distance"].floor


def test_held_out_items_are_as_far_from_training_items_as_the_floor(digits):
    spec = digits.spec.conditioned_on(())
    fresh = sim.evaluate(Replay(spec, digits.valid.x), digits, split="valid")
    assert fresh["neighbour_distance"].value == pytest.approx(fresh["neighbour_distance"].floor)
    assert fresh["near_copies"].value <= 0.03
    assert fresh["near_copies"].floor == 0.01


def test_a_conditional_model_is_given_the_labels_of_the_held_out_items():
    spec, seen = SPECS["grey-labelled"], []
    model = small_model(registry.find("vae"), spec)
    draw = model.sample
    model.sample = lambda n, condition, **rest: seen.append(condition["label"]) or draw(n, condition, **rest)
    data = dataset(spec, (60, 10, 40))
    sim.evaluate(model, data)
    assert torch.equal(torch.cat(seen), torch.from_numpy(data.test.condition["label"]))


def test_other_data_are_refused():
    model = small_model(registry.find("dcgan"), SPECS["grey"])
    with pytest.raises(UsageError, match=r"the model is for 1×8×8, 17 levels, but made-up is 1×8×8, 2 levels"):
        sim.evaluate(model, dataset(SPECS["binary"]))
