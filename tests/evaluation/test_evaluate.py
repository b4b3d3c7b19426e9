"""Every metric comes with its interval, floor, n, kind and protocol, as plain numbers."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from small import SPECS, dataset, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.capabilities import Bound, Classifier, Density, Encoder, Sampler, can
from simulacra.data import Dataset, DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation import Measure, Subject, metric, subject, table
from simulacra.evaluation.evaluate import QUICK
from simulacra.evaluation.fidelity import independent_pixels
from simulacra.evaluation.intervals import student
from simulacra.evaluation.likelihood import has_likelihood
from simulacra.fields import Levels

FIELDS = {"value", "low", "high", "floor", "n", "kind", "protocol", "warning", "note", "baseline", "control", "ceiling"}
OF_SAMPLES = {"kernel_mmd", "precision", "recall", "density", "coverage", "nearest_neighbour_test", "classifier_test"}
DISTANCES = {"frechet_distance", "kernel_distance"}
CASES = [("gated-pixelcnn", "grey"), ("vae", "binary-labelled"), ("vae", "continuous"), ("dcgan", "grey-labelled")]


def measured(name: str, spec: str, **options):
    model = randomise(small_model(registry.find(name), SPECS[spec]), 0.3).eval()
    return model, sim.evaluate(model, dataset(SPECS[spec], (60, 10, 40)), **options)


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_measures_are_plain_numbers_that_json_holds(name, spec):
    model, measures = measured(name, spec)
    expected = OF_SAMPLES | DISTANCES | {"neighbour_distance", "near_copies"}
    if model.spec.is_image:
        expected |= {f"{each}{ending}" for each in DISTANCES for ending in ("_learned", "_random")}
    if model.spec.condition:
        expected |= {"class_agreement"}
    likelihood = {"nats"} if model.spec.levels is None else {"nats", "bits_per_dim"}
    maybe = {f"frechet_position{ending}" for ending in ("", "_learned", "_random")} | {"class_recall"}
    assert measures.keys() - maybe == (
        expected
        | (likelihood if has_likelihood(model) else set())
        | ({"aggregate_gap"} if can(model, Encoder) else set())
    )
    assert json.loads(json.dumps(measures.to_json(), allow_nan=False)).keys() == measures.keys()
    for name, measure in measures.items():
        record = json.loads(json.dumps(asdict(measure), allow_nan=False))
        assert record.keys() == FIELDS
        assert record == asdict(measure)
        assert type(measure.n) is int
        assert all(type(getattr(measure, field)) is float for field in ("value", "low", "high")), name
        assert measure.floor is None or type(measure.floor) is float, name
        assert measure.low <= measure.value <= measure.high
        assert measure.protocol


def test_kinds_are_stated_and_likelihoods_are_those_of_score():
    model, measures = measured("gated-pixelcnn", "grey")
    result = sim.score(model, dataset(SPECS["grey"], (60, 10, 40)))
    assert measures["nats"].kind == measures["bits_per_dim"].kind == "exact"
    assert measures["nats"].value == result.nats
    assert measures["bits_per_dim"].value == result.bits_per_dim
    assert measures["nats"].high - measures["nats"].value == pytest.approx(student(39) * result.standard_error)
    _, bound = measured("vae", "binary", samples=5)
    assert bound["nats"].kind == "bound"
    assert "K = 5" in bound["nats"].protocol
    assert bound["frechet_distance"].kind == "estimate"


def test_a_figure_repeats_with_its_seed():
    first = measured("vae", "grey")[1]
    assert dict(measured("vae", "grey")[1]) == dict(first)
    assert dict(measured("vae", "grey", seed=1)[1]) != dict(first)


def test_the_hash_of_a_protocol_is_of_all_but_the_model():
    def hashes(name: str, **options: int) -> dict[str, str]:
        return {each: own.protocol[-8:] for each, own in measured(name, "grey", quick=True, **options)[1].items()}

    vae, gan = hashes("vae"), hashes("dcgan")
    common = vae.keys() & gan.keys()
    assert len({vae[each] for each in vae}) == len(vae)
    assert {each: vae[each] for each in common} == {each: gan[each] for each in common}
    other = sim.evaluate(small_model(registry.find("vae"), SPECS["grey"]), dataset(SPECS["grey"], seed=1), quick=True)
    assert not {own.protocol[-8:] for own in other.values()} & set(vae.values())


def test_a_quick_look_is_at_few_items_and_says_so(digits):
    model = small_model(registry.find("vae"), digits.spec.conditioned_on(()))
    found, state = sim.evaluate(model, digits, quick=True), torch.get_rng_state()
    assert found.quick
    assert {own.n for own in found.values() if "test" not in own.protocol[:20]} <= {QUICK, 2 * QUICK}
    assert f"{QUICK} of 359 test items, drawn by seed 0 for a quick look" in found["nats"].protocol
    assert f"against {QUICK} of 359 test items" in found["frechet_distance"].protocol
    assert {"fidelity_learned", "classifier_test"} <= found.left_out.keys()
    assert "evaluate without quick" in found.left_out["fidelity_learned"]
    assert not any(name.endswith("_learned") for name in found)
    sim.evaluate(model, digits, quick=True)
    assert torch.equal(torch.get_rng_state(), state)


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
    real = sim.evaluate(Replay(spec, digits.train.x[:n]), digits, quick=True)
    noise = np.random.default_rng(0).integers(0, 17, (n, 1, 8, 8)).astype(np.uint8)
    bad = sim.evaluate(Replay(spec, noise), digits, quick=True)
    assert not has_likelihood(Replay(spec, noise))
    for name in ("frechet_distance", "kernel_mmd"):
        assert real[name].value < 2 * real[name].floor + 1e-3
        assert bad[name].value > 10 * bad[name].floor
        assert bad[name].low > bad[name].floor
    assert real["near_copies"].value == 1  # they are training items, and are found out
    assert bad["near_copies"].value == 0
    assert bad["neighbour_distance"].value > bad["neighbour_distance"].floor


def test_held_out_items_are_as_far_from_training_items_as_the_floor(digits):
    spec = digits.spec.conditioned_on(())
    fresh = sim.evaluate(Replay(spec, digits.valid.x), digits, split="valid", quick=True)
    assert fresh["neighbour_distance"].value == pytest.approx(fresh["neighbour_distance"].floor)
    assert fresh["near_copies"].value <= 0.03
    assert fresh["neighbour_distance"].low <= fresh["neighbour_distance"].floor <= fresh["neighbour_distance"].high
    assert fresh["near_copies"].floor == 0.01


def test_the_position_is_0_for_real_items_and_1_for_independent_pixels(digits):
    spec, n = digits.spec.conditioned_on(()), QUICK
    model = sim.fit("independent", digits, observers=())
    fewer = replace(digits, test=digits.test.rows(slice(len(digits.valid))))
    real = sim.evaluate(Replay(spec, digits.valid.x), fewer, quick=True)["frechet_position"]
    independent = sim.evaluate(model, digits, quick=True)["frechet_position"]
    assert real.low <= 0.02
    assert abs(real.value) < 0.05
    assert independent.value == pytest.approx(1, abs=0.05)
    assert independent.low < 1 < independent.high
    assert (real.floor, real.n, independent.n) == (0.0, len(digits.valid), n)
    blend = np.concatenate([digits.valid.x, independent_pixels(digits.train.x, n - len(digits.valid), 1)])
    assert 0.1 < sim.evaluate(Replay(spec, blend), digits, quick=True)["frechet_position"].value < 0.9


def test_independent_pixels_have_the_marginals_and_nothing_else(digits):
    drawn = independent_pixels(digits.train.x, 4000, 0).reshape(4000, -1).astype(float)
    train = np.asarray(digits.train.x).reshape(len(digits.train), -1)
    np.testing.assert_allclose(drawn.mean(0), train.mean(0), atol=0.5)
    np.testing.assert_allclose(drawn.std(0), train.std(0), atol=0.5)
    moving = train.std(0) > 1
    off = np.corrcoef(drawn[:, moving].T) - np.eye(moving.sum())
    assert abs(off).max() < 0.1


def test_where_pixels_are_independent_there_is_no_position():
    _, measures = measured("dcgan", "grey")  # `dataset` draws every pixel alone
    assert "frechet_position" not in measures


def test_the_training_split_is_not_compared_with_itself(digits):
    """No floor of 0, no copies of itself, no probe on what it has learnt; and a sentence that says so."""
    data = dataset(SPECS["grey-labelled"], (60, 10, 40))
    model = randomise(small_model(registry.find("vae"), SPECS["grey"]), 0.3).eval()
    found = sim.evaluate(model, data, "train")
    for name in ("frechet_distance", "kernel_mmd", "neighbour_distance"):
        assert found[name].floor is None, name
    assert "no floor" in found["frechet_distance"].protocol
    left = {"near_copies", "probes", "disentanglement"}
    assert found.left_out.keys() == left
    assert not {"near_copies", "frechet_position", "linear_probe_error"} & found.keys()
    assert all("use the split valid or test" in found.left_out[name] for name in left)
    assert found["nats"].value == sim.score(model, data, "train").nats


def test_a_figure_from_few_effective_draws_is_marked(monkeypatch):
    """Weights of which one outweighs all others: the errors say too little, in the JSON too."""
    model = randomise(small_model(registry.find("vae"), SPECS["binary"]), 0.3).eval()
    data = dataset(SPECS["binary"], (60, 10, 40))
    assert sim.score(model, data, samples=1).warning is None
    monkeypatch.setattr(model, "log_weights", lambda x, condition=None, samples=1: torch.zeros(samples, len(x)))
    assert sim.score(model, data, samples=50).to_json()["warning"] is None
    one = torch.cat([torch.full((1, 40), 99.0), torch.zeros(49, 40)])
    monkeypatch.setattr(model, "log_weights", lambda x, condition=None, samples=1: one[:, : len(x)])
    assert "for 100% of the items fewer than 5 of the 50 draws count" in sim.score(model, data, samples=50).warning
    measures = sim.evaluate(model, data, samples=50).to_json()
    assert "errors and interval are too small" in measures["nats"]["warning"]
    assert measures["bits_per_dim"]["warning"] == measures["nats"]["warning"]
    assert measures["frechet_distance"]["warning"] is None


def test_a_conditional_model_is_given_the_labels_of_the_held_out_items():
    spec, seen = SPECS["grey-labelled"], []
    model = small_model(registry.find("vae"), spec)
    draw = model.sample
    model.sample = lambda n, condition, **rest: seen.append(condition["label"]) or draw(n, condition, **rest)
    data = dataset(spec, (60, 10, 40))
    sim.evaluate(model, data)
    assert torch.equal(torch.cat(seen), torch.from_numpy(data.test.condition["label"]))


def test_a_picture_as_the_condition_is_made_of_the_held_out_items():
    spec, seen = DataSpec(Levels((1, 4, 4), 2)), []
    model = small_model(registry.find("vae"), spec.conditioned_on(("down:factor=2",)))
    draw = model.sample
    model.sample = lambda n, condition, **rest: seen.append(condition["down"]) or draw(n, condition, **rest)
    data = dataset(spec, (60, 10, 40))
    measures = sim.evaluate(model, data)
    means = data.test.x.reshape(40, 1, 2, 2, 2, 2).mean((3, 5))
    assert any(np.array_equal(each.numpy(), np.floor(means + 0.5)) for each in seen)  # others are of controls
    assert measures["frechet_distance"].n == 40


def test_samples_are_drawn_in_blocks_of_their_own_noise(monkeypatch):
    """And the mapping holds them, each with its nearest training item."""
    monkeypatch.setattr(subject, "DRAWN_AT_ONCE", 16)
    spec, sizes = SPECS["grey-labelled"], []
    model = small_model(registry.find("vae"), spec)
    draw = model.sample
    model.sample = lambda n, condition, **rest: sizes.append(n) or draw(n, condition, **rest)
    data = dataset(spec, (60, 10, 40))
    found = sim.evaluate(model, data)
    assert sizes == [16, 16, 8]
    assert found.samples.shape == (40, 1, 8, 8)
    assert found.neighbours.index.shape == (40,)
    shorter = sim.evaluate(model, replace(data, test=data.test.rows(slice(32))))
    np.testing.assert_array_equal(shorter.samples, found.samples[:32])
    encoder = small_model(registry.find("autoencoder"), SPECS["grey"])
    assert sim.evaluate(encoder, dataset(SPECS["grey"])).samples is None


def sorted_by_label(data: Dataset) -> Dataset:
    parts = (split.rows(np.argsort(split.condition["label"], kind="stable")) for split in data.splits)
    train, valid, test = parts
    return replace(data, train=train, valid=valid, test=test)


def test_a_sorted_split_gives_what_a_shuffled_one_does(monkeypatch, digits):
    """The first 120 of 359 sorted digits are 0, 1, 2 and 3 alone, from which real items would seem far away."""
    monkeypatch.setattr(subject, "LARGEST", 120)
    spec = digits.spec.conditioned_on(())
    real = np.random.default_rng(0).permutation(digits.valid.x)[:120]
    model = randomise(small_model(registry.find("gated-pixelcnn"), spec)).eval()
    figures = {}
    for name, data in (("shuffled", digits), ("sorted", sorted_by_label(digits))):
        found = sim.evaluate(Replay(spec, real), data, quick=True)
        assert "120 of 359 test items, drawn by seed 0" in found["frechet_distance"].protocol
        assert found["frechet_distance"].n == 120
        figures[name] = found["frechet_distance"], sim.score(model, data, limit=120)
    (shuffled, score), (ordered, other) = figures["shuffled"], figures["sorted"]
    assert ordered.low < shuffled.value < ordered.high
    assert ordered.value < 1.5 * ordered.floor
    assert abs(score.nats - other.nats) < 3 * np.hypot(score.standard_error, other.standard_error)
    assert len(np.unique(sorted_by_label(digits).test.condition["label"][other.index])) == 10


# Metrics from outside


@pytest.fixture
def registering(monkeypatch):
    """What is registered in a test is gone after it."""
    monkeypatch.setattr(table, "_metrics", dict(table._metrics))


def test_a_metric_from_outside_stands_among_the_others(registering):
    @metric(needs=(Sampler,))
    def brightness(subject: Subject) -> Measure:
        means = subject.samples.reshape(len(subject.samples), -1).mean(1)
        half = 1.96 * float(means.std()) / len(means) ** 0.5
        value, floor = float(means.mean()), float(subject.held_out.mean())
        return Measure(value, value - half, value + half, floor, len(means), "estimate", "mean level of the samples")

    @metric(needs=(Sampler, Density | Bound), name="two-figures")
    def several(subject: Subject) -> dict[str, Measure]:
        return {name: Measure(0, 0, 0, None, subject.score.n, "exact", name) for name in ("a", "b")}

    @metric(needs=(Classifier,))
    def of_classifiers(subject: Subject) -> Measure:
        raise AssertionError("the model is none")

    @metric(labels=True)
    def of_labels(subject: Subject) -> Measure:
        return Measure(len(subject.labels), 0, 0, None, 1, "exact", ", ".join(subject.labels))

    @metric(packages=("no_such_package",), install="pip install it")
    def of_a_package(subject: Subject) -> Measure:
        raise AssertionError("it is not installed")

    _, found = measured("gated-pixelcnn", "grey")
    assert found["brightness"].value == pytest.approx(found.samples.mean())
    assert found["brightness"].floor == pytest.approx(dataset(SPECS["grey"], (60, 10, 40)).test.x.mean())
    assert {"a", "b"} < found.keys()
    assert not {"of_classifiers", "of_labels", "of_a_package"} & found.keys()
    assert found.left_out == {"of_a_package": "it needs no_such_package: pip install it"}
    _, gan = measured("dcgan", "grey")
    assert "brightness" in gan
    assert "a" not in gan
    unconditional = small_model(registry.find("dcgan"), SPECS["grey"])
    assert sim.evaluate(unconditional, dataset(SPECS["grey-labelled"]))["of_labels"].protocol.startswith("label;")


def test_what_is_shared_is_computed_once(registering):
    taken = []

    @metric(needs=(Sampler,))
    def first(subject: Subject) -> Measure:
        taken.append(subject.samples)
        return Measure(0, 0, 0, None, 1, "exact", "")

    @metric(needs=(Sampler,))
    def second(subject: Subject) -> Measure:
        return first(subject)

    _, found = measured("dcgan", "grey")
    assert taken[0] is taken[1] is found.samples


def test_two_of_one_name_are_refused(registering):
    with pytest.raises(ValueError, match="two metrics are called 'near_copies'"):
        metric(name="near_copies")(lambda subject: Measure(0, 0, 0, None, 1, "exact", ""))

    @metric()
    def mine(subject: Subject) -> dict[str, Measure]:
        return {"near_copies": Measure(0, 0, 0, None, 1, "exact", "")}

    with pytest.raises(UsageError, match="'mine' gives 'near_copies', which another metric gives too"):
        measured("dcgan", "grey")


def test_a_subject_says_what_the_model_lacks():
    encoder = Subject(small_model(registry.find("autoencoder"), SPECS["grey"]), dataset(SPECS["grey"]))
    with pytest.raises(NotSupported, match="autoencoder cannot sample"):
        _ = encoder.samples
    with pytest.raises(NotSupported, match="dcgan has no encoder"):
        _ = Subject(small_model(registry.find("dcgan"), SPECS["grey"]), dataset(SPECS["grey-labelled"])).codes


def test_other_data_are_refused():
    model = small_model(registry.find("dcgan"), SPECS["grey"])
    with pytest.raises(UsageError, match=r"the model is for 1×8×8, 17 levels, but made-up is 1×8×8, 2 levels"):
        sim.evaluate(model, dataset(SPECS["binary"]))


@pytest.mark.parametrize("name", ["made", "dcgan"])
@pytest.mark.parametrize("n", [1, 3])
def test_what_so_few_items_cannot_show_is_left_out_and_says_so(name, n):
    found = sim.evaluate(small_model(registry.find(name), SPECS["grey"]), dataset(SPECS["grey"], (16, 4, n)))
    assert found.left_out["fidelity"] == f"it needs 4 items, and the split test has {n}"
    assert "frechet_distance" not in found
    assert "near_copies" in found
