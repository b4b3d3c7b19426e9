"""Learning from few labels: hidden ones stay hidden, methods share the draws, and figures are what they say."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from small import SPECS, dataset, same, saved_weights, small_model, weights

import simulacra as sim
from simulacra import registry
from simulacra.condition import Condition
from simulacra.data.hidden import HIDDEN, hide_labels, labelled_items
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation.logistic import logistic_regression
from simulacra.evaluation.mistakes import mistakes
from simulacra.networks import Dense
from simulacra.studies import few_labels
from simulacra.studies.few_labels import METHODS
from simulacra.studies.supervised import Supervised
from simulacra.training.batches import Batches
from simulacra.training.runtime import Runtime
from simulacra.turns import Turn

SPEC = SPECS["grey-labelled"]
TINY = {"latent": 3, "network": "dense:hidden=8", "batch": 8}


def here(rank: int = 0, world: int = 1) -> Runtime:
    return Runtime(torch.device("cpu"), bf16=False, rank=rank, world=world)


# Training with few labels


@pytest.mark.parametrize(("batch", "world"), [(8, 1), (9, 1), (8, 2), (12, 3)])
def test_half_of_every_draw_and_of_every_share_has_labels(batch, world):
    data = hide_labels(dataset(SPEC, (31, 1, 1)), "label", 5, 0)
    labelled, seen = data.train.field("label") != HIDDEN, []
    for draw in range(20):
        for rank in range(world):
            made = Batches(data.train, SPEC, batch, 0, here(rank, world))
            own = labelled[made.indices(draw)[made.share]]
            assert abs(2 * own.sum() - len(own)) <= 1
            x, condition = made[draw]
            assert (condition["label"] >= 0).tolist() == own.tolist()
            assert len(x) == len(own)
        seen.append(made.indices(draw))
    times = np.bincount(np.concatenate(seen), minlength=31)
    for part in (labelled, ~labelled):
        assert times[part].max() - times[part].min() <= 1  # in epochs of their own, of which nothing is dropped


def fit(out, name="m2", data=None, **options):
    return sim.fit(name, data or dataset(SPEC), out, condition="label", **(TINY | {"steps": 4} | options))


def test_a_run_with_few_labels_says_so_and_continues_bitwise(tmp_path):
    fit(tmp_path / "one", labels=6, steps=8)
    fit(tmp_path / "two", labels=6)
    fit(tmp_path / "two", labels=6, steps=8)
    assert same(saved_weights(tmp_path / "one"), saved_weights(tmp_path / "two"))
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["data"]["labels"] == 6
    assert "6 of them with their label" in (tmp_path / "one" / "model" / "card.md").read_text()
    for other in (7, None):
        with pytest.raises(UsageError, match=rf"data.labels \(6 there, {other} now\)"):
            fit(tmp_path / "one", labels=other)
    assert sim.score(sim.load(tmp_path / "one"), dataset(SPEC)).kind == "bound"


def test_models_and_numbers_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match=r"vae does not learn from unlabelled items.*fit m2 "):
        fit(tmp_path / "run", "vae", labels=6)
    with pytest.raises(UsageError, match="cannot keep 41 labels"):
        fit(tmp_path / "run", labels=41)
    with pytest.raises(UsageError, match="a batch of 1 is too small"):
        fit(tmp_path / "run", labels=6, batch=1)
    assert not (tmp_path / "run").exists()


def test_verbs_refuse_a_label_that_is_hidden():
    data, m2 = hide_labels(dataset(SPEC), "label", 6, 0), small_model(registry.find("m2"), SPEC)
    for verb in (sim.encode, sim.health):
        with pytest.raises(UsageError, match="label -1 does not exist"):
            verb(m2, data, "valid")
    with pytest.raises(UsageError, match="label -1 does not exist"):
        sim.score(small_model(registry.find("vae"), SPEC), data, "valid")


# What the verb is made of


def test_logistic_regression_is_that_of_scikit_learn():
    x, y = torch.randn(90, 4, dtype=torch.float64), torch.arange(90) % 3
    x[:, 0] += y
    plane = logistic_regression(x, y, 3, penalty=0.5)
    reference = LogisticRegression(C=2.0, tol=1e-10, max_iter=5000).fit(x.numpy(), y.numpy())
    ours = plane(x).softmax(1).numpy()
    np.testing.assert_allclose(ours, reference.predict_proba(x.numpy()), atol=1e-4)


def test_features_that_lie_apart_are_told_apart_without_end():
    """The penalty keeps the weights finite."""
    plane = logistic_regression(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2)
    assert torch.isfinite(plane.weight).all()
    assert plane(torch.tensor([[-2.0], [2.0]]).double()).argmax(1).tolist() == [0, 1]


def test_a_supervised_classifier_trains_its_encoder_too():
    vae = small_model(registry.find("vae"), SPECS["grey"])
    model, data = Supervised(SPEC, vae), dataset(SPEC)
    (phase,) = model.phases()
    x, y = torch.from_numpy(data.train.x), torch.from_numpy(data.train.field("label"))
    phase.loss(Turn(x, Condition({"label": y})))["cross-entropy"].backward()
    assert vae.encoder.body.first.weight.grad.abs().sum() > 0
    guess = model.eval().log_class_probs(torch.from_numpy(data.test.x)).argmax(1).numpy()
    assert (mistakes(model, data.test) == (guess != data.test.field("label"))).all()


# The verb


@pytest.fixture(scope="module")
def vae(tmp_path_factory, own_cache):
    folder = tmp_path_factory.mktemp("m1") / "run"
    return sim.fit(
        "vae", "digits", folder, steps=60, network="dense:hidden=32,dropout=0.1", latent=8, likelihood="categorical"
    )


def test_every_method_on_the_same_draws(vae, digits, monkeypatch):
    monkeypatch.setitem(few_labels.M2, "network", Dense(hidden=16))
    before, used = weights(vae), []
    monkeypatch.setattr(few_labels, "_few", lambda *given, few=few_labels._few: used.append(few(*given)) or used[-1])
    found = sim.finetune(vae, digits, labels=(20, 40), draws=2, steps=4)
    assert [(row.labels, row.method) for row in found.results] == [(n, m) for n in (20, 40) for m in METHODS]
    assert same(weights(vae), before)
    for row in found.results:
        assert len(row.errors) == 2
        assert row.error == pytest.approx(np.mean(row.errors))
        assert row.standard_deviation == pytest.approx(np.std(row.errors, ddof=1))
        assert all(
            0 <= error <= 100 and (error * found.n / 100) == pytest.approx(round(error * found.n / 100))
            for error in row.errors
        )
    kept = [set(indices) for indices, _ in used]
    assert kept[0] == kept[2] == kept[4]  # the first draw of 20 labels: probe, finetune, scratch
    assert kept[0] != kept[1]
    assert kept[0] < kept[6]  # of 40
    assert kept[1] == set(labelled_items(digits.train.field("label"), 10, 20, seed=1))
    again = sim.finetune(vae, digits, 20, 2, ["m1+m2", "probe"], steps=4)
    assert [row.errors for row in again.results] == [found.results[4].errors, found.results[0].errors]


def test_what_picks_a_model_knows_no_label_of_the_validation_split(tmp_path):
    """Every validation is a figure, and it is the same one when these labels are others."""
    data = dataset(SPEC)
    wrong = replace(data.valid, condition={"label": (data.valid.field("label") + 1) % 3})
    fit(tmp_path / "one", labels=6, every=2)
    fit(tmp_path / "other", data=replace(data, valid=wrong), labels=6, every=2)
    one, other = (valid_curve(tmp_path / name) for name in ("one", "other"))
    assert one == other
    assert [step for step, _ in one] == [2, 4]
    assert all(math.isfinite(figure) for _, figure in one)


def valid_curve(run):
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(each["step"], each["valid_bits_per_dim"]) for each in entries if "valid_bits_per_dim" in each]


def test_codes_are_worth_something_and_one_draw_has_no_spread(vae, digits):
    (row,) = sim.finetune(vae, digits, labels=100, draws=1, methods=["probe"]).results
    assert row.error < 60  # of ten classes, chance: 90
    assert math.isnan(row.standard_deviation)
    assert row.steps == 0


def test_labels_of_other_training_items_and_of_the_validation_split_change_nothing(vae, digits):
    few = hide_labels(digits, "label", 30, seed=0)
    labelled = few.train.field("label") != HIDDEN
    encoded = few_labels.Encoded(vae, few, "label", here())
    task = few_labels.FewLabelTask(few, 0, 3, lambda share: None)
    assert labelled.sum() == 30
    for name, method in METHODS.items():
        blind = method.learn(encoded, task)
        seeing = method.learn(few_labels.Encoded(vae, digits, "label", here()), task)
        assert (blind == seeing).all(), name


def test_refusals(vae, digits, tmp_path):
    def refused(message, model=vae, data=digits, error=UsageError, **arguments):
        with pytest.raises(error, match=message):
            sim.finetune(model, data, **({"labels": 20, "draws": 1, "steps": 2} | arguments))

    refused(r"cannot keep 5,000 labels: there are 1,\d\d\d training items", labels=(20, 5000))
    refused("cannot keep 3 labels", labels=3)
    refused("draws >= 1", draws=0)
    refused("'prob'.*Did you mean 'probe'", methods=["prob"])
    refused("no field 'colour'", field="colour")
    refused("They have no labels", data=dataset(vae.spec))
    refused("1×8×8", data=dataset(SPECS["colour-labelled"]))
    refused("gated-pixelcnn has no encoder", small_model(registry.find("gated-pixelcnn"), vae.spec), error=NotSupported)
    labelled = small_model(registry.find("vae"), digits.spec.conditioned_on("label"))
    refused("is conditioned on label", labelled, error=NotSupported)
    coins = registry.build("vae", vae.spec, prior="bernoulli", latent=3, network="dense:hidden=8")
    refused("m1.m2 learns densities of codes, and those of this vae are discrete", coins, methods=["m1+m2"])
    allowed = sim.finetune(coins, digits, 20, 1, steps=2)
    assert [row.method for row in allowed.results] == ["probe", "finetune", "scratch", "m2"]
