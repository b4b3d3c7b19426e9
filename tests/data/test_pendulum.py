"""The pendulum obeys mechanics, and the set of random play is what it says."""

import math
from dataclasses import replace

import numpy as np
import pytest

import simulacra as sim
import simulacra.data as data
from simulacra import registry
from simulacra.data.shipped.pendulum import EPISODES, LENGTH, Pendulum, angle, moved, seen
from simulacra.errors import UsageError

FREE = Pendulum(friction=0.0, gust=(0.0, 0.0))


def states(n, seed=0):
    random = np.random.RandomState(seed)
    return seen(random.uniform(-np.pi, np.pi, n), random.uniform(-8, 8, n))


def followed(world, state, torque, steps):
    """States (steps + 1, N, 3) under a constant torque."""
    course = [state]
    for _ in range(steps):
        course.append(world.next(course[-1], np.full((len(state), 1), torque)))
    return np.stack(course)


def test_energy_is_constant_without_torque_and_friction():
    course = followed(FREE, states(20), 0.0, 200)
    energies = np.stack([FREE.energy(each) for each in course])
    assert np.abs(energies - energies[0]).max() < 2e-3  # of a scale of 20, after 20 seconds
    assert np.ptp(course[:, :, 2], axis=0).min() > 1, "and all of them moved"


def test_the_torque_does_the_work_and_friction_takes_energy():
    """ΔE = u Δθ / (m l²), and without a torque E falls whenever the pendulum moves."""
    world, start, torque = replace(FREE, mass=2.0, length=0.5), states(50, 1), np.full((50, 1), 1.5)
    change = world.change(start, torque)
    gain = world.energy(moved(start, change)) - world.energy(start)
    assert gain == pytest.approx(1.5 / (2.0 * 0.5**2) * change[:, 0], abs=1e-4)
    slowed = replace(FREE, friction=0.3)
    energies = np.stack([slowed.energy(each) for each in followed(slowed, start, 0.0, 50)])
    assert (np.diff(energies, axis=0) < 0).all()


def test_small_swings_have_the_period_of_the_textbook():
    """2π √(l/g): after a period a pendulum that hangs by 0.01 rad is where it was."""
    period = 2 * math.pi * math.sqrt(FREE.length / FREE.gravity)
    world = replace(FREE, step=period / 20)
    start = seen(np.array([np.pi - 0.01]), np.zeros(1))
    course = followed(world, start, 0.0, 20)
    assert course[20] == pytest.approx(course[0], abs=1e-5)
    assert course[10, 0, 1] == pytest.approx(-course[0, 0, 1], abs=1e-5)


def test_the_motor_has_its_limit_and_cannot_lift_the_pendulum_at_once():
    start = states(10, 2)
    beyond, most = (FREE.change(start, np.full((10, 1), torque)) for torque in (100.0, FREE.limit))
    assert np.array_equal(beyond, most)
    hanging = seen(np.array([np.pi]), np.zeros(1))
    assert followed(FREE, hanging, FREE.limit, 100)[:, 0, 0].max() < 0


def test_gusts_have_the_density_that_is_stated():
    world, start, torque = Pendulum(), states(4000, 3), np.zeros((4000, 1))
    change = world.change(start, torque, np.random.RandomState(0))
    noise = change - world.change(start, torque)
    assert noise.std(0) == pytest.approx(world.gust, rel=0.05)
    entropy = sum(0.5 * math.log(2 * math.pi * math.e * std**2) for std in world.gust)
    assert world.log_prob(change, start, torque).mean() == pytest.approx(-entropy, abs=0.06)
    with pytest.raises(UsageError, match="no density: give the pendulum a gust"):
        FREE.log_prob(change, start, torque)


def test_what_is_seen_and_moved_is_the_angle():
    start = states(30, 4)
    change = np.random.RandomState(5).normal(size=(30, 2))
    after = moved(start, change)
    assert (after[:, :2] ** 2).sum(1) == pytest.approx(1)
    turned = (angle(after) - angle(start) - change[:, 0] + np.pi) % (2 * np.pi) - np.pi
    assert turned == pytest.approx(0, abs=1e-12)
    assert FREE.cost(seen(np.zeros(1), np.zeros(1)), np.zeros((1, 1))) == 0


def test_the_set_is_random_play_in_episodes():
    play = data.load("pendulum")
    assert [len(split) for split in play.splits] == [LENGTH * count for count in EPISODES.values()]
    assert len(play.train) + len(play.valid) == 5000
    assert play.spec.describe() == "2, continuous, state: 3, continuous, action: 1, continuous"
    for split in play.splits:
        state, action = split.field("state"), split.field("action")
        assert np.abs(action).max() <= Pendulum().limit
        inside = np.arange(len(split)) % LENGTH < LENGTH - 1
        assert moved(state, split.x)[inside] == pytest.approx(state[1:][inside[:-1]], abs=1e-5)
        assert Pendulum().log_prob(split.x, state, action).mean() == pytest.approx(4.77, abs=0.1)


@pytest.mark.parametrize("name", ["rnade", "vae", "gan"])
def test_conditional_densities_of_the_house_take_the_set(name):
    play = data.load("pendulum")
    model = registry.build(name, play.spec.conditioned_on(("state", "action")))
    condition = {field: np.asarray(values[:6]) for field, values in play.train.condition.items()}
    items = sim.sample(model, 6, condition=condition)
    assert items.shape == (6, 2)
    assert items.dtype == np.float32


def test_the_set_is_the_same_data_everywhere():
    play = data.load("pendulum")
    assert play.train.x[0] == pytest.approx([0.109555, -0.618689], abs=1e-5)
