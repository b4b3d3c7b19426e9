"""Gradients beyond `skip` move nothing, are counted, and are never skipped for ever in silence."""

import math

import pytest
import torch
from small import SPECS, same, weights

from simulacra.data import DataSpec
from simulacra.errors import TrainingError, UsageError
from simulacra.model import Model
from simulacra.training.guard import STALLED
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Phase

HERE = Runtime(torch.device("cpu"), bf16=False)


class Slope(Model):
    """One number θ whose gradient at the n-th turn is slopes[n]; the last slope lasts."""

    def __init__(self, spec: DataSpec, slopes: tuple[float, ...] = (1.0,)) -> None:
        super().__init__(spec)
        self.theta = torch.nn.Parameter(torch.tensor([5.0]))
        self.slopes, self.turn = slopes, 0

    def phases(self):
        return [Phase(self, self.loss)]

    def loss(self, turn):
        slope = self.slopes[min(self.turn, len(self.slopes) - 1)]
        self.turn += 1
        return {"push": (slope * (self.theta - self.theta.detach())).sum()}


class Nothing:
    def __getitem__(self, draw):
        return torch.zeros(8, 5, dtype=torch.uint8), {}


def loop(*slopes: float, **options) -> Loop:
    return Loop(Slope(SPECS["vector"], slopes), Options(**({"warmup": 0, "skip": 10.0} | options)), HERE)


def moments(training: Loop) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.tensors().items() if name.startswith("optimiser")}


@pytest.mark.parametrize("slope", [10.1, -1e6, math.inf, math.nan])
def test_an_update_beyond_the_threshold_moves_neither_weights_nor_moments(slope, monkeypatch):
    """An infinite slope of a finite loss is only seen in the gradient: multiply it in backward."""
    training = loop(1.0, 1.0)
    training.model.theta.register_hook(lambda gradient: gradient * slope if training.steps == 1 else gradient)
    training.step(Nothing(), 0.0)
    before, held = weights(training.model), moments(training)
    assert training.step(Nothing(), 0.0)["skipped"].item() == 1
    assert same(weights(training.model), before)
    assert same(moments(training), held)
    assert training.steps == 2
    assert training.step(Nothing(), 0.0)["skipped"].item() == 1
    assert not same(weights(training.model), before)


def test_up_to_the_threshold_all_is_as_without_it():
    path = [0.5, -3.0, 9.9, 10.0, 2.0]
    one, other = loop(*path, clip=1.0), loop(*path, clip=1.0, skip=None)
    for _ in path:
        one.step(Nothing(), 0.0)
        other.step(Nothing(), 0.0)
    assert same(weights(one.model), weights(other.model))
    assert "skips" in one.tensors()
    assert "skips" not in other.tensors()


def test_the_norm_is_the_one_before_clipping():
    training = loop(20.0, clip=1.0)
    before = weights(training.model)
    training.step(Nothing(), 0.0)
    assert same(weights(training.model), before)


def test_a_run_that_skips_for_ever_stops_and_names_the_remedy():
    training = loop(20.0)
    for _ in range(STALLED - 1):
        training.step(Nothing(), 0.0)
    with pytest.raises(TrainingError, match=rf"step {STALLED - 1}: {STALLED} updates in a row .* 20\).*larger --skip"):
        training.step(Nothing(), 0.0)


def test_only_skips_in_a_row_are_alarming():
    training = loop(*([20.0] * (STALLED - 1) + [1.0]) * 3)
    for _ in range(3 * STALLED):
        values = training.step(Nothing(), 0.0)
    assert values["skipped"].item() == 3 * (STALLED - 1)


def test_a_restored_loop_goes_on_counting():
    """The alarm comes at the same step, whether the run was cut in two or not."""
    half = loop(20.0)
    for _ in range(60):
        half.step(Nothing(), 0.0)
    again = loop(20.0)
    again.restore(60, {name: tensor.clone() for name, tensor in half.tensors().items()})
    for _ in range(STALLED - 61):
        assert again.step(Nothing(), 0.0)["skipped"].item() == again.steps
    with pytest.raises(TrainingError, match="updates in a row"):
        again.step(Nothing(), 0.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_a_threshold_that_is_not_positive_is_refused(value):
    with pytest.raises(UsageError, match="skip must be positive"):
        Options(skip=value)
