"""The one loop: averages, schedules, the moments of Adam, and losses that are no numbers."""

import math

import pytest
import torch
from small import SPECS, condition_of, items, same, small_model, suited, trained_in_steps, weights
from torch import nn

from simulacra import registry
from simulacra.adversarial import NonSaturating
from simulacra.data import DataSpec
from simulacra.errors import TrainingError
from simulacra.model import Model
from simulacra.training.ema import AveragedModel
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Phase

HERE = Runtime(torch.device("cpu"), bf16=False)
EVERY_ENTRY = pytest.mark.parametrize("entry", trained_in_steps(), ids=lambda entry: entry.name)


class Stream:
    """Items that follow from the number of the draw."""

    def __init__(self, spec: DataSpec) -> None:
        self.spec = spec

    def __getitem__(self, draw: int):
        return items(self.spec, 8, seed=draw), condition_of(self.spec, 8)


class Toy(Model):
    """One number θ and the loss (θ - 3)² / 2 + trouble · θ; a counter as an integer buffer."""

    def __init__(self, spec: DataSpec, trouble: float = 0.0) -> None:
        super().__init__(spec)
        self.theta = nn.Parameter(torch.tensor([5.0]))
        self.register_buffer("count", torch.tensor(0))
        self.register_buffer("running", torch.tensor(0.0))
        self.trouble = trouble

    def phases(self):
        return [Phase(self, self.loss)]

    def loss(self, turn):
        self.count += 1
        self.running += 0.5
        return {"pull": (self.theta[0] - 3) ** 2 / 2, "push": self.trouble * self.theta[0]}


def loop(model: Model, **options) -> Loop:
    return Loop(model, Options(**({"warmup": 0} | options)), HERE)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_average_has_its_closed_form(decay):
    """θ̄_T = Π d_t θ_0 + Σ_t (1 - d_t) Π_{s>t} d_s θ_t with d_t = min(decay, (1 + t) / (10 + t))."""
    model = Toy(SPECS["vector"]).double()
    averaged = AveragedModel(model, decay)
    path = torch.randn(30, dtype=torch.float64)
    for t, value in enumerate(path):
        with torch.no_grad():
            model.theta.fill_(value)
            model.running.fill_(10 * value)
            model.count.fill_(7 * t)
        averaged.update(t)
    d = [min(decay, (1 + t) / (10 + t)) for t in range(30)]
    expected = math.prod(d) * 5.0 + sum((1 - d[t]) * math.prod(d[t + 1 :]) * path[t].item() for t in range(30))
    assert averaged.model.theta.item() == pytest.approx(expected, abs=1e-12)
    expected_buffer = 10 * (expected - math.prod(d) * 5.0)  # a floating buffer is averaged alike, from its own zero
    assert averaged.model.running.item() == pytest.approx(expected_buffer, abs=1e-11)
    assert averaged.model.count.item() == 7 * 29  # an integer is no quantity to average
    if decay == 0:
        assert torch.equal(averaged.model.theta, model.theta)


def test_the_average_is_a_model_of_its_own_in_use():
    model = Toy(SPECS["vector"])
    averaged = AveragedModel(model, 0.9).model
    assert not averaged.training
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    assert model.training
    assert model.theta.requires_grad
    assert averaged.theta.data_ptr() != model.theta.data_ptr()


def test_the_first_step_of_adam_is_the_learning_rate():
    model = Toy(SPECS["vector"])
    loop(model, learning_rate=0.01).step(Stream(SPECS["vector"]), 0.0)
    assert model.theta.item() == pytest.approx(5 - 0.01, abs=1e-6)


def test_the_learning_rate_rises_over_the_warmup_and_falls_over_the_budget():
    training = loop(Toy(SPECS["vector"]), learning_rate=1.0, warmup=4, schedule="cosine")
    rates = []
    for done in (0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0):
        training.step(Stream(SPECS["vector"]), done)
        rates.append(training.optimisers[0].param_groups[0]["lr"])
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5 + math.sqrt(0.125), 0.5, 0, 0], abs=1e-12)


def test_weight_decay_is_decoupled_from_the_gradient():
    """θ <- θ (1 - λ·lr) - lr·sign: AdamW, not an L2 term that Adam would rescale."""
    model = Toy(SPECS["vector"])
    loop(model, learning_rate=0.01, weight_decay=0.5).step(Stream(SPECS["vector"]), 0.0)
    assert model.theta.item() == pytest.approx(5 * (1 - 0.005) - 0.01, abs=1e-6)


def test_clipping_bounds_the_gradient_of_a_phase():
    model = Toy(SPECS["vector"], trouble=1000.0)
    loop(model, clip=0.5).step(Stream(SPECS["vector"]), 0.0)
    assert model.theta.grad.norm().item() == pytest.approx(0.5, rel=1e-4)


@EVERY_ENTRY
def test_k_steps_a_restored_loop_and_k_more_are_2k_steps_bitwise(entry):
    """Weights, averages, moments and buffers; a fresh model is restored, with other weights and another global seed."""
    spec = suited(entry, "grey-labelled")

    def fresh(seed: int) -> Loop:
        return loop(small_model(entry, spec, seed), warmup=5, clip=1.0, ema=0.9)

    def advance(training: Loop, steps: int) -> Loop:
        for _ in range(steps):
            training.step(Stream(spec), 0.0)
        return training

    straight = advance(fresh(0), 2)
    saved = {name: tensor.clone() for name, tensor in straight.tensors().items()}
    advance(straight, 2)
    torch.manual_seed(99)
    again = fresh(1)
    again.restore(2, saved)
    assert same(again.tensors(), saved)
    advance(again, 2)
    assert again.steps == straight.steps == 4
    assert same(again.tensors(), straight.tensors())
    assert not same(again.tensors(), saved)


@EVERY_ENTRY
def test_a_loop_names_the_same_tensors_before_its_first_step_and_after(entry):
    """So that a checkpoint can be checked against a loop that has not stepped yet."""
    spec = suited(entry, "grey")
    training = loop(small_model(entry, spec))
    before = {name: (tensor.shape, tensor.dtype) for name, tensor in training.tensors().items()}
    training.step(Stream(spec), 0.0)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in training.tensors().items()} == before
    moved = [parameter for player in training.players for parameter in player.parameters()]
    assert sum("exp_avg_sq" in name for name in before) == len(moved)  # a parameter may have two players


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_update(value):
    model = Toy(SPECS["vector"])
    training = loop(model)
    training.step(Stream(SPECS["vector"]), 0.0)
    training.step(Stream(SPECS["vector"]), 0.0)
    before, model.trouble = weights(model) | {"count": torch.tensor(3)}, value
    before["running"] = torch.tensor(1.5)
    with pytest.raises(TrainingError, match=r"not finite at step 2: term 'push' of loss"):
        training.step(Stream(SPECS["vector"]), 0.0)
    assert same(weights(model), before)
    assert training.steps == 2


def test_in_a_game_the_message_names_whose_loss_it_was(monkeypatch):
    model = small_model(registry.find("dcgan"), SPECS["grey"])
    monkeypatch.setattr(NonSaturating, "generator", lambda self, fake, real: fake.sum() * math.nan)
    training = loop(model)
    generator = weights(model.generator)
    with pytest.raises(TrainingError, match=r"step 0: term 'generator' of generator_loss"):
        training.step(Stream(SPECS["grey"]), 0.0)
    parameters = dict(model.generator.named_parameters())
    assert all(torch.equal(parameter, generator[name]) for name, parameter in parameters.items())


def test_a_gradient_that_is_not_finite_stops_before_the_update_too():
    """√0 is a number and its slope is none; clipping would spread it over all weights."""

    class Steep(Toy):
        def loss(self, turn):
            return {"root": ((self.theta - self.theta.detach()) ** 2).sum().sqrt()}

    model = Steep(SPECS["vector"])
    training = loop(model, clip=1.0)
    with pytest.raises(TrainingError, match=r"step 0"):
        training.step(Stream(SPECS["vector"]), 0.0)
    assert model.theta.item() == 5.0


@pytest.mark.parametrize("entry", [registry.find("vae"), registry.find("gated-pixelcnn")], ids=lambda e: e.name)
def test_training_makes_the_data_more_probable(entry):
    """A hundred steps on one batch."""
    model, (x, given) = small_model(entry, SPECS["grey"]), Stream(SPECS["grey"])[0]
    training = loop(model, learning_rate=0.01)

    class Same:
        def __getitem__(self, draw):
            return x, given

    losses = [sum(training.step(Same(), 0.0).values()).item() for _ in range(100)]
    assert sum(losses[-10:]) / 10 < losses[0] - 10
