"""Bayes' rule, against tables by hand; what is refused is the share that was set."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from small import SPECS, all_items, dataset, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import Card, ClassLabel, Dataset, DataSpec, Split
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.classify import bayes, log_evidence, log_likelihoods, thresholds
from simulacra.fields import Levels, Real
from simulacra.randomness import some_of

TINY = DataSpec(Levels((1, 2, 2), 2), labels(3))


def model(spec=TINY, name="gated-pixelcnn", scale=0.6):
    return randomise(small_model(registry.find(name), spec), scale).eval()


def table_of(made) -> np.ndarray:
    """p(x | y) of all 16 items, (16, 3)"""
    x = all_items(TINY)
    return np.stack([made.log_prob(x, {"label": y}).double().exp().detach().numpy() for y in range(3)], axis=1)


def places(x: np.ndarray) -> np.ndarray:
    """The rows of items in `all_items`."""
    return x.reshape(len(x), 4) @ np.array([8, 4, 2, 1])


def unequal(counts: tuple[int, ...]) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def with_train_labels(data: Dataset, label: np.ndarray) -> Dataset:
    train = Split(data.train.x, {"label": label}, "train")
    return Dataset(data.name, data.spec, train, data.valid, data.test, data.card, data.fingerprint)


@pytest.mark.parametrize("prior", ["uniform", "train"])
def test_it_is_bayes_rule_on_the_enumerated_table(prior):
    made, data = model(), with_train_labels(dataset(TINY, (40, 200, 60)), unequal((25, 10, 5)))
    table = table_of(made)
    assert table.sum(0) == pytest.approx(np.ones(3), abs=1e-5)
    p_y = {"uniform": np.ones(3) / 3, "train": np.array([25, 10, 5]) / 40}[prior]
    joint = table * p_y
    p_x = joint.sum(1)
    here, label = places(data.test.x), data.test.condition["label"]

    found = sim.classify(made, data, prior=prior, reject=0.0)
    judged = found.judgement
    np.testing.assert_allclose(np.exp(judged.log_posterior), (joint / p_x[:, None])[here], rtol=1e-4)
    np.testing.assert_allclose(np.exp(judged.log_evidence), p_x[here], rtol=1e-4)
    right = joint.argmax(1)[here] == label
    assert found.accuracy == right.mean()
    assert found.standard_error == pytest.approx(math.sqrt(right.mean() * (1 - right.mean()) / 60))
    assert found.cross_entropy == pytest.approx(-np.log((joint / p_x[:, None])[here, label]).mean(), rel=1e-4)
    assert (found.refused, found.accuracy_accepted, found.n) == (0.0, found.accuracy, 60)


def test_far_from_zero_nothing_is_lost():
    """Items of thousands of nats: the masses themselves are 0 in any precision, their ratios are not."""
    log_posterior, log_p = bayes(np.array([[-9000.0, -9001.0]]), np.log([0.5, 0.5]))
    odds = 1 / (1 + math.exp(-1))
    assert np.exp(log_posterior[0]) == pytest.approx([odds, 1 - odds])
    assert log_p[0] == pytest.approx(-9000 + math.log(0.5) + math.log1p(math.exp(-1)))


def test_a_class_that_never_occurs_is_never_chosen():
    made, data = model(), with_train_labels(dataset(TINY), unequal((30, 0, 10)))
    judged = sim.classify(made, data, prior="train", reject=0.0).judgement
    assert (judged.log_posterior[:, 1] == -math.inf).all()
    assert np.exp(judged.log_posterior).sum(1) == pytest.approx(np.ones(12))


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_change_nothing(monkeypatch, batch):
    made, data = model(SPECS["grey-labelled"], scale=0.3), dataset(SPECS["grey-labelled"])
    whole = log_likelihoods(made, data.test)
    assert whole.shape == (12, 3)
    monkeypatch.setitem(log_likelihoods.__globals__, "BATCH", batch)
    np.testing.assert_allclose(log_likelihoods(made, data.test), whole, rtol=1e-5)


def test_the_evidence_of_an_unconditional_model_is_its_likelihood():
    made, data = model(SPECS["grey"], scale=0.3), dataset(SPECS["grey"])
    np.testing.assert_allclose(log_evidence(made, data.test), -sim.score_items(made, data.test), rtol=1e-6)
    conditional, labelled = model(), dataset(TINY)
    p_x = table_of(conditional).mean(1)[places(labelled.test.x)]
    np.testing.assert_allclose(np.exp(log_evidence(conditional, labelled.test)), p_x, rtol=1e-4)


# Refusing items


LARGE = dataset(SPECS["grey-labelled"], (40, 200, 100))


@pytest.mark.parametrize("reject", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("two_sided", [False, True])
def test_the_share_that_was_set_is_refused_on_the_validation_split(reject, two_sided):
    made = model(SPECS["grey-labelled"], scale=0.3)
    found = sim.classify(made, LARGE, "valid", reject=reject, two_sided=two_sided)
    judged = found.judgement
    assert found.refused == pytest.approx(reject, abs=1e-9)
    below = (judged.log_evidence < found.low).mean()
    above = (judged.log_evidence > found.high).mean()
    assert (below, above) == pytest.approx((reject / 2, reject / 2) if two_sided else (reject, 0), abs=1e-9)
    assert (found.high == math.inf) != two_sided


def test_of_fresh_items_the_share_that_was_set_is_refused():
    """On average over validation splits, by log p(x) of 199 items each; their own quantile refuses 6 %."""
    nats = np.random.default_rng(0).normal(size=(3000, 199))
    for two_sided in (False, True):
        refused = []
        for row in nats:
            low, high = thresholds(row, 0.05, two_sided)
            refused.append(stats.norm.cdf(low) + stats.norm.sf(high))
        assert np.mean(refused) == pytest.approx(0.05, abs=3 * np.std(refused) / 3000**0.5)


def test_accuracy_among_the_accepted_is_that_of_those_who_stay():
    made = model(SPECS["grey-labelled"], scale=0.3)
    found = sim.classify(made, LARGE, reject=0.3)
    judged = found.judgement
    right = judged.log_posterior.argmax(1) == LARGE.test.condition["label"]
    assert 0 < found.refused < 1
    assert found.accuracy_accepted == right[~judged.refused].mean()


def test_foreign_items_are_judged_by_the_same_threshold():
    made = model(SPECS["grey-labelled"], scale=0.3)
    spec = DataSpec(Levels((1, 8, 8), 17))
    few, many = dataset(spec, (5, 2, 2), "few", seed=5), dataset(spec, (300, 5, 5), "many", seed=6)
    found = sim.classify(made, LARGE, reject=0.3, foreign=[few, many])
    assert [(other.name, other.n) for other in found.foreign] == [("few", 9), ("many", 100)]
    for other, data in zip(found.foreign, (few, many), strict=True):
        drawn = some_of(len(data.train), other.n - len(data.test) - len(data.valid), 0, "foreign")
        x = np.concatenate([data.test.x, data.valid.x, data.train.x[drawn]])
        nats = log_evidence(made, Split(x, {}, "all"))
        assert other.refused == (nats < found.low).mean()


def test_plain_images_are_too_probable_for_one_side_and_refused_by_two():
    """A model of what is mostly dark and noisy gives a wholly dark image more than any real one."""
    spec = DataSpec(Levels((1, 6, 6), 2), labels(2))
    made = small_model(registry.find("gated-pixelcnn"), spec)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.network.last.bias.fill_(-1.5)  # p(1) = 0.18 everywhere
    assert sim.sample(made, 200).mean() == pytest.approx(0.18, abs=0.02)
    x = sim.sample(made, 600).reshape(3, 200, 1, 6, 6)
    splits = {
        name: Split(x[i], {"label": np.arange(200) % 2}, name) for i, name in enumerate(("train", "valid", "test"))
    }
    data = Dataset("noise", spec, **splits, card=Card("noise", "a test", "none"), fingerprint="noise")
    dark = Split(np.zeros((3, 1, 6, 6), np.uint8), {}, "train")
    plain = Dataset("dark", DataSpec(Levels((1, 6, 6), 2)), dark, dark, dark, data.card, "dark")
    assert sim.classify(made, data, reject=0.05, foreign=[plain]).foreign[0].refused == 0
    assert sim.classify(made, data, reject=0.05, two_sided=True, foreign=[plain]).foreign[0].refused == 1


def test_a_limit_draws_its_items_from_the_whole_split():
    """And from the whole of the validation split; what is judged of an item does not depend on the others."""
    made = model(SPECS["grey-labelled"], scale=0.3)
    whole, some = sim.classify(made, LARGE, reject=0.1), sim.classify(made, LARGE, reject=0.1, limit=30)
    index = some.judgement.index
    assert (some.n, len(index)) == (30, 30)
    assert (np.diff(index) > 0).all()
    assert index[-1] >= 30
    np.testing.assert_allclose(some.judgement.log_evidence, whole.judgement.log_evidence[index], rtol=1e-5)
    right = some.judgement.log_posterior.argmax(1) == LARGE.test.condition["label"][index]
    assert some.accuracy == right.mean()
    again = sim.classify(made, LARGE, reject=0.1, limit=30, seed=1).judgement.index
    assert again.tolist() != index.tolist()


def test_the_json_of_a_classification_holds_no_items():
    found = sim.classify(model(), dataset(TINY, (40, 200, 60)), foreign=[dataset(TINY)], reject=0.1)
    assert list(found.to_json()) == [
        "model", "data", "split", "n", "accuracy", "standard_error", "accuracy_low", "accuracy_high",
        "cross_entropy", "prior", "reject", "two_sided",
        "low", "high", "refused", "accuracy_accepted", "foreign",
    ]  # fmt: skip
    assert list(found.to_json()["foreign"][0]) == ["name", "n", "refused"]


# Refusing calls


def test_models_that_cannot_classify():
    with pytest.raises(NotSupported, match=r"gated-pixelcnn is conditioned on nothing.*--condition label"):
        sim.classify(model(SPECS["grey"]), dataset(SPECS["grey-labelled"]))
    with pytest.raises(NotSupported, match=r"vae has no exact likelihood.*gated-pixelcnn"):
        sim.classify(model(SPECS["grey-labelled"], "vae"), dataset(SPECS["grey-labelled"]))
    with pytest.raises(NotSupported, match="dcgan has no exact likelihood"):
        sim.classify(model(SPECS["grey-labelled"], "dcgan"), dataset(SPECS["grey-labelled"]))
    two = DataSpec(Levels((1, 4, 4), 2), {"label": ClassLabel(2), "place": ClassLabel(3)})
    with pytest.raises(NotSupported, match=r"conditioned on label, place, and Bayes' rule needs p\(x | class\)"):
        sim.classify(model(two), dataset(two))
    picture = two.conditioned_on(("label", "down:factor=2"))
    with pytest.raises(NotSupported, match=r"conditioned on label, down, and Bayes.*--condition label or place$"):
        sim.classify(model(picture), dataset(two))


def test_advice_for_a_table_names_its_field_and_a_model_that_takes_it():
    table = DataSpec(Real((3,)), {"species": ClassLabel(3)})
    with pytest.raises(NotSupported, match=r"rnade is conditioned on nothing.*fit it with --condition species$"):
        sim.classify(model(table.conditioned_on(()), "rnade"), dataset(table))
    with pytest.raises(NotSupported, match=r"vae has no exact.*; fit rnade, which has one, with --condition species$"):
        sim.classify(model(table.conditioned_on(()), "vae"), dataset(table))
    grid = DataSpec(Levels((5,), 4), {"species": ClassLabel(3)})
    with pytest.raises(NotSupported, match=r"; fit made, which has one, with --condition species$"):
        sim.classify(model(grid.conditioned_on(()), "vae"), dataset(grid))
    bare = table.conditioned_on(())
    with pytest.raises(NotSupported, match="on data that have a field of classes"):
        sim.classify(model(bare, "rnade"), dataset(bare))
    with pytest.raises(NotSupported, match=r"fit rnade \(exact\) or vae"):
        sim.score(model(bare, "autoencoder"), dataset(bare))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"prior": "flat"}, "no prior 'flat': use uniform or train"),
        ({"reject": 1.0}, "0 <= reject < 1"),
        ({"reject": -0.1}, "0 <= reject < 1"),
        ({"limit": 0}, "limit >= 1"),
        ({"reject": 0.001}, r"200 validation items are too few.*reject >= 0.005"),
        ({"reject": 0.008, "two_sided": True}, r"reject >= 0.01"),
        ({"limit": 20, "reject": 0.01}, r"20 validation items are too few.*reject >= 0.048"),
        ({"reject": 0.0, "foreign": [LARGE]}, "reject = 0 refuses nothing"),
        ({"foreign": [dataset(SPECS["binary"])]}, "the model is for 1×8×8, 17 levels.*made-up is 1×8×8, 2 levels"),
        ({"data": dataset(SPECS["grey"])}, "no field 'label'"),
        (
            {"data": dataset(DataSpec(Levels((1, 8, 8), 17), labels(5)), (40, 200, 12))},
            "knows 3 classes.*has one numbered 4",
        ),
    ],
)
def test_a_wrong_call_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        sim.classify(model(SPECS["grey-labelled"], scale=0.3), **({"data": LARGE} | wrong))


@pytest.mark.parametrize("two_sided", [False, True])
def test_nothing_is_refused_by_default_where_too_few_items_show_what_to_refuse(two_sided):
    made, few = model(SPECS["grey-labelled"], scale=0.3), dataset(SPECS["grey-labelled"], (40, 20, 12))
    found = sim.classify(made, few, two_sided=two_sided)
    assert (found.reject, found.refused) == (0.0, 0.0)
    assert sim.classify(made, LARGE, two_sided=two_sided).reject == (0.01 if len(LARGE.valid) >= 199 else 0.0)
    with pytest.raises(UsageError, match="give reject >= 0") as refusal:
        sim.classify(made, few, reject=0.001, two_sided=two_sided)
    share = float(str(refusal.value).split(">= ")[1].split(",")[0])
    assert sim.classify(made, few, reject=share, two_sided=two_sided).reject == share  # the remedy is one
