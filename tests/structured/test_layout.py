"""The layout of a scene: what lies where, whose boxes shape it, and that neither order, padding nor mates matter."""

import pytest
import torch

from simulacra.condition import Condition
from simulacra.data import DataSpec
from simulacra.errors import UsageError
from simulacra.fields import ClassLabel, Index, LabelMap, Levels, Many, Real, Record
from simulacra.networks import LayoutGenerator
from simulacra.networks.layout import laid_out, within_image
from simulacra.nn.boxes import spread

MOST = 4
FIELDS = {
    "objects": Many(Record({"kind": ClassLabel(3), "box": Real((4,))}), MOST),
    "relations": Many(
        Record({"subject": Index("objects", MOST), "predicate": ClassLabel(2), "object": Index("objects", MOST)}), 3
    ),
}
SPEC = DataSpec(Levels((3, 9, 14), 256), FIELDS)
UNKNOWN = [-1.0, -1.0, -1.0, -1.0]
THREE = [(2, [0.0, 0.0, 0.5, 0.5]), (0, [0.5, 0.5, 1.0, 1.0]), (1, [0.5, 0.0, 0.9, 0.4])]
LINKS = [(0, 1, 1), (2, 0, 1)]
SMALL = LayoutGenerator(width=4, features=6, hidden=8, layers=2, mask=4)


def condition(objects=(THREE,), relations=(LINKS,), fields=FIELDS) -> Condition:
    given = [[{"kind": kind, "box": box} for kind, box in own] for own in objects]
    links = [[{"subject": s, "predicate": p, "object": o} for s, p, o in own] for own in relations]
    columns = fields["objects"].convert("objects", given, single=False)
    if "relations" in fields:
        columns |= fields["relations"].convert("relations", links, single=False)
    return Condition({name: torch.from_numpy(own) for name, own in columns.items()})


@pytest.fixture(scope="module")
def generator() -> torch.nn.Module:
    torch.manual_seed(0)
    return lively(SMALL.build(SPEC, 3))


def lively(generator: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with norms that depend on the code."""
    for name, parameter in generator.named_parameters():
        if "modulation" in name:
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    return generator.double()


def codes(n: int) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_layout_of_one_object_that_fills_the_image_is_its_vector_everywhere():
    v = torch.randn(1, 1, 5)
    covered = spread(torch.ones(1, 1, 4, 4), torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), (6, 7))
    assert torch.allclose(laid_out(v, covered), v[0, 0].view(1, 5, 1, 1).expand(1, 5, 6, 7), atol=1e-6)


def test_the_layout_of_two_objects_is_the_sum_of_theirs():
    v, masks = torch.randn(1, 2, 5), torch.rand(1, 2, 4, 4)
    covered = spread(masks, torch.tensor([[[0.1, 0.2, 0.8, 0.9], [0.3, 0.0, 0.6, 1.0]]]), (6, 7))
    each = [laid_out(v[:, k : k + 1], covered[:, k : k + 1]) for k in range(2)]
    assert torch.allclose(laid_out(v, covered), each[0] + each[1], atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_predicted_boxes_lie_within_the_image_and_have_an_area(scale):
    box = within_image(scale * torch.randn(200, 4))
    assert (box[:, :2] < box[:, 2:]).all()
    assert (box >= 0).all()
    assert (box <= 1 + 1e-6).all()


def test_a_picture_is_of_the_size_of_x_and_in_range(generator):
    x = generator(codes(1), condition())
    assert x.shape == (1, 3, 9, 14)
    assert (x.abs() <= 1).all()


def test_objects_and_relations_have_no_order(generator):
    order = [2, 0, 1]
    to = {old: new for new, old in enumerate(order)}
    moved = [(to[s], p, to[o]) for s, p, o in LINKS][::-1]
    other = condition([[THREE[old] for old in order]], [moved])
    assert torch.allclose(generator(codes(1), other), generator(codes(1), condition()), atol=1e-10)


def test_an_item_depends_neither_on_its_mates_nor_on_padding(generator):
    many = condition([THREE, THREE[:1], []], [LINKS, [], []])
    z, x = codes(3), generator(codes(3), many)
    for i in range(3):
        assert torch.allclose(generator(z[i : i + 1], many.rows(slice(i, i + 1))), x[i : i + 1], atol=1e-10)
    mask = many["objects.mask"]
    junk = torch.where(mask[..., None], many["objects.box"], torch.nan)
    assert torch.equal(generator(z, many | {"objects.box": junk}), x)


def test_boxes_that_are_given_shape_the_layout_and_others_are_predicted(generator):
    z = codes(1)
    hidden = generator.under_options(condition(), boxes="predicted")
    free = generator.arranged(z, hidden)
    assert not free.known.any()
    assert torch.equal(free.boxes, free.predicted)
    assert torch.equal(generator.arranged(z, condition()).predicted, free.predicted)  # they follow from the graph alone
    fixed = condition() | {"objects.box": free.predicted.detach()}
    assert torch.allclose(generator(z, fixed), generator(z, hidden), atol=1e-10)
    assert not torch.allclose(generator(z, condition()), generator(z, hidden))
    some = condition([[THREE[0], (0, UNKNOWN), THREE[2]]])
    found = generator.arranged(z, some)
    assert found.known.tolist() == [[True, False, True, False]]
    assert torch.equal(found.boxes[0, 1], found.predicted[0, 1])
    assert found.boxes[0, 0].tolist() == THREE[0][1]


def test_a_box_moves_what_is_in_it_and_nothing_far_away():
    torch.manual_seed(0)
    spec = DataSpec(Levels((1, 32, 32), 256), FIELDS)
    generator = lively(SMALL.build(spec, 3))
    near = [condition([[(2, box)]], [[]]) for box in ([0.0, 0.0, 0.2, 0.2], [0.0, 0.1, 0.2, 0.3])]
    covered = [spread(torch.ones(1, 4, 4, 4).double(), own["objects.box"].double(), (32, 32))[0, 0] for own in near]
    assert (covered[0] != covered[1]).any()
    assert (covered[0] + covered[1])[:, 7:].sum() == 0
    assert not torch.allclose(generator(codes(1), near[0]), generator(codes(1), near[1]))


def test_a_picture_has_gradients_in_predicted_boxes_alone(generator):
    def slope(given: Condition) -> bool:
        generator.zero_grad()
        generator(codes(1), given).square().sum().backward()
        gradients = [parameter.grad for parameter in generator.boxes.parameters()]
        return any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)

    assert slope(generator.under_options(condition(), boxes="predicted"))
    assert not slope(condition())


def test_relations_may_be_missing_and_pictures_may_stand_beside_the_layout():
    torch.manual_seed(0)
    fields = {"objects": FIELDS["objects"], "map": LabelMap(3, (9, 14)), "label": ClassLabel(2)}
    generator = lively(SMALL.build(DataSpec(SPEC.x, fields), 3))
    own = condition(fields=fields) | {"map": torch.zeros(1, 9, 14).byte(), "label": torch.tensor([1])}
    x = generator(codes(1), own)
    assert not torch.allclose(generator(codes(1), own | {"map": torch.ones(1, 9, 14).byte()}), x)
    assert not torch.allclose(generator(codes(1), own | {"label": torch.tensor([0])}), x)


@pytest.mark.parametrize(
    "fields",
    [{}, {"label": ClassLabel(3)}, {"objects": Many(ClassLabel(3), 4)}, {"relations": FIELDS["relations"]}],
)
def test_a_condition_without_objects_in_boxes_is_refused_with_the_mend(fields):
    with pytest.raises(UsageError, match=r"no list of objects with a box each.*--condition objects relations"):
        SMALL.build(DataSpec(SPEC.x, fields), 3)


def test_what_is_no_image_is_refused():
    with pytest.raises(UsageError, match="layout networks are for images from 8×8 up"):
        SMALL.build(DataSpec(Real((5,)), FIELDS), 3)
