"""A norm that pictures scale and shift, place by place."""

import pytest
import torch
from torch import nn

from simulacra.fields import LabelMap, Levels
from simulacra.nn import ConditionalGroupNorm, Pictures, SpatialNorm, groups_for

WIDTH, INPUTS = 16, 4


def norm(lively: bool = True) -> SpatialNorm:
    torch.manual_seed(0)
    made = SpatialNorm(WIDTH, INPUTS, 8).double()
    if lively:
        nn.init.normal_(made.modulation.weight)
        nn.init.normal_(made.modulation.bias)
    return made


def features(n: int = 2, height: int = 9, width: int = 14, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(n, WIDTH, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 3 * noise + 1


def maps(n: int = 2, height: int = 9, width: int = 14, seed: int = 1) -> torch.Tensor:
    classes = torch.randint(INPUTS, (n, height, width), generator=torch.Generator().manual_seed(seed))
    return Pictures({"map": LabelMap(INPUTS, (height, width))}, (height, width))({"map": classes}).double()


def plain(h: torch.Tensor) -> torch.Tensor:
    return nn.functional.group_norm(h, groups_for(WIDTH))


def test_it_begins_as_the_plain_norm():
    assert torch.equal(norm(lively=False)(features(), maps()), plain(features()))


def test_it_scales_by_one_more_than_the_gain_and_shifts():
    own = norm()
    gain, offset = own.modulated(maps(), (9, 14)).chunk(2, dim=1)
    torch.testing.assert_close(own(features(), maps()), (1 + gain) * plain(features()) + offset)


def test_under_a_map_that_is_the_same_everywhere_it_has_a_gain_and_an_offset_for_each_channel():
    own, everywhere = norm(), torch.zeros(1, INPUTS, 9, 14, dtype=torch.float64)
    everywhere[:, 2] = 1
    modulation = own.modulated(everywhere, (9, 14))
    torch.testing.assert_close(modulation, modulation[:, :, :1, :1].expand_as(modulation))
    other = ConditionalGroupNorm(WIDTH, 1).double()
    other.modulation.bias.data = modulation[0, :, 4, 4].detach()
    torch.testing.assert_close(own(features(1), everywhere), other(features(1), torch.zeros(1, 1).double()))


def test_a_place_of_the_map_is_seen_two_pixels_around_it_and_nowhere_else():
    own, pictures = norm(), maps(1).requires_grad_()
    modulation = own.modulated(pictures, (9, 14))
    for place in ((0, 0), (4, 7), (8, 13)):
        (gradient,) = torch.autograd.grad(modulation[0, :, *place].sum(), pictures, retain_graph=True)
        seen = (gradient[0] != 0).any(0)
        rows, columns = seen.nonzero().unbind(1)
        assert max((rows - place[0]).abs().max(), (columns - place[1]).abs().max()) <= 2
        assert seen[place]


def test_a_change_in_a_corner_changes_no_other_one():
    own, one = norm(), maps(1)
    other = one.clone()
    other[:, :, :2, :2] = one[:, :, :2, :2].roll(1, 1)
    changed = (own(features(1), one) != own(features(1), other)).any(1)[0]
    assert changed[:2, :2].all()
    assert not changed[4:].any()
    assert not changed[:, 4:].any()


def test_an_item_does_not_depend_on_the_others():
    own, h, m = norm(), features(3), maps(3)
    together = own(h, m)
    for i in range(3):
        torch.testing.assert_close(own(h[i : i + 1], m[i : i + 1])[0], together[i], rtol=1e-12, atol=1e-12)


def test_a_larger_map_is_brought_to_the_size_by_the_shares_of_its_classes():
    own, large = norm(), maps(2, 18, 28)
    shares = large.unflatten(2, (9, 2)).unflatten(4, (14, 2)).mean((3, 5))
    torch.testing.assert_close(own(features(), large), own(features(), shares))
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 9, 14, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_keeps_the_precision_of_its_features(dtype):
    assert norm().to(dtype)(features().to(dtype), maps().to(dtype)).dtype == dtype


def test_pictures_of_levels_scale_it_too():
    pictures = Pictures({"small": Levels((4, 3, 5), 17)}, (9, 14))
    read = pictures({"small": torch.randint(17, (2, 4, 3, 5), dtype=torch.uint8)}).double()
    assert norm()(features(), read).shape == (2, WIDTH, 9, 14)
