"""sg2im: losses of boxes and of objects by hand, who learns from them, and what has no part in them."""

import math

import numpy as np
import pytest
import torch
from test_layout import FIELDS, LINKS, SMALL, SPEC, THREE, UNKNOWN, condition

import simulacra as sim
from simulacra.adversarial import GAN
from simulacra.cli.given import options_of
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Many, Real, Record
from simulacra.networks import DCGenerator, PatchCritic
from simulacra.networks.layout import Arrangement
from simulacra.structured import Boxes, Objects, sg2im
from simulacra.structured.objects import shared
from simulacra.turns import Turn

TWO = condition([THREE, THREE[:1]], [LINKS, []])


def model(**given) -> GAN:
    torch.manual_seed(0)
    small = {"objects": Objects(side=8, width=4)} | given
    return sg2im(SPEC, latent=3, generator=SMALL, critic=PatchCritic(4), **small)


def turn(own: Condition = TWO) -> Turn:
    x = torch.randint(256, (len(own["objects.mask"]), *SPEC.shape), generator=torch.Generator().manual_seed(0))
    return Turn(x.byte(), own)


def terms(of: GAN, player: str, own: Condition = TWO) -> dict[str, float]:
    torch.manual_seed(1)
    losses = of.critic_loss(turn(own)) if player == "critic" else of.generator_loss(turn(own))
    return {name: loss.item() for name, loss in losses.items()}


def test_the_terms_of_both_players():
    assert set(terms(model(), "critic")) == {"critic", "objects"}
    assert set(terms(model(), "generator")) == {"generator", "l1", "boxes", "objects"}


# Boxes


def predicted(of: GAN) -> torch.Tensor:
    torch.manual_seed(1)
    return of.generator.arranged(of.prior(2).sample(), TWO).predicted.detach()


def test_boxes_that_are_right_cost_nothing():
    own = model(boxes=Boxes(answers=1))
    assert terms(own, "generator", TWO | {"objects.box": predicted(own)})["boxes"] == pytest.approx(0, abs=1e-6)


def test_boxes_cost_their_mean_distance_over_objects_and_items():
    own = model(boxes=Boxes(7.0, apart=0.0, answers=1))
    away = torch.zeros(2, 4, 4)
    away[0, :3], away[1, :1] = torch.tensor([0.3, 0.6, 0.9]).view(3, 1), 0.2
    given = TWO | {"objects.box": predicted(own) + away}
    assert terms(own, "generator", given)["boxes"] == pytest.approx(7 * (0.6 + 0.2) / 2, rel=1e-4)


def test_boxes_that_are_not_given_cost_nothing():
    own = model(boxes=Boxes(7.0, apart=0.0, answers=1))
    boxes = predicted(own) + 0.5
    boxes[0, 1] = torch.tensor(UNKNOWN)
    boxes[1] = torch.tensor(UNKNOWN)
    given = TWO | {"objects.box": boxes}
    assert terms(own, "generator", given)["boxes"] == pytest.approx(7 * 0.5 / 2, rel=1e-4)


def arrangement(true, found, known=(True, True, False)) -> Arrangement:
    mask = torch.tensor([known])
    places = torch.tensor([found]), torch.tensor([true])
    return Arrangement(mask, mask, *places, torch.zeros(1, 3, 1), mask, torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))


LEFT, MIDDLE, RIGHT = [0.0, 0.0, 0.4, 0.4], [0.2, 0.0, 0.6, 0.4], [0.5, 0.0, 0.9, 0.4]


def reach(own: Arrangement) -> torch.Tensor:
    return shared(own.predicted, own.boxes, own.known.float())


def test_what_predicted_boxes_share_counts_where_it_is_more_than_in_the_data():
    assert reach(arrangement([LEFT, RIGHT, LEFT], [LEFT, RIGHT, LEFT]))[0].tolist() == [0, 0, 0]
    half = reach(arrangement([LEFT, RIGHT, LEFT], [LEFT, MIDDLE, LEFT]))[0]
    assert half.tolist() == pytest.approx([0.5, 0.5, 0])
    assert reach(arrangement([LEFT, MIDDLE, LEFT], [LEFT, MIDDLE, LEFT]))[0].tolist() == pytest.approx(
        [0, 0, 0], abs=1e-6
    )


def test_boxes_are_moved_apart_and_never_made_smaller():
    found = torch.tensor([[LEFT, MIDDLE, LEFT]]).requires_grad_()
    own = arrangement([LEFT, RIGHT, LEFT], [LEFT, MIDDLE, LEFT])._replace(predicted=found)
    reach(own).sum().backward()
    gradient = found.grad[0]
    assert torch.allclose(gradient[:, :2], gradient[:, 2:], atol=1e-6)  # of the middle, not of the size
    assert gradient[0, 0] > 0 > gradient[1, 0]  # a step against it parts them
    assert gradient[2].abs().sum() == 0


def test_of_several_answers_the_nearest_counts():
    one, many = (terms(model(boxes=Boxes(apart=0.0, answers=k)), "generator")["boxes"] for k in (1, 6))
    assert 0 < many < one


def test_boxes_that_are_given_may_be_left_out_of_what_is_drawn():
    own = model()
    other = TWO | {"objects.box": TWO["objects.box"].flip(1)}

    def drawn(given: Condition, **options) -> torch.Tensor:
        return own.sample(2, given, generator=torch.Generator().manual_seed(0), **options)

    assert not torch.equal(drawn(TWO), drawn(other))
    assert torch.equal(drawn(TWO, boxes="predicted"), drawn(other, boxes="predicted"))
    hidden = TWO | {"objects.box": torch.full((2, 4, 4), -1.0)}
    assert torch.equal(drawn(TWO, boxes="predicted"), drawn(hidden))


def test_the_command_line_and_the_verb_reach_the_option_of_the_generator():
    own = model().eval()
    given = options_of([["boxes=predicted", "standing=0"]], own)
    assert given == {"boxes": "predicted", "standing": 0}
    free = TWO | {"objects.box": torch.full((2, 4, 4), -1.0)}
    found = sim.sample(own, 2, condition=TWO, options=given)
    assert np.array_equal(found, sim.sample(own, 2, condition=free))
    assert not np.array_equal(found, sim.sample(own, 2, condition=TWO))
    with pytest.raises(UsageError, match="--option boxes cannot be 'none': it is given or predicted"):
        options_of([["boxes=none"]], own)


# Objects


def zeroed(of: GAN) -> GAN:
    for parameter in of.memories.parameters():
        parameter.data.zero_()
    return of


def test_a_critic_of_objects_without_weights_knows_nothing():
    own = zeroed(model(objects=Objects(2.0, side=8, width=4, auxiliary=0.5)))
    classes = 0.5 * math.log(3)
    assert terms(own, "critic")["objects"] == pytest.approx(2 * (2 * math.log(2) + classes), rel=1e-5)
    assert terms(own, "generator")["objects"] == pytest.approx(2 * (math.log(2) + classes), rel=1e-5)


def test_only_objects_that_are_there_count_and_real_ones_where_their_boxes_are_given():
    own = zeroed(model())
    unknown = condition([THREE, [(1, UNKNOWN)]], [LINKS, []])
    nats, real, fake = math.log(3), math.log(2), math.log(2)
    assert terms(own, "critic", unknown)["objects"] == pytest.approx((real + nats) / 2 + fake, rel=1e-5)
    none = condition([THREE, []], [LINKS, []])
    assert terms(own, "critic", none)["objects"] == pytest.approx((real + nats + fake) / 2, rel=1e-5)
    assert terms(own, "generator", none)["objects"] == pytest.approx((fake + nats) / 2, rel=1e-5)


def test_padding_has_no_part_in_any_loss():
    mask = TWO["objects.mask"]
    junk = {
        "objects.kind": torch.where(mask, TWO["objects.kind"], 2),
        "objects.box": torch.where(mask[..., None], TWO["objects.box"], 0.7),
    }
    for player in ("critic", "generator"):
        assert terms(model(), player, TWO | junk) == pytest.approx(terms(model(), player), rel=1e-6)


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_a_turn_moves_all_of_its_player_and_nothing_of_the_other(player):
    own = model()
    (phase,) = (each for each in own.phases() if each.name == player)
    mine = {id(parameter) for parameter in phase.player.parameters()}
    for name, parameter in own.named_parameters():
        parameter.requires_grad_(id(parameter) in mine)
        if "modulation" in name:
            torch.nn.init.normal_(parameter.data, 0.0, 0.1)
    torch.manual_seed(1)
    sum(phase.loss(turn()).values()).backward()
    for name, parameter in own.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)) == (id(parameter) in mine), name
    assert any(
        name.startswith("memories.") and id(parameter) in mine for name, parameter in own.named_parameters()
    ) == (player == "critic")


def test_an_object_may_have_no_classes_at_all():
    fields = FIELDS | {"objects": Many(Record({"box": Real((4,))}), 4)}
    torch.manual_seed(0)
    own = sg2im(DataSpec(SPEC.x, fields), latent=3, generator=SMALL, critic=PatchCritic(4), objects=Objects(side=8))
    given = Condition({name: values for name, values in TWO.items() if name != "objects.kind"})
    assert all(math.isfinite(term) for term in terms(zeroed(own), "critic", given).values())


# What is refused


@pytest.mark.parametrize("penalty", [Boxes(), Objects()])
def test_a_generator_without_boxes_is_refused(penalty):
    with pytest.raises(UsageError, match="is for a generator that places objects in boxes: --generator layout"):
        GAN(SPEC, 3, DCGenerator(4), PatchCritic(4), penalties=(penalty,))


def test_boxes_are_predicted_by_a_generator_that_places_objects_alone():
    gan = GAN(DataSpec(SPEC.x), 3, DCGenerator(4), PatchCritic(4))
    with pytest.raises(UsageError, match=r"no sampling option 'boxes'\. It is one of --generator layout alone"):
        gan.sample(1, boxes="predicted")
    with pytest.raises(UsageError, match=r"gan has no sampling option 'boxes'\. It is one of --generator layout alone"):
        sim.sample(gan, 1, options={"boxes": "predicted"})
    with pytest.raises(UsageError, match="boxes cannot be 'none': it is given or predicted"):
        model().sample(2, TWO, boxes="none")
    with pytest.raises(UsageError, match="Did you mean 'boxes'"):
        sim.sample(model(), 2, condition=TWO, options={"box": "predicted"})


@pytest.mark.parametrize("side", [6, 10])
def test_crops_that_cannot_be_halved_twice_are_refused(side):
    with pytest.raises(UsageError, match="multiple of 4"):
        Objects(side=side)


def test_pictures_of_a_class_are_refused_with_the_mend():
    with pytest.raises(UsageError, match=r"no list of objects with a box each.*--condition objects relations"):
        sg2im(DataSpec(SPEC.x, {"label": ClassLabel(3)}))
