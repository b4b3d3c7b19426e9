"""Masks that are given to a layout: they take the place of its own, and its own learn from them."""

import math

import pytest
import torch
from test_layout import FIELDS, LINKS, SMALL, SPEC, THREE, UNKNOWN, codes, lively
from test_layout import condition as without_masks

from simulacra.adversarial import GAN
from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Many, Real, Record
from simulacra.fields.masks import SIDE, WITHIN_BOX
from simulacra.networks import LayoutGenerator, PatchCritic
from simulacra.structured import Masks, Objects, sg2im
from simulacra.turns import Turn

THING = Record({"kind": ClassLabel(3), "box": Real((4,)), "segmentation": WITHIN_BOX})
WITH = FIELDS | {"objects": Many(THING, 4)}
MASKED = DataSpec(SPEC.x, WITH)
OUTSIDE, INSIDE, IGNORED = (torch.full((SIDE, SIDE), number, dtype=torch.uint8) for number in range(3))
LEFT = torch.cat([torch.ones(SIDE, SIDE // 2), torch.zeros(SIDE, SIDE // 2)], dim=1).byte()


def condition(*masks, objects=THREE, relations=LINKS) -> Condition:
    own = without_masks([objects], [relations])
    given = torch.stack([*masks, *[OUTSIDE] * (4 - len(masks))])
    return own | {"objects.segmentation": given[None]}


@pytest.fixture(scope="module")
def generator() -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(SMALL.build(MASKED, 3))


def covered(generator, given: Condition) -> torch.Tensor:
    return generator.arranged(codes(1), given).covered((8, 16))[0].detach()


def test_a_mask_that_is_given_is_where_its_object_lies(generator):
    boxes = [(0, [0.0, 0.0, 0.5, 0.5]), (1, [0.5, 0.0, 1.0, 1.0])]
    found = covered(generator, condition(INSIDE, LEFT, objects=boxes, relations=[]))
    whole, half = torch.zeros(8, 16).double(), torch.zeros(8, 16).double()
    whole[:4, :8] = 1
    half[:, 8:12] = 1
    assert torch.allclose(found[0], whole)
    # interpolated across its edge, at column 12
    assert torch.allclose(found[1][:, [*range(8, 11), *range(13, 16)]], half[:, [*range(8, 11), *range(13, 16)]])
    assert found[1].sum() == pytest.approx(half.sum().item())
    assert (found[2:] == 0).all()


def test_masks_that_are_not_given_are_the_networks_own(generator):
    own = covered(generator, condition(IGNORED, IGNORED, IGNORED))
    mixed = covered(generator, condition(IGNORED, LEFT, IGNORED))
    assert torch.equal(own[[0, 2, 3]], mixed[[0, 2, 3]])
    assert not torch.allclose(own[1], mixed[1])
    found = generator.arranged(codes(1), condition(IGNORED, LEFT, IGNORED))
    assert found.outlined.tolist() == [[False, True, False, False]]


def test_an_object_whose_mask_is_empty_leaves_the_picture_as_if_it_were_not_there(generator):
    gone = condition(LEFT, INSIDE, OUTSIDE, relations=[])
    two = condition(LEFT, INSIDE, objects=THREE[:2], relations=[])
    assert torch.allclose(generator(codes(1), gone), generator(codes(1), two), atol=1e-12)
    there = condition(LEFT, INSIDE, INSIDE, relations=[])
    assert not torch.allclose(generator(codes(1), there), generator(codes(1), two))


def test_a_picture_of_given_masks_has_no_gradient_in_the_networks_own(generator):
    def slope(given: Condition) -> bool:
        generator.zero_grad()
        generator(codes(1), given).square().sum().backward()
        return any(own.grad is not None and bool(own.grad.abs().sum() > 0) for own in generator.masks.parameters())

    assert not slope(condition(LEFT, INSIDE, LEFT))
    assert slope(condition(LEFT, INSIDE, IGNORED))


def test_what_follows_from_the_graph_alone_reads_neither_boxes_nor_masks(generator):
    ones, others = condition(LEFT, INSIDE, LEFT), condition(INSIDE, LEFT, OUTSIDE)
    free = [generator(codes(1), generator.under_options(own, boxes="predicted")) for own in (ones, others)]
    assert torch.equal(*free)
    assert not torch.allclose(generator(codes(1), ones), generator(codes(1), others))
    found = [generator.arranged(codes(1), own) for own in (ones, others)]
    assert torch.equal(found[0].vectors, found[1].vectors)
    assert torch.equal(found[0].masks, found[1].masks)


# Its loss


def model(spec: DataSpec = MASKED, weight: float = 1.0) -> GAN:
    torch.manual_seed(0)
    return sg2im(spec, 3, SMALL, PatchCritic(4), objects=Objects(side=8, width=4), masks=Masks(weight))


def loss(of: GAN, given: Condition) -> float:
    torch.manual_seed(1)
    x = torch.randint(256, (1, *SPEC.shape), generator=torch.Generator().manual_seed(0)).byte()
    return of.generator_loss(Turn(x, given))["masks"].item()


def test_a_mask_costs_the_mean_of_its_cross_entropy_over_the_objects_whose_masks_are_given():
    own = model(weight=3.0)
    last = own.generator.masks[-1]
    last.weight.data.zero_()
    last.bias.data.fill_(math.log(3))  # all places are within the object at 3 to 1
    right, wrong = -math.log(3 / 4), -math.log(1 / 4)
    assert loss(own, condition(INSIDE, OUTSIDE, IGNORED)) == pytest.approx(3 * (right + wrong) / 2, rel=1e-5)
    assert loss(own, condition(LEFT, IGNORED, IGNORED)) == pytest.approx(3 * (right + wrong) / 2, rel=1e-5)
    assert loss(own, condition(IGNORED, IGNORED, IGNORED)) == 0


def test_masks_are_compared_where_objects_have_some_alone():
    without = model(DataSpec(SPEC.x, FIELDS))
    x = torch.zeros(1, *SPEC.shape).byte()
    assert "masks" not in without.generator_loss(Turn(x, without_masks([THREE], [LINKS])))
    with pytest.raises(UsageError, match="the objects of the condition have none"):
        GAN(DataSpec(SPEC.x, FIELDS), 3, SMALL, PatchCritic(4), penalties=(Masks(),))


def test_a_layout_of_another_side_than_the_masks_learns_too():
    torch.manual_seed(0)
    wide = LayoutGenerator(width=4, features=6, hidden=8, layers=1, mask=32)
    own = sg2im(MASKED, 3, wide, PatchCritic(4), objects=Objects(side=8, width=4))
    assert math.isfinite(loss(own, condition(LEFT, INSIDE, IGNORED)))


def test_samples_take_masks_as_fields():
    own = model()
    things = [{"kind": kind, "box": box, "segmentation": LEFT.numpy()} for kind, box in [*THREE[:2], (1, UNKNOWN)]]
    x = own.sample(1, {"objects": [things], "relations": [[]]})
    assert x.shape == (1, *SPEC.shape)
