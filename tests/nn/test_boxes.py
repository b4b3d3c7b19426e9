"""Masks spread over boxes, and what lies in a box: areas, edges, the way there and back, and gradients."""

import pytest
import torch

from simulacra.nn.boxes import cropped, given, spread

FULL = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)


def boxes(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_ones_over_the_whole_image_are_ones_everywhere():
    assert torch.allclose(spread(torch.ones(5, 5).double(), FULL, (7, 9)), torch.ones(7, 9).double(), atol=1e-12)


def test_the_mass_of_a_mask_of_ones_is_the_area_of_its_box():
    own = boxes((0.13, 0.2, 0.61, 0.9), (0.5, 0.5, 0.51, 0.52), (-0.5, 0.0, 0.5, 2.0), (0.6, 0.1, 0.2, 0.9))
    mass = spread(torch.ones(4, 6, 6).double(), own, (11, 8)).sum((1, 2)) / 88
    assert torch.allclose(mass, boxes(0.48 * 0.7, 0.01 * 0.02, 0.5, 0.0), atol=1e-9)


def test_nothing_lies_outside_of_the_box():
    found = spread(torch.ones(4, 4).double(), boxes(0.25, 0.5, 0.75, 1.0), (8, 8))
    inside = torch.zeros(8, 8).double()
    inside[4:, 2:6] = 1
    assert torch.allclose(found, inside, atol=1e-12)


def test_a_mask_as_large_as_its_box_is_put_there_as_it_is_and_found_again():
    torch.manual_seed(0)
    masks = torch.rand(1, 2, 4, 4).double()
    own = boxes((0.25, 0.5, 0.75, 1.0), (0.0, 0.0, 0.5, 0.5))[None]
    image = spread(masks, own, (8, 8))
    assert torch.allclose(image[0, 0, 4:, 2:6], masks[0, 0], atol=1e-12)
    assert torch.allclose(cropped(image.sum(1, keepdim=True), own, 4)[:, :, 0], masks, atol=1e-12)


def test_a_crop_of_a_plane_is_the_plane_at_its_places():
    rows = torch.arange(12).double()[:, None].expand(12, 16)
    columns = torch.arange(16).double().expand(12, 16)
    found = cropped(torch.stack([rows, columns])[None], boxes((0.25, 0.25, 0.625, 0.5))[None], 3)[0, 0]
    assert torch.allclose(found[0, :, 0], boxes(3.0, 4.0, 5.0), atol=1e-9)
    assert torch.allclose(found[1, 0], boxes(4.5, 6.5, 8.5), atol=1e-9)


def test_a_crop_of_a_large_box_takes_means_and_skips_no_pixel():
    torch.manual_seed(0)
    x = torch.rand(1, 1, 32, 32).double().requires_grad_()
    cropped(x, FULL.view(1, 1, 4), 4).sum().backward()
    assert (x.grad > 0).all()


@pytest.mark.parametrize("box", [(0.3, 0.3, 0.3, 0.3), (0.9, 0.9, 0.1, 0.1), (2.0, 2.0, 3.0, 3.0)])
def test_boxes_without_an_area_or_out_of_the_image_cover_nothing_and_break_nothing(box):
    own = boxes(box).requires_grad_()
    image = spread(torch.ones(4, 4).double(), own, (8, 8))
    assert (image == 0).all()
    assert cropped(torch.ones(1, 1, 8, 8).double(), own[None], 4).isfinite().all()
    image.sum().backward()
    assert own.grad.isfinite().all()


def test_gradients_reach_masks_and_boxes():
    torch.manual_seed(0)
    masks, own = torch.rand(2, 3, 3).double(), boxes((0.11, 0.23, 0.57, 0.71), (0.31, 0.02, 0.93, 0.44))
    for begin in (masks, own):
        begin.requires_grad_()
    weights = torch.rand(2, 9, 7).double()
    # the width of the hats is a constant of the gradient: it is 1 where a mask is made larger
    assert torch.autograd.gradcheck(lambda m, b: (spread(m, b, (9, 7)) * weights).sum(), (masks, own))


def test_a_box_is_not_given_where_all_four_numbers_are_minus_one():
    assert given(boxes((-1, -1, -1, -1), (-1, 0, -1, -1), (0, 0, 1, 1))).tolist() == [False, True, True]
