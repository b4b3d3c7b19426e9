"""A GAN of parts: penalties against their closed forms, lazy ones at their weight, and presets composed of them."""

import numpy as np
import pytest
import torch
from small import condition_of, items, labels
from torch import nn

import simulacra as sim
from simulacra import registry
from simulacra.adversarial import GAN, R1, R2, GradientPenalty, Orthogonal, Relativistic, Round, Side, Wasserstein
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Levels, Real
from simulacra.model import load, save
from simulacra.networks import DCCritic, DCGenerator, DenseCritic, DenseGenerator
from simulacra.nn import EqualLinear
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.runtime import Runtime
from simulacra.turns import Turn, lazy_correction

SPEC = DataSpec(Levels((1, 4, 3), 17), labels(3))


def small(spec: DataSpec = SPEC, **arguments) -> GAN:
    torch.manual_seed(0)
    networks = {"generator": DenseGenerator(hidden=8), "critic": DenseCritic(hidden=8), "penalties": ()}
    return GAN(spec, **({"latent": 3} | networks | arguments))


def seen(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor) -> Round:
    sides = [Side(critic, x, Condition()) for x in (real, fake)]
    return Round(*sides, torch.zeros(len(fake), 1), nn.Linear(1, 1), Relativistic())


def penalty_of(penalty, critic, real, fake) -> torch.Tensor:
    return penalty.loss(seen(critic, real, fake), nn.Module())


def turn(spec: DataSpec = SPEC, n: int = 6) -> Turn:
    return Turn(items(spec, n), condition_of(spec, n))


class Linear(nn.Module):
    """D(x) = w·x, whose gradient is w everywhere."""

    outputs = 1

    def __init__(self, *w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x, condition):
        return x.flatten(1) @ self.w


# The gradient penalty


@pytest.mark.parametrize(("w", "expected"), [((3.0, 4.0), 16.0), ((0.6, 0.8), 0.0), ((0.3, 0.4), 0.25)])
def test_the_gradient_penalty_of_a_linear_critic(w, expected):
    """λ (|w| - 1)², whatever the items are."""
    real, fake = torch.randn(5, 2), torch.randn(5, 2)
    for weight in (1.0, 10.0):
        found = penalty_of(GradientPenalty(weight), Linear(*w), real, fake)
        assert found.item() == pytest.approx(weight * expected, abs=1e-5)


def test_it_has_a_gradient_in_the_critic_alone():
    critic = Linear(3.0, 4.0)
    fake = torch.randn(5, 2, requires_grad=True)
    penalty_of(GradientPenalty(1.0), critic, torch.randn(5, 2), fake).backward()
    torch.testing.assert_close(critic.w.grad, 2 * (5 - 1) * torch.tensor([3.0, 4.0]) / 5)  # 2 (|w| - 1) w / |w|
    assert fake.grad is None


def test_where_the_gradient_vanishes_it_has_a_value_and_no_slope():
    critic = Linear(0.0, 0.0)
    found = penalty_of(GradientPenalty(1.0), critic, torch.randn(5, 2), torch.randn(5, 2))
    found.backward()
    assert found.item() == 1
    assert critic.w.grad.tolist() == [0, 0]


def test_it_looks_between_real_and_fake_items():
    looked = []

    class Watching(Linear):
        def forward(self, x, condition):
            looked.append(x.detach())
            return super().forward(x, condition)

    real, fake = torch.full((200, 2), 3.0), torch.full((200, 2), -1.0)
    penalty_of(GradientPenalty(), Watching(1.0, 0.0), real, fake)
    (between,) = looked
    assert between.min() >= -1
    assert between.max() <= 3
    assert torch.equal(between[:, 0], between[:, 1])  # one α for an item
    assert len(between[:, 0].unique()) == 200
    assert between.mean().item() == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"weight": -1.0}, {"weight": float("nan")}, {"every": 0}])
def test_a_penalty_that_weighs_nothing_is_refused(wrong):
    with pytest.raises(UsageError, match=r"(weight|every) of penalty 'gradient' must be (positive|at least 1), not"):
        GradientPenalty(**wrong)


# Penalties of a model


def test_a_penalty_of_every_step_is_a_term_of_the_critics_loss():
    model = small(penalties=(GradientPenalty(5.0),))
    assert [phase.name for phase in model.phases()] == ["critic", "generator"]
    torch.manual_seed(1)
    terms = model.critic_loss(turn())
    assert list(terms) == ["critic", "gradient"]
    plain = small()
    torch.manual_seed(1)
    assert plain.critic_loss(turn())["critic"] == terms["critic"]


def test_a_lazy_penalty_is_a_phase_of_the_critic_that_weighs_as_if_it_were_taken_in_every_step():
    always, lazy = (small(penalties=(GradientPenalty(5.0, every),)) for every in (1, 4))
    critic, penalty, generator = lazy.phases()
    assert [phase.name for phase in lazy.phases()] == ["critic", "gradient", "generator"]
    assert (penalty.every, critic.every, generator.every) == (4, 1, 1)
    assert penalty.player is critic.player
    assert lazy_correction([critic, penalty]) == pytest.approx(4 / 5)
    assert list(lazy.critic_loss(turn())) == ["critic"]
    torch.manual_seed(1)
    with torch.no_grad():
        own_round = always.round(turn(), "critic")
    own = always.penalties[0].loss(own_round, always.memories[0])
    torch.manual_seed(1)
    torch.testing.assert_close(penalty.loss(turn())["gradient"], 4 * own)


def test_the_critic_takes_as_many_turns_as_it_is_given():
    critic, generator = small(critic_steps=5).phases()
    assert (critic.repeat, critic.draws, generator.repeat) == (5, 1, 1)
    assert critic.player is not generator.player


def test_only_the_generator_is_averaged():
    model = small()
    assert model.averaged() == [model.generator]


# Games


def test_the_wasserstein_game_is_a_difference_of_means():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -4.0])
    assert Wasserstein().critic(real, fake).item() == -2 - 2
    assert Wasserstein().generator(fake).item() == 2
    model = small(game="wasserstein")
    assert isinstance(model.game, Wasserstein)


def test_continuous_items_are_not_squeezed_onto_a_grid():
    spec = DataSpec(Real((2,)))
    model = small(spec)
    with torch.no_grad():
        model.generator.last.bias += 50
    x = model.sample(4)
    assert x.dtype == torch.float32
    assert x.min() > 10


# Composed


def test_wgan_dc_is_a_preset_in_few_lines(monkeypatch, tmp_path):
    """Gulrajani et al. 2017: a game, a penalty and five turns of the critic."""
    monkeypatch.setattr(registry, "_entries", {entry.name: entry for entry in registry.models()})

    @sim.register("wgan-dc", paper="Gulrajani et al. 2017", defaults={"betas": (0.0, 0.9)})
    def wgan_dc(spec: DataSpec, latent: int = 128, width: int = 64) -> GAN:
        networks = DCGenerator(width), DCCritic(width, batch_norm=False)
        return GAN(spec, latent, *networks, Wasserstein(), (GradientPenalty(10.0),), critic_steps=5)

    spec = DataSpec(Levels((1, 8, 8), 17))
    model = registry.build("wgan-dc", spec, latent=4, width=2)
    assert model.name == "wgan-dc"
    save(model, tmp_path)
    again = load(tmp_path)
    assert (again.game, again.penalties, again.critic_steps) == (Wasserstein(), (GradientPenalty(10.0),), 5)
    assert again.recipe == model.recipe
    terms = again.train().critic_loss(turn(spec))
    assert all(torch.isfinite(term) for term in terms.values())


def test_networks_of_both_kinds_may_be_mixed():
    spec = DataSpec(Levels((1, 8, 8), 17), labels(3))
    model = small(spec, generator="dcgan:width=2", critic="dense:hidden=4")
    assert model.sample(3, {"label": 1}).shape == (3, 1, 8, 8)
    assert list(model.recipe["gan"]["generator"]) == ["dcgan"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent": 0}, "latent >= 1 and critic_steps >= 1, not 0 and 1"),
        ({"critic_steps": 0}, "latent >= 1 and critic_steps >= 1, not 3 and 0"),
        ({"generator": "dcgan"}, r"dcgan networks are for images from 8×8 up, not shape \(1, 4, 3\); try dense"),
        ({"critic": "dense:hidden=0"}, "hidden of critic 'dense' must be at least 1, not 0"),
        ({"game": "waserstein"}, "no game 'waserstein'. Did you mean 'wasserstein'"),
        ({"penalties": "gradint"}, "no penalty 'gradint'. Did you mean 'gradient'"),
        ({"penalties": (Wasserstein(),)}, "penalties of GAN is a penalty, and wasserstein is a game"),
    ],
)
def test_what_cannot_be_composed_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        small(**arguments)


def test_two_penalties_of_one_name_are_told_apart():
    """Their terms would be one otherwise, and one of the two would count for nothing."""
    model = small(penalties=(GradientPenalty(1.0), GradientPenalty(2.0)))
    assert list(model.critic_loss(turn())) == ["critic", "gradient1", "gradient2"]
    lazy = small(penalties=(GradientPenalty(1.0), GradientPenalty(2.0, every=4)))
    assert list(lazy.critic_loss(turn())) == ["critic", "gradient1"]
    assert [phase.name for phase in lazy.phases()] == ["critic", "gradient2", "generator"]


# Players


def test_a_constraint_holds_after_every_update_of_its_player():
    """Weight clipping: no parameter of the critic is beyond the limit, whatever the learning rate."""
    model = small(game="wasserstein", penalties="clipping:limit=0.02")
    training = Loop(model, Options(batch=6, warmup=0, learning_rate=0.1), Runtime(torch.device("cpu"), bf16=False))
    for _ in range(3):
        training.step(Batch(), 0.0)
        assert max(parameter.abs().max() for parameter in model.critic.parameters()) <= 0.02
    assert max(parameter.abs().max() for parameter in model.generator.parameters()) > 0.02


class Batch(dict):
    def __missing__(self, draw: int):
        return items(SPEC, 6, seed=draw), condition_of(SPEC, 6)


@pytest.mark.parametrize("conditioning", ["projection", "concatenation", "none"])
def test_how_a_critic_sees_its_condition(conditioning):
    model = small(conditioning=conditioning).eval()
    x = SPEC.centred(items(SPEC, 2))
    scores = [model.critic(x, condition_of(SPEC, 3).rows(torch.tensor([k, k]))) for k in range(2)]
    assert torch.equal(*scores) == (conditioning == "none")


@pytest.mark.parametrize("spec", [SPEC, DataSpec(Real((2,)), labels(3)), DataSpec(Levels((3, 8, 8), 4), labels(2))])
def test_planes_stand_beside_items_of_any_shape(spec):
    model = small(spec, conditioning="concatenation")
    assert model.critic_loss(turn(spec))["critic"].isfinite()


def test_a_paired_game_lets_the_generator_see_real_scores():
    """softplus(real - fake) by the same pairs as the critic's softplus(fake - real)."""
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, -4.0])
    assert Relativistic().generator(fake, real).item() == pytest.approx(Relativistic().critic(fake, real).item())
    terms = small(game="relativistic").generator_loss(turn())
    assert terms["generator"].isfinite()


# Closed forms on a linear critic D(x) = w·x, whose features are w·x


@pytest.mark.parametrize("penalty", [R1, R2])
def test_zero_centred_penalties_of_a_linear_critic(penalty):
    """γ/2 |w|²"""
    found = penalty_of(penalty(3.0), Linear(3.0, 4.0), torch.randn(5, 2), torch.randn(5, 2))
    assert found.item() == pytest.approx(1.5 * 25, rel=1e-5)


@pytest.mark.parametrize(("share", "left"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.25)])
def test_their_weight_falls_geometrically_over_training(share, left):
    sides = [Side(Linear(3.0, 4.0), torch.randn(5, 2), Condition())] * 2
    own = Round(*sides, torch.zeros(5, 1), nn.Linear(1, 1), Relativistic(), share)
    for penalty in (R1(2.0, end=0.25), R2(2.0, end=0.25)):
        assert penalty.loss(own, nn.Module()).item() == pytest.approx(25 * left, rel=1e-5)


def test_r1_looks_at_real_items_and_r2_at_generated_ones():
    """D(x) = |x|²/2, whose gradient is x."""

    class Squared(nn.Module):
        def forward(self, x, condition):
            return 0.5 * x.flatten(1).square().sum(1)

    real, fake = torch.full((4, 2), 3.0), torch.full((4, 2), 1.0)
    assert penalty_of(R1(1.0), Squared(), real, fake).item() == pytest.approx(9.0)
    assert penalty_of(R2(1.0), Squared(), real, fake).item() == pytest.approx(1.0)


def test_filters_are_those_that_a_layer_computes_with():
    layer, plain = EqualLinear(3, 2, rate=0.1), nn.Linear(3, 2)
    with torch.no_grad():
        plain.weight.copy_(layer.weight * layer.weight_scale)
    sides = [Side(Linear(1.0), torch.zeros(1, 1), Condition())] * 2
    costs = [
        Orthogonal(1.0).loss(Round(*sides, torch.zeros(1, 1), each, Relativistic()), nn.Module())
        for each in (layer, plain)
    ]
    torch.testing.assert_close(*costs)
    assert costs[0] > 0


def test_orthogonal_filters_cost_nothing():
    linear = nn.Linear(3, 2)
    sides = [Side(Linear(1.0), torch.zeros(1, 1), Condition())] * 2
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2.0, 0.0], [-2.0, 1.0, 5.0]]))
    assert Orthogonal(1.0).loss(Round(*sides, torch.zeros(1, 1), linear, Relativistic()), nn.Module()).item() == 0
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 2.0, 0.0], [1.0, 1.0, 5.0]]))
    assert (
        Orthogonal(1.0).loss(Round(*sides, torch.zeros(1, 1), linear, Relativistic()), nn.Module()).item() == 2 * 3**2
    )


def test_the_units_of_a_vector_do_not_matter():
    """To a GAN x and a x + b are the same data, and it draws a times the items of the one, plus b, for the other."""
    x, z, seen = torch.randn(3, 40, 2), torch.randn(20, 3), []
    for scale, shift in ((1.0, 0.0), (512.0, 2048.0)):
        model = small(DataSpec(Real((2,))), penalties=None)
        for turn in scale * x + shift:
            torch.manual_seed(1)
            loss = sum(model.critic_loss(Turn(turn)).values()) + sum(model.generator_loss(Turn(turn)).values())
        seen.append((loss.detach(), (model.eval().decode(z).value - shift) / scale))
    torch.testing.assert_close(*(loss for loss, _ in seen), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*(drawn for _, drawn in seen), rtol=1e-3, atol=1e-3)


def test_units_are_saved_and_stay_what_they_are_outside_of_training(tmp_path):
    data = sim.data.from_arrays(np.random.default_rng(0).normal(7, 3, (200, 2)).astype(np.float32), name="points")
    model = sim.fit("gan", data, tmp_path / "run", steps=20, batch=64)
    assert model.units.mean == pytest.approx(torch.tensor([7.0, 7.0]), abs=1)
    sim.sample(model, 10)
    model.critic_loss(Turn(torch.zeros(4, 2)))
    assert torch.equal(model.units.mean, load(tmp_path / "run").units.mean)
    assert GAN(SPEC).units is None


@pytest.mark.parametrize("penalty", [R1, R2])
def test_the_slope_of_a_turn_is_that_of_a_pass_of_its_own(penalty):
    """In every step it is taken through the pass of the scores, in few steps not: the same loss and gradients."""
    found = []
    for every in (1, 3):
        model = small(penalties=(penalty(2.0, every=every),))
        torch.manual_seed(1)
        seen = model.round(Turn(items(SPEC, 6), condition_of(SPEC, 6)), "critic")
        loss = model.penalties[0].loss(seen, nn.Module())
        loss.backward()
        assert seen.real.x.requires_grad == (every == 1 and penalty is R1)
        found.append([loss.detach(), *(each.grad for each in model.critic.parameters() if each.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("penalty", "times"), [("r1:every=2", 0), ("orthogonal:every=2", 0), ("r2:every=2", 1), ("gradient:every=2", 1)]
)
def test_a_penalty_taken_rarely_generates_items_only_where_it_looks_at_them(penalty, times):
    model = small(penalties=penalty).train()
    (lazy,) = [phase for phase in model.phases() if phase.every > 1]
    made = []
    model.generator.register_forward_hook(lambda *_: made.append(1))
    lazy.loss(turn())
    assert len(made) == times
