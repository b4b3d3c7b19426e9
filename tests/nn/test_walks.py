"""A convolution that walks, and keeps what it has seen, says of every pixel what the whole image gives at once."""

import pytest
import torch
from small import randomise

from simulacra.nn import DownConv2d, MaskedConv2d, Memory, RightConv2d, group_mask, groups_of

DOWN = [(1, 0), (1, 2), (2, 1), (3, 0), (4, 3)]  # rows, reach
RIGHT = [  # above, left, right
    (0, 0, 0),
    (0, 2, 0),
    (1, 1, 1),
    (3, 3, 3),
    (2, 0, 1),
    (1, 5, 0),
]
SIZES = [(4, 5), (1, 4), (5, 1), (1, 1)]


def images(n: int, channels: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(n, channels, height, width, dtype=torch.float64)


def jacobian(layer, channels: int, height: int, width: int) -> torch.Tensor:
    """(H·W·outputs, H·W·inputs) whether an output depends on an input; places first, then channels."""
    found = torch.autograd.functional.jacobian(lambda x: layer(x)[0], images(1, channels, height, width))[:, :, :, 0]
    return (found.permute(1, 2, 0, 4, 5, 3) != 0).flatten(3).flatten(0, 2)


@pytest.mark.parametrize(("rows", "reach"), DOWN)
def test_a_down_convolution_reads_its_own_row_and_those_above(rows, reach):
    layer = randomise(DownConv2d(1, 1, rows, reach).double())
    reached = jacobian(layer, 1, 5, 6).view(5, 6, 5, 6)
    for row, column, source_row, source_column in torch.cartesian_prod(*(torch.arange(side) for side in (5, 6, 5, 6))):
        expected = 0 <= row - source_row < rows and abs(column - source_column) <= reach
        assert reached[row, column, source_row, source_column] == expected


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("rows", "reach"), DOWN)
def test_row_by_row_a_down_convolution_gives_the_same(rows, reach, size):
    layer, x = randomise(DownConv2d(2, 3, rows, reach).double()), images(2, 2, *size)
    memory = Memory(2, (1, *size), x)
    with torch.no_grad():
        walked = torch.cat([layer(row, memory) for row in x.split(1, 2)], 2)
    torch.testing.assert_close(walked, layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("above", "left", "right"), RIGHT)
def test_a_right_convolution_reads_what_it_says(above, left, right, strict):
    layer = randomise(RightConv2d(1, 1, above, left, right, strict=strict).double())
    reached = jacobian(layer, 1, 4, 5).view(4, 5, 4, 5)
    for row, column, source_row, source_column in torch.cartesian_prod(*(torch.arange(side) for side in (4, 5, 4, 5))):
        up, aside = row - source_row, column - source_column
        here = strict <= aside <= left if up == 0 else -right <= aside <= left
        assert reached[row, column, source_row, source_column] == (0 <= up <= above and here)


@pytest.mark.parametrize("strict", [False, True])
def test_within_a_pixel_a_group_reads_the_groups_before_it(strict):
    layer = randomise(RightConv2d(3, 6, left=1, groups=3, strict=strict, period=3).double())
    own_pixel = jacobian(layer, 3, 1, 2).view(2, 6, 2, 3)[1, :, 1]
    assert torch.equal(own_pixel, group_mask(6, 3, 3, strict, period=3).bool())
    assert jacobian(layer, 3, 1, 2).view(2, 6, 2, 3)[1, :, 0].all()  # and everything of the pixel on the left


def walk(layer: RightConv2d, x: torch.Tensor, added: torch.Tensor | None) -> torch.Tensor:
    """(N, C', H, W) sub-pixel by sub-pixel, as a sampler goes: of the image a pixel shows what is known so far."""
    n, _, height, width = x.shape
    groups = layer.groups_of_features
    memory = Memory(n, (groups, height, width), x)
    parts = groups_of(x.shape[1], groups)
    output = x.new_zeros(n, layer.out_channels, height, width)
    for row, column, group in torch.cartesian_prod(torch.arange(height), torch.arange(width), torch.arange(groups)):
        assert (memory.row, memory.column, memory.channel) == (row, column, group)
        pixel, term = x[:, :, row, column], added
        if added is not None and added.shape[2] > 1:
            term = added[:, :, row : row + 1]
        given = pixel * (parts < group) if layer.strict else pixel[:, parts == group]
        members = groups_of(layer.out_channels, groups, layer.period) == group
        output[:, members, row, column] = layer(given, term, memory)
        if group == groups - 1 and layer.strict:
            memory.previous.copy_(pixel)
        memory.advance()
    return output


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("groups", "strict"), [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize(("above", "left", "right"), RIGHT)
@torch.no_grad()
def test_pixel_by_pixel_a_right_convolution_gives_the_same(above, left, right, groups, strict, size):
    inputs = groups if strict else 2 * groups
    layer = RightConv2d(inputs, 4 * groups, above, left, right, groups, strict, period=2 * groups)
    x = images(2, inputs, *size)
    for added in (None, images(1, 4 * groups, 1, 1), images(2, 4 * groups, *size)):
        randomise(layer.double())
        torch.testing.assert_close(walk(layer, x, added), layer(x, added), rtol=1e-12, atol=1e-12)


def test_a_walk_goes_row_by_row_and_red_before_green():
    memory, seen = Memory(1, (2, 2, 3), torch.zeros(1)), []
    for _ in range(12):
        seen.append((memory.row, memory.column, memory.channel))
        memory.advance()
    assert seen == sorted(seen)
    assert len(set(seen)) == 12


def test_a_memory_keeps_what_is_made_for_each_layer_once():
    memory, layers = Memory(1, (1, 1, 1), torch.zeros(1)), [torch.nn.Identity(), torch.nn.Identity()]
    made = [memory.keep(layer, object) for layer in layers]
    assert made[0] is not made[1]
    assert [memory.keep(layer, object) for layer in layers] == made


def test_groups_are_runs_and_a_gate_has_two_of_each():
    assert groups_of(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert groups_of(6, 3, period=3).tolist() == [0, 1, 2, 0, 1, 2]


def test_group_mask_lets_red_reach_green_and_green_reach_blue():
    assert group_mask(3, 3, 3, strict=True).tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert group_mask(3, 3, 3, strict=False).tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    halves = group_mask(6, 3, 3, strict=False, period=3)  # both halves of a gate see the same
    assert torch.equal(halves[:3], halves[3:])


def test_a_mask_is_no_weight_and_what_it_hides_has_no_part():
    layer = MaskedConv2d(2, 2, (1, 1), torch.tensor([[1.0, 0.0], [1.0, 1.0]])[:, :, None, None])
    assert list(layer.state_dict()) == ["weight", "bias"]
    x = torch.randn(3, 2, 2, 2)
    before = layer(x)
    before.sum().backward()
    assert layer.weight.grad[0, 1] == 0
    assert (layer.weight.grad[layer.mask == 1] != 0).all()
    with torch.no_grad():
        layer.weight[0, 1] = 1e6
    assert torch.equal(layer(x), before)


def test_a_mask_leaves_the_scale_of_a_fresh_layer_as_it_was():
    """Half of the inputs, weights √2 as large."""
    torch.manual_seed(0)
    mask = (torch.arange(64) % 2).float()[None, :, None, None]
    full, half = (MaskedConv2d(64, 256, (1, 1), m) for m in (torch.ones_like(mask), mask))
    x = torch.randn(256, 64, 1, 1)
    assert half(x).std().item() == pytest.approx(full(x).std().item(), rel=0.1)
