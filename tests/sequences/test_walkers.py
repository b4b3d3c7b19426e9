"""Forecasts of people: what enters them, what does not change them, and densities by hand."""

import math

import pytest
import torch

from simulacra.checks.cases import randomised
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import Many, Paths, Real
from simulacra.sequences import RecurrentMixture, SocialGAN
from simulacra.sequences.crowd import Crowd
from simulacra.turns import Turn

SEEN, STEPS = 5, 4
MODELS = {"social-gan": SocialGAN, "recurrent-mixture": RecurrentMixture}


def spec(room):
    return DataSpec(Paths((room, STEPS, 2)), {"past": Many(Real((SEEN, 2)), room)})


def model(kind, room=4, **given):
    torch.manual_seed(0)
    return randomised(MODELS[kind](spec(room), hidden=8, **given), 0.5).eval().double()


def scenes(n=3, room=4, seed=0):
    """Scenes of 1, 2, ... people who walk on."""
    noise = torch.Generator().manual_seed(seed)
    start, speed = torch.randn(n, room, 1, 2, generator=noise), torch.randn(n, room, 1, 2, generator=noise)
    walk = start + speed * torch.arange(SEEN)[:, None] + 0.1 * torch.randn(n, room, SEEN, 2, generator=noise)
    mask = torch.arange(room) < 1 + torch.arange(n)[:, None]
    return Condition({"past": walk.double() * mask[..., None, None], "past.mask": mask})


def draw(of, condition, seed=3):
    n = len(condition["past"])
    return of.sample(n, condition, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", MODELS)
def test_no_future_reaches_an_input(kind):
    """Futures are an argument of the losses and of log_prob alone: no gradient leads from what is forecast to them, and
    the density of a step does not depend on a later one."""
    own, given = model(kind), scenes()
    future = torch.randn(3, 4, STEPS, 2, dtype=torch.double)
    before = own.single(given), draw(own, given)
    state = {name: value.clone() for name, value in own.state_dict().items()}
    for phase in own.phases():
        torch.manual_seed(0)
        phase.loss(Turn(future, given))
    assert all(torch.equal(state[name], value) for name, value in own.state_dict().items())
    assert torch.equal(own.single(given), before[0])
    assert torch.equal(draw(own, given), before[1])


def test_every_step_of_the_density_sees_only_those_before_it():
    own, crowd = model("recurrent-mixture"), Crowd.of(scenes()["past"], scenes()["past.mask"])
    steps = torch.randn(len(crowd), STEPS, 2, dtype=torch.double, requires_grad=True)
    found, _ = own.next(crowd, steps, own.state(crowd))
    for t in range(STEPS):
        (gradient,) = torch.autograd.grad(found.mean[:, t].sum() + found.a[:, t].sum(), steps, retain_graph=True)
        assert not gradient[:, t + 1 :].any()
        assert gradient[:, t].any()


@pytest.mark.parametrize("kind", MODELS)
def test_permuted_people_have_permuted_forecasts(kind):
    own, given = model(kind), scenes()
    order = torch.tensor([2, 0, 3, 1])
    permuted = Condition({name: value[:, order] for name, value in given.items()})
    torch.testing.assert_close(own.single(permuted), own.single(given)[:, order])
    if kind == "social-gan":  # one code for all of a scene
        torch.testing.assert_close(draw(own, permuted), draw(own, given)[:, order])
    else:
        x = torch.randn(3, 4, STEPS, 2).double()
        torch.testing.assert_close(own.log_prob(x[:, order], permuted), own.log_prob(x, given))


def test_many_futures_are_as_many_draws():
    """Each of its own code, one for all people of a scene."""
    own, given = model("social-gan"), scenes()
    found = own.futures(given, 5, torch.Generator().manual_seed(3))
    z = torch.randn(15, own.latent, generator=torch.Generator().manual_seed(3), dtype=torch.double).view(5, 3, -1)
    crowd = own.crowd(given)
    for k in range(5):
        torch.testing.assert_close(found[k], crowd.padded(own.paths(crowd, z[k : k + 1])[0]).float())
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("kind", MODELS)
def test_permuted_scenes_have_permuted_forecasts(kind):
    own, given = model(kind), scenes()
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(own.single(given.rows(order)), own.single(given)[order])


@pytest.mark.parametrize("kind", MODELS)
def test_padding_changes_nothing(kind):
    """More room for people, and whatever stands where nobody is."""
    given = scenes()
    own = {"jitter": 0.0} if kind == "social-gan" else {}  # whose noise has a number for every place in x
    small, large = model(kind, 4, **own), model(kind, 7, **own)
    large.load_state_dict(small.state_dict())
    more = {name: torch.cat([value, value.new_zeros(3, 3, *value.shape[2:])], 1) for name, value in given.items()}
    more["past"] = more["past"].masked_fill(~more["past.mask"][..., None, None], 7.0)
    more = Condition(more)
    for one, other in ((small.single(given), large.single(more)), (draw(small, given), draw(large, more))):
        assert torch.equal(one, other[:, :4])
        assert not other[:, 4:].any()
    x = torch.randn(3, 7, STEPS, 2).double()
    torch.manual_seed(1)
    one = small.phases()[-1].loss(Turn(x[:, :4], given))
    torch.manual_seed(1)
    other = large.phases()[-1].loss(Turn(x, more))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name])


@pytest.mark.parametrize("kind", MODELS)
def test_a_scene_that_is_turned_and_moved_has_the_same_future_turned_and_moved(kind):
    own, given = model(kind), scenes()
    angle, away = 0.7, torch.tensor([3.0, -5.0], dtype=torch.double)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]], dtype=torch.double)
    moved = Condition({"past": given["past"] @ turn + away, "past.mask": given["past.mask"]})
    there = given["past.mask"]
    torch.testing.assert_close(own.single(moved)[there], (own.single(given).double() @ turn + away)[there].float())


@pytest.mark.parametrize("kind", MODELS)
def test_others_matter_and_only_those_of_the_scene(kind):
    own, given = model(kind), scenes()
    past = given["past"].clone()
    past[2, 0] += 1.0
    changed = own.single(Condition({"past": past, "past.mask": given["past.mask"]}))
    before = own.single(given)
    assert torch.equal(changed[:2], before[:2])
    assert not torch.equal(changed[2, 1], before[2, 1])


@pytest.mark.parametrize("kind", MODELS)
def test_forecast_takes_any_number_of_people_and_time_comes_first(kind):
    own, given = model(kind), scenes(room=9)
    past = given["past"].transpose(1, 2)
    found = own.forecast(past, 3, {"mask": given["past.mask"]}, torch.Generator().manual_seed(0))
    assert found.shape == (3, 3, 9, 2)
    there = given["past.mask"]
    wide = MODELS[kind](spec(9), hidden=8).eval().double()
    wide.load_state_dict(own.state_dict())
    assert torch.equal(found.transpose(1, 2), draw(wide, given, 0)[:, :, :3])
    assert not found.transpose(1, 2)[~there].any()
    for wrong, reason in (
        ((past, STEPS + 1), "forecasts 1 to 4 steps, not 5"),
        ((past[:, 1:], 1), "needs 5 steps of the past, not 4"),
        ((past[..., 0], 1), "the past is a tensor"),
        ((past * torch.nan, 1), "not finite"),
        ((past, 1, {"who": 1}), "is given 'mask'"),
    ):
        with pytest.raises(UsageError, match=reason):
            own.forecast(*wrong)


def test_a_generator_that_adds_nothing_is_constant_velocity():
    own, given = model("social-gan"), scenes()
    torch.nn.init.zeros_(own.generator.layers[-1].weight)
    torch.nn.init.zeros_(own.generator.layers[-1].bias)
    past, there = given["past"], given["past.mask"]
    line = past[:, :, -1:] + torch.arange(1, STEPS + 1)[:, None] * (past[:, :, -1:] - past[:, :, -2:-1])
    torch.testing.assert_close(own.single(given)[there], line[there].float())
    still = model("social-gan", residual=False)
    still.load_state_dict(own.state_dict())
    torch.testing.assert_close(still.single(given)[there], past[:, :, -1:].expand_as(line)[there].float())


def test_the_variety_loss_is_that_of_the_nearest_draw_for_a_scene():
    own, given = model("social-gan", draws=3, middle=0.5, adversarial=0.0, jitter=0.0), scenes()
    x = torch.randn(3, 4, STEPS, 2).double()
    torch.manual_seed(1)
    terms = own.generator_loss(Turn(x, given))
    assert terms.keys() == {"variety", "middle"}
    torch.manual_seed(1)
    z = torch.randn(9, own.latent, dtype=torch.double).view(3, 3, own.latent)
    crowd = own.crowd(given)
    there, scene = given["past.mask"], given["past.mask"].nonzero()[:, 0]
    each = (own.paths(crowd, z) - x[there]).norm(dim=-1).mean(-1)
    sums = torch.stack([each[:, scene == n].sum(1) for n in range(3)], 1)
    assert terms["variety"].item() == pytest.approx(sums.amin(0).sum().item() / len(crowd))
    one = (own.single(given)[there] - x[there]).norm(dim=-1).mean()
    assert terms["middle"].item() == pytest.approx(0.5 * one.item(), rel=1e-5)


@torch.no_grad()
def test_the_density_is_one_by_integration_and_its_draws_have_its_moments():
    own, crowd = model("recurrent-mixture"), Crowd.of(scenes(1)["past"], scenes(1)["past.mask"])
    found, _ = own.next(crowd, crowd.velocity[:, None], own.state(crowd))
    side = torch.linspace(-20, 20, 601, dtype=torch.double)
    grid = torch.stack(torch.meshgrid(side, side, indexing="ij"), -1).view(-1, 1, 2) + found.middle()
    density = found.log_prob(grid).exp()[:, 0] * (side[1] - side[0]) ** 2
    assert float(density.sum()) == pytest.approx(1.0, abs=2e-3)
    many = Crowd(crowd.past.expand(20_000, -1, -1), torch.ones(20_000, 1, dtype=torch.bool))
    found, _ = own.next(many, many.velocity[:, None], own.state(many))
    draws = found.draw(1.0, torch.Generator().manual_seed(0))[:, 0]
    mean = (density[:, None] * grid[:, 0]).sum(0)
    second = (density[:, None, None] * grid[:, 0, :, None] * grid[:, 0, None]).sum(0)
    torch.testing.assert_close(draws.mean(0), mean, rtol=0.03, atol=0.05)
    torch.testing.assert_close((draws[:, :, None] * draws[:, None]).mean(0), second, rtol=0.06, atol=0.1)


def test_nats_are_the_sum_over_people_and_steps():
    own, given = model("recurrent-mixture"), scenes()
    x = torch.randn(3, 4, STEPS, 2).double()
    x[~given["past.mask"]] = 9.0
    alone = torch.zeros(3, dtype=torch.double)
    crowd = own.crowd(given)
    for row, path in enumerate(x[given["past.mask"]]):
        state, step = own.state(crowd), crowd.velocity[:, None]
        place = crowd.past[row, -1]
        for t in range(STEPS):
            found, state = own.next(crowd, step, state)
            step = (path[t] - place).expand(len(crowd), 1, 2)
            alone[crowd.scene[row]] += found.log_prob(step)[row, 0]
            place = path[t]
    torch.testing.assert_close(own.log_prob(x, given), alone)


def test_columns_of_a_list_of_numbers_are_a_condition():
    """The mask counts where it is given beside the numbers, which have the name of the list."""
    own, given = model("social-gan").float(), scenes()
    named = {"past": given["past"].float(), "past.mask": given["past.mask"]}
    assert torch.equal(own.single(dict(named)), own.single(Condition(named)))
    listed = [
        [path.numpy() for path in item[there]] for item, there in zip(named["past"], named["past.mask"], strict=True)
    ]
    assert torch.equal(own.single({"past": listed}), own.single(Condition(named)))


def test_an_empty_scene_and_people_who_stand_still():
    for kind in MODELS:
        own = model(kind)
        given = Condition({"past": torch.ones(2, 4, SEEN, 2).double(), "past.mask": torch.zeros(2, 4).bool()})
        assert not draw(own, given).any()
        given["past.mask"][0, :2] = True
        x = torch.ones(2, 4, STEPS, 2).double()
        for phase in own.phases():
            terms = phase.loss(Turn(x, given))
            sum(terms.values()).backward()
        assert all(torch.isfinite(p.grad).all() for p in own.parameters() if p.grad is not None)


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_no_scene_is_refused(kind):
    for wrong in (
        DataSpec(Real((3,)), spec(4).condition),
        DataSpec(spec(4).x),
        DataSpec(spec(4).x, {"past": Many(Real((SEEN, 2)), 5)}),
        DataSpec(spec(4).x, {"past": Many(Real((SEEN, 3)), 4)}),
    ):
        with pytest.raises(UsageError, match=r"--condition past|as many people"):
            MODELS[kind](wrong)
