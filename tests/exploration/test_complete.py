"""Completion keeps what is known, draws the rest from the model's own conditionals, and says what it did not see."""

import math

import numpy as np
import pytest
import torch
from small import SPECS, all_items, condition_of, dataset, items, labels, randomise, small_model

import simulacra as sim
from simulacra import registry
from simulacra.data import DataSpec, Levels
from simulacra.errors import NotSupported, UsageError
from simulacra.exploration import completion_nats, drawing

complete = sim.complete
TINY = DataSpec(Levels((1, 2, 3), 2), labels(2))
SUFFIX = np.array([[[0, 0, 1], [1, 1, 1]]], bool)
MIDDLE = np.array([[[0, 1, 0], [1, 0, 0]]], bool)
MASKS = pytest.mark.parametrize("unknown", [SUFFIX, MIDDLE], ids=["suffix", "middle"])


def model(spec=TINY, scale=0.5):
    return randomise(small_model(registry.find("gated-pixelcnn"), spec), scale).eval()


def factors(made, label: int) -> tuple[np.ndarray, np.ndarray]:
    """All items (64, 6), and p(x_i | x_<i) of each coordinate (64, 6), from the masses of whole items alone."""
    x = all_items(TINY)
    mass = made.log_prob(x, {"label": label}).double().exp().detach().numpy()
    table = x.flatten(1).numpy()
    prefix = np.ones((len(table), 7))
    for i in range(1, 7):
        alike = (table[:, None, :i] == table[None, :, :i]).all(-1)
        prefix[:, i] = alike @ mass
    return table, prefix[:, 1:] / prefix[:, :-1]


@MASKS
def test_completions_follow_the_enumerated_conditionals(unknown):
    made, label, n = model(), 1, 4000
    known = np.array([[[1, 0, 1], [1, 1, 0]]], np.uint8)
    found = complete(made, known[None], unknown, n, condition={"label": label}).completed
    table, conditional = factors(made, label)
    free = unknown.flatten()
    possible = (table[:, ~free] == known.flatten()[~free]).all(1)
    expected = n * conditional[:, free].prod(1)[possible]
    code = 1 << np.arange(6)
    counts = np.bincount(found.reshape(n, 6) @ code, minlength=64)[table[possible] @ code]
    assert counts.sum() == n
    chi_square = ((counts - expected) ** 2 / expected).sum()
    degrees = possible.sum() - 1
    assert chi_square < degrees + 4 * math.sqrt(2 * degrees)


def test_what_precedes_is_all_that_a_suffix_needs():
    """Where nothing known comes later, the distribution is the true p(unknown | known) of the joint masses."""
    made = model()
    table, conditional = factors(made, 0)
    mass, free = conditional.prod(1), SUFFIX.flatten()
    same = (table[:, None, ~free] == table[None, :, ~free]).all(-1)
    given = torch.zeros(len(table), dtype=torch.long)
    nats = completion_nats(made, all_items(TINY), SUFFIX, {"label": given})
    np.testing.assert_allclose(np.exp(-nats), mass / (same @ mass), rtol=1e-4)


@MASKS
def test_the_nats_are_those_of_the_enumeration(unknown):
    made = model()
    table, conditional = factors(made, 1)
    x = torch.tensor([[[[0, 1, 1], [0, 0, 1]]], [[[1, 1, 0], [1, 0, 0]]]], dtype=torch.uint8)
    found = complete(made, x, unknown, 5, condition={"label": 1})
    place = {tuple(row): i for i, row in enumerate(table.tolist())}
    expected = [
        [-np.log(conditional[place[tuple(item.flatten().tolist())], unknown.flatten()]).sum() for item in row]
        for row in found.completed
    ]
    assert found.nats.shape == (2, 5)
    np.testing.assert_allclose(found.nats, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["grey-labelled", "colour", "vector"])
def test_what_is_known_stays(name):
    spec = SPECS[name]
    entry = registry.find("independent" if name == "vector" else "gated-pixelcnn")
    made, x, given = randomise(small_model(entry, spec)).eval(), items(spec, 5), condition_of(spec, 5)
    unknown = np.random.default_rng(0).random((5, *spec.shape)) < 0.4
    found = complete(made, x, unknown, 3, condition=given).completed
    assert found.shape == (5, 3, *spec.shape)
    assert found.dtype == np.uint8
    kept = np.broadcast_to(~unknown[:, None], found.shape)
    assert (found == x.numpy()[:, None])[kept].all()
    assert (found != x.numpy()[:, None]).any()
    assert (found[:, 0] != found[:, 1]).any()


def test_values_at_unknown_places_do_not_matter():
    made, spec = model(SPECS["grey"]), SPECS["grey"]
    x, other = items(spec, 3), items(spec, 3, seed=1)
    unknown = torch.zeros(spec.shape, dtype=torch.bool)
    unknown[:, 3:6, 2:7] = True
    mixed = torch.where(unknown, other, x)
    assert (complete(made, x, unknown).completed == complete(made, mixed, unknown).completed).all()


def test_samplers_change_nothing_and_the_seed_does(monkeypatch):
    spec = DataSpec(Levels((1, 4, 5), 17), labels(3))
    made, x, given = model(spec).double(), items(spec, 4), condition_of(spec, 4)
    unknown = np.zeros(spec.shape, bool)
    unknown[:, 1:3] = True

    def draw(**options):
        return complete(made, x, unknown, 3, condition=given, **options).completed

    one = draw()
    assert (one == draw(sampler="naive")).all()
    assert (one == draw(sampler="fixed-point")).all()
    assert (one != draw(seed=1)).any()
    monkeypatch.setattr(drawing, "BLOCK", 5)
    assert np.array_equal(draw(seed=3), draw(seed=3))


def test_unseen_are_the_known_ones_after_all_unknown_ones_and_late_those_between_them():
    made, x = model(), all_items(TINY)[:2]
    given = {"label": [0, 1]}
    assert complete(made, x, SUFFIX, condition=given).unseen.tolist() == [0, 0]
    for mask, late, unseen in (([0, 1, 1, 0, 0, 0], 0, 3), ([1, 0, 0, 1, 0, 1], 3, 0), ([0, 1, 0, 1, 0, 0], 1, 2)):
        found = complete(made, x, np.array(mask, bool).reshape(TINY.shape), condition=given)
        assert (found.late.tolist(), found.unseen.tolist()) == ([late] * 2, [unseen] * 2)
    per_channel = np.zeros((3, 8, 9), bool)
    per_channel[0, 7, 8] = True  # the red of the last pixel: its green and blue come after it
    assert complete(model(SPECS["colour"]), items(SPECS["colour"], 1), per_channel).unseen.tolist() == [2]


def test_progress_counts_the_coordinates_of_all_blocks(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 4)
    seen = []

    def report(x, done, total):
        seen.append((x.copy(), done, total))

    found = complete(model(), all_items(TINY)[:3], MIDDLE, 2, condition={"label": 0}, progress=report)
    assert [done for _, done, _ in seen] == [12, 24, 30, 36]
    assert {total for _, _, total in seen} == {36}
    assert (seen[-1][0] == found.completed.reshape(6, 1, 2, 3)).all()
    assert (seen[0][0][:4, :, 0] == found.completed.reshape(6, 1, 2, 3)[:4, :, 0]).all()  # the first rows are there


def test_items_of_a_data_set_need_no_copy():
    data = dataset(SPECS["grey-labelled"])
    data.test.x.flags.writeable = False
    made, label = model(SPECS["grey-labelled"]), data.test.condition["label"]
    assert complete(made, data.test.x, np.ones((1, 8, 8), bool), condition={"label": label}).completed.shape[0] == 12


def test_items_with_masks_of_their_own_may_have_different_orders():
    spec = DataSpec(Levels((1, 3, 3), 4))
    made = randomise(registry.find("made").build(spec, hidden=12, orders=4)).eval()
    x, unknown = items(spec, 6), np.random.default_rng(0).random((6, 1, 3, 3)) < 0.5
    assert len({tuple(made.order(torch.from_numpy(mask)).tolist()) for mask in unknown}) > 1
    seen = []
    found = complete(made, x, unknown, progress=lambda x, done, total: seen.append((done, total)))
    assert (found.completed[:, 0] == x.numpy())[~unknown].all()
    assert seen[-1] == (54, 54)
    alone = [completion_nats(made, found.completed[i], unknown[i])[0] for i in range(6)]
    np.testing.assert_allclose(found.nats[:, 0], alone, rtol=1e-4)
    for mask, late, unseen in zip(unknown, found.late, found.unseen, strict=True):
        ordered = mask.flatten()[made.order(torch.from_numpy(mask)).numpy()]
        last = np.flatnonzero(ordered)[-1]
        assert unseen == (~ordered[last:]).sum()
        assert late == (~ordered[ordered.argmax() : last]).sum()


def test_real_numbers_are_completed_by_densities():
    made = randomise(small_model(registry.find("rnade"), SPECS["continuous"]), 0.2).eval()
    x, unknown = items(SPECS["continuous"], 5), np.array([False, True])
    found = complete(made, x, unknown, 3)
    assert found.completed.dtype == np.float32
    assert (found.completed[..., 0] == x.numpy()[:, None, 0]).all()
    assert len(np.unique(found.completed[..., 1])) == 15
    np.testing.assert_allclose(found.nats[:, 1], completion_nats(made, found.completed[:, 1], unknown), rtol=1e-5)


# Refusals


@pytest.mark.parametrize("name", ["vae", "dcgan"])
def test_a_model_that_cannot_complete_says_which_can(name):
    made = small_model(registry.find(name), SPECS["grey"])
    with pytest.raises(NotSupported, match=rf"{name} cannot complete.*gated-pixelcnn, or orderless-nade"):
        complete(made, items(SPECS["grey"], 2), np.ones((1, 8, 8), bool))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"unknown": np.ones((2, 3), bool)}, r"a mask.*\(1, 2, 3\), not \(2, 3\)"),
        ({"unknown": np.zeros((1, 2, 3), bool)}, "nothing is unknown"),
        ({"x": np.zeros((2, 1, 3, 2), np.uint8)}, r"items of shape \(1, 2, 3\)"),
        ({"x": np.zeros((0, 1, 2, 3), np.uint8)}, r"items of shape \(1, 2, 3\)"),
        ({"x": np.full((2, 1, 2, 3), 2, np.uint8)}, "integers 0 to 1"),
        ({"x": np.full((2, 1, 2, 3), -1)}, "integers 0 to 1"),
        ({"x": np.zeros((2, 1, 2, 3))}, "integers 0 to 1"),
        ({"samples": 0}, "samples >= 1"),
        ({"temperature": 0.0}, "temperature > 0"),
        ({"sampler": "quick"}, "no sampler 'quick'"),
        ({"condition": None}, "conditioned on 'label'"),
    ],
)
def test_a_wrong_call_is_refused(wrong, message):
    right = {"x": np.zeros((2, 1, 2, 3), np.uint8), "unknown": MIDDLE, "condition": {"label": 0}}
    with pytest.raises(UsageError, match=message):
        complete(model(), **(right | wrong))


def test_one_order_of_several_completes_and_says_so():
    """The draws and their nats are those of one order, which differ from the conditional of the mixture."""
    spec = DataSpec(Levels((1, 2, 3), 2))
    mixed = randomise(registry.find("made").build(spec, orders=3, hidden=16), 1.0).eval()
    x, unknown = all_items(spec)[:8], MIDDLE
    found = complete(mixed, x, unknown, 2)
    assert found.orders == 3
    masses = mixed.log_prob(all_items(spec)).double().exp().detach().numpy()
    same = (all_items(spec).numpy() == x[:1].numpy()) | unknown
    conditional = masses[0] / masses[same.reshape(64, -1).all(1)].sum()
    assert abs(completion_nats(mixed, x, unknown)[0] + math.log(conditional)) > 1e-3
    assert complete(model(), all_items(TINY)[:2], SUFFIX, condition={"label": 0}).orders == 1
