"""A score is nats of held-out items, in full, exact or said to be a bound, and never of something else."""

import math

import numpy as np
import pytest
import torch
from small import SPECS, dataset, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import DataSpec
from simulacra.errors import NotSupported, UsageError
from simulacra.evaluation import likelihood, score_items
from simulacra.evaluation.estimators import choose
from simulacra.fields import Levels


def exact(name="grey"):
    return randomise(small_model(registry.find("gated-pixelcnn"), SPECS[name])).eval()


def bounded(name="grey"):
    return randomise(small_model(registry.find("vae"), SPECS[name]), 0.2).eval()


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_uniform_model_scores_the_logarithm_of_the_levels(levels):
    """All weights zero: every level is as probable as the next, so log2(levels) bits, to the last digit."""
    spec = DataSpec(Levels((1, 5, 4), levels))
    model = small_model(registry.find("gated-pixelcnn"), spec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    result = sim.score(model, dataset(spec))
    assert result.bits_per_dim == pytest.approx(math.log2(levels), abs=1e-5)
    assert result.nats == pytest.approx(20 * math.log(levels), rel=1e-6)
    assert result.standard_error == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["grey", "colour", "binary-labelled"])
def test_bits_per_dimension_are_nats_over_dims_ln_2(name):
    data, model = dataset(SPECS[name]), exact(name)
    result = sim.score(model, data)
    assert result.bits_per_dim == pytest.approx(result.nats / (SPECS[name].dims * math.log(2)), rel=1e-12)
    nats = score_items(model, data.test)
    assert nats.dtype == np.float64
    assert result.nats == pytest.approx(nats.mean(), rel=1e-12)
    assert result.standard_error == pytest.approx(nats.std(ddof=1) / math.sqrt(len(nats)), rel=1e-12)
    assert (result.model, result.data, result.split, result.n) == ("gated-pixelcnn", "made-up", "test", 12)
    assert (result.kind, result.samples) == ("exact", None)


@pytest.mark.parametrize("block", [1, 5, 7, 12, 100])
@pytest.mark.parametrize("name", ["grey", "grey-labelled"])
def test_a_ragged_last_block_counts_like_the_others(monkeypatch, block, name):
    data, model = dataset(SPECS[name]), exact(name)
    whole = score_items(model, data.test)
    assert len(whole) == 12
    monkeypatch.setattr(likelihood, "BLOCK", block)
    np.testing.assert_allclose(score_items(model, data.test), whole, rtol=1e-5)


@pytest.mark.parametrize("samples", [1, 5])
def test_the_noise_of_a_block_is_its_own(samples):
    """Items further on change no bound, nor does the order of the blocks: they may be spread over processes."""
    data, model = dataset(SPECS["grey-labelled"], (5, 5, 200)), bounded("grey-labelled")
    whole = score_items(model, data.test, samples, seed=3)
    np.testing.assert_array_equal(score_items(model, data.test.rows(slice(128)), samples, seed=3), whole[:128])
    how, parts = choose(samples=samples), np.split(np.arange(200), (64, 128, 192))
    blocks = {block: likelihood._of_block(model, data.test, how, parts[block], 3, block) for block in (3, 1, 0, 2)}
    np.testing.assert_array_equal(np.concatenate([-blocks[block].log_prob.numpy() for block in range(4)]), whole)
    same = data.test.rows(np.arange(200) % 64)
    first, second = score_items(model, same, samples, seed=3)[:128].reshape(2, 64)
    assert (first != second).all()  # the same items in another block have other noise


def test_splits_and_limits_are_what_they_say():
    data, model = dataset(SPECS["grey"]), exact()
    assert [sim.score(model, data, split).n for split in ("train", "valid", "test")] == [40, 10, 12]
    whole, some = sim.score(model, data), sim.score(model, data, limit=5)
    assert (whole.index == np.arange(12)).all()
    assert (len(some.index), some.n) == (5, 5)
    assert (np.diff(some.index) > 0).all()
    np.testing.assert_allclose(some.per_item, whole.per_item[some.index], rtol=1e-5)
    np.testing.assert_array_equal(score_items(model, data.test, limit=5), some.per_item)
    assert sim.score(model, data, limit=5, seed=1).index.tolist() != some.index.tolist()
    assert sim.score(model, data, limit=100) == whole
    with pytest.raises(UsageError, match="at least one item is needed, not 0"):
        sim.score(model, data, limit=0)
    with pytest.raises(UsageError, match=r"no split 'tset'. Did you mean 'test'"):
        sim.score(model, data, "tset")


def test_a_derived_condition_is_that_of_the_item_whichever_are_drawn():
    """What is random in a derivation follows from the number of the item in its split, not its place in a batch."""
    spec = SPECS["grey"].conditioned_on(("mask:kind=random",))
    model = randomise(small_model(registry.find("gated-pixelcnn"), spec)).eval()
    data = dataset(SPECS["grey"], (5, 5, 100))
    whole, some = sim.score(model, data), sim.score(model, data, limit=20)
    np.testing.assert_allclose(some.per_item, whole.per_item[some.index], rtol=1e-5)


def test_a_bound_is_called_one_and_tightens_with_draws():
    """And it repeats with its seed."""
    data, model = dataset(SPECS["grey"], (5, 5, 200)), bounded()
    plain, weighted = sim.score(model, data), sim.score(model, data, samples=50)
    assert (plain.kind, plain.samples, weighted.samples) == ("bound", 1, 50)
    assert weighted.nats < plain.nats
    assert sim.score(model, data) == plain
    assert sim.score(model, data, seed=1).nats != plain.nats


def test_scoring_does_not_change_the_model_and_needs_no_gradient():
    model = bounded()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    score_items(model, dataset(SPECS["grey"]).test)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_in_training_mode_is_scored_without_dropout():
    """Dropout in a score is a wrong score."""
    data, model = dataset(SPECS["grey"]), exact()
    expected = sim.score(model, data).nats
    assert sim.score(model.train(), data).nats == pytest.approx(expected, rel=1e-6)


def test_a_gan_has_no_score_and_the_message_says_what_to_do():
    model = small_model(registry.find("dcgan"), SPECS["grey"])
    with pytest.raises(NotSupported, match=r"dcgan assigns no probability.*critic.*simulacra evaluate.*gated-pixelcnn"):
        sim.score(model, dataset(SPECS["grey"]))


@pytest.mark.parametrize(
    "other",
    [
        DataSpec(Levels((1, 8, 9), 17)),
        DataSpec(Levels((64,), 17)),
        DataSpec(Levels((1, 8, 8), 256)),
        DataSpec(Levels((1, 8, 8), 2)),
    ],
    ids=lambda spec: spec.describe(),
)
@pytest.mark.parametrize("make", [exact, bounded])
def test_data_of_another_shape_or_grid_are_refused(make, other):
    """Fewer levels too: dark pictures on another grid would get a number that compares with nothing."""
    with pytest.raises(UsageError, match=r"the model is for"):
        sim.score(make(), dataset(other))


def test_continuous_data_are_refused_by_a_model_of_levels():
    model = small_model(registry.find("vae"), DataSpec(Levels((2,), 17)))
    with pytest.raises(UsageError, match=r"the model is for"):
        sim.score(model, dataset(SPECS["continuous"]))


def test_a_conditional_model_needs_labels_that_it_knows():
    with pytest.raises(UsageError, match=r"no field 'label'"):
        sim.score(exact("grey-labelled"), dataset(SPECS["grey"]))
    many = dataset(DataSpec(Levels((1, 8, 8), 17), labels(5)))
    with pytest.raises(UsageError, match=r"the model knows 3 classes of 'label', and these data have the value 3"):
        sim.score(exact("grey-labelled"), many)


def test_no_draws_are_no_bound():
    with pytest.raises(UsageError, match=r"samples >= 1"):
        sim.score(bounded(), dataset(SPECS["grey"]), samples=0)


def test_the_json_of_a_score_holds_no_items():
    scored = sim.score(bounded(), dataset(SPECS["grey"]))
    assert list(scored.to_json()) == [
        "model", "data", "split", "n", "kind", "measure", "nats", "bits_per_dim", "standard_error", "samples",
        "estimator", "monte_carlo_error", "effective_sample_size", "warning",
    ]  # fmt: skip
    assert scored.per_item.mean() == scored.nats
