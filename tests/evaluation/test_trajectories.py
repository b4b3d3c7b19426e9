"""ADE and FDE under every rule, by hand; collisions; and that figures are in `evaluate`."""

import numpy as np
import pytest
import torch

from simulacra.checks.cases import OTHERS, condition_of, items_of
from simulacra.data import Card, Dataset, Split
from simulacra.evaluation import evaluate
from simulacra.evaluation.judges import by_displacement, usual_judge
from simulacra.evaluation.trajectories import collided, errors, straight, turned
from simulacra.sequences import RecurrentMixture, SocialGAN

MASK = np.array([[True, True, False], [False, True, False]])


def paths(*offsets):
    """(K, 2 scenes, 3 people, 2 steps, 2): of person p in scene n at distance offsets[k][n][p], at last twice."""
    made = np.zeros((len(offsets), 2, 3, 2, 2))
    made[..., 0, 0] = offsets
    made[..., 1, 1] = 2 * np.array(offsets)
    return made


def test_rules_by_hand():
    made = paths([[1, 6, 99], [99, 4, 99]], [[4, 2, 99], [99, 8, 99]])
    found = errors(made, np.zeros((2, 3, 2, 2)), MASK)
    np.testing.assert_allclose(found.ade, [[1.5, 9, 6], [6, 3, 12]])
    np.testing.assert_allclose(found.fde, [[2, 12, 8], [8, 4, 16]])
    np.testing.assert_allclose(found.best(found.ade, by_scene=True), [6, 3, 6])
    np.testing.assert_allclose(found.best(found.ade, by_scene=False), [1.5, 3, 6])
    np.testing.assert_allclose(found.best(found.fde, by_scene=True), [8, 4, 8])


def test_collisions_by_hand():
    made = np.zeros((2, 3, 2, 2))
    made[0, 1] = [[5.0, 0.0], [0.1, 0.1]]
    made[1, 1] = [[0.0, 0.0], [0.0, 0.0]]
    assert collided(made, MASK).tolist() == [True, True, False]
    made[0, 1, 1] = 0.2
    assert collided(made, MASK).tolist() == [False, False, False]


def test_constant_velocity_and_its_noise():
    past = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    velocity = past[..., -1, :] - past[..., -2, :]
    line = straight(past, 3)
    np.testing.assert_allclose(line[..., 2, :], past[..., -1, :] + 3 * velocity)
    noisy = turned(past, 3, 4000, 0)
    ahead = noisy[..., 0, :] - past[..., -1, :]
    np.testing.assert_allclose(
        np.linalg.norm(ahead, axis=-1), np.broadcast_to(np.linalg.norm(velocity, axis=-1), (4000, 2, 3))
    )
    cosine = (ahead * velocity).sum(-1) / (velocity**2).sum(-1)
    assert np.rad2deg(np.arccos(cosine.clip(-1, 1)) ** 2).mean() == pytest.approx(
        np.rad2deg(np.deg2rad(25) ** 2), rel=0.05
    )


def dataset(n=24):
    spec = OTHERS["paths"]
    columns = {name: values.numpy() for name, values in condition_of(spec, n).items()}
    x = items_of(spec, n).numpy() * columns["past.mask"][..., None, None]
    parts = [Split(x, columns, name) for name in ("train", "valid", "test")]
    return Dataset("made", spec, *parts, Card("", "", ""), "0" * 64)


def test_all_rules_are_figures_of_evaluate_with_their_baselines():
    torch.manual_seed(0)
    data = dataset()
    found = evaluate(SocialGAN(OTHERS["paths"], hidden=8).eval(), data)
    for name in ("ade", "fde"):
        one, scene, person = (found[f"{name}_{rule}"] for rule in ("k1", "best_of_20_by_scene", "best_of_20_by_person"))
        assert person.value <= scene.value
        assert person.baseline["constant velocity ±25°"] <= scene.baseline["constant velocity ±25°"]
        assert one.baseline["constant velocity"] == scene.baseline["constant velocity"]
        assert one.low < one.value < one.high
    people = int(data.test.field("past.mask").sum())
    assert found["collisions"].n == people
    assert found["collisions"].ceiling == pytest.approx(collided(data.test.x, data.test.field("past.mask")).mean())


def test_a_game_is_judged_by_its_best_draws_and_a_density_by_its_nats():
    game, density = (kind(OTHERS["paths"], hidden=8).eval() for kind in (SocialGAN, RecurrentMixture))
    assert usual_judge(game) is by_displacement
    verdict = by_displacement(game, dataset(), 0)
    assert verdict == by_displacement(game, dataset(), 0)
    assert verdict.value > 0
    assert usual_judge(density)(density, dataset(), 0).name == "valid_nats"
