"""A small image that a walk makes in passing, and what it hands back, are those of the whole image."""

import pytest
import torch
from small import randomise

from simulacra.nn import Grow, Memory, ShrinkDown, ShrinkRight

SIZES = [(4, 6), (5, 3), (1, 4), (5, 1), (1, 1), (3, 7)]
every_size = pytest.mark.parametrize("size", SIZES, ids=str)
WIDTH, N = 3, 2


def image(size) -> torch.Tensor:
    return torch.randn(N, WIDTH, *size, dtype=torch.float64, requires_grad=True)


def small(size) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def walk(size, channels: int = 1):
    """The memory at every pixel in raster order."""
    memory = Memory(N, (channels, *size), torch.zeros(1, dtype=torch.float64))
    for _ in range(size[0] * size[1] * channels):
        yield memory
        memory.advance()


def layer(kind):
    return randomise(kind(WIDTH)).double()


@every_size
@torch.no_grad()
def test_rows_shrink_as_they_come(size):
    shrink, x = layer(ShrinkDown), image(size)
    found = [shrink(x[:, :, m.row, None], m) for m in walk(size) if m.column == 0]
    assert [row is None for row in found] == [bool(r % 2) for r in range(size[0])]
    rows = torch.cat([row for row in found if row is not None], dim=2)
    assert rows.shape[2:] == small(size)
    torch.testing.assert_close(rows, shrink(x), rtol=1e-12, atol=1e-12)


@every_size
@torch.no_grad()
def test_pixels_shrink_as_they_come(size):
    shrink, x = layer(ShrinkRight), image(size)
    whole = shrink(x)
    assert whole.shape[2:] == small(size)
    for m in walk(size):
        pixel = shrink(x[:, :, m.row, m.column], m)
        assert (pixel is None) == bool(m.row % 2 or m.column % 2)
        if pixel is not None:
            torch.testing.assert_close(pixel, whole[:, :, m.row // 2, m.column // 2], rtol=1e-12, atol=1e-12)


@every_size
@torch.no_grad()
def test_rows_and_pixels_grow_when_they_are_wanted(size):
    """What a small pixel is turned into is worked out once, and handed out at four places."""
    grow, x = layer(Grow), image(small(size))
    whole = grow(x, *size)
    assert whole.shape[2:] == size
    for by_row in (True, False):
        for m in walk(size):
            due = m.row % 2 == 0 and (by_row or m.column % 2 == 0)
            if by_row and m.column == 0:
                row = grow.row(x[:, :, m.row // 2, None] if due else None, m)
                torch.testing.assert_close(row[:, :, 0], whole[:, :, m.row], rtol=1e-12, atol=1e-12)
            elif not by_row:
                pixel = grow.pixel(x[:, :, m.row // 2, m.column // 2] if due else None, m)
                torch.testing.assert_close(pixel, whole[:, :, m.row, m.column], rtol=1e-12, atol=1e-12)


@every_size
def test_a_small_pixel_knows_its_own_corner_and_what_lies_above_or_to_the_left_of_it(size):
    """So that what it hands to the place of its corner, and to three later ones, is nothing that comes later."""
    for kind, right in ((ShrinkDown, 1), (ShrinkRight, 0)):
        x = image(size)
        shrunk = layer(kind)(x)
        for r, c in ((small(size)[0] - 1, small(size)[1] - 1), (0, 0)):
            (reached,) = torch.autograd.grad(shrunk[:, :, r, c].sum(), x, retain_graph=True)
            rows, columns = (reached[0] != 0).any(0).nonzero().T
            assert rows.aminmax() == (max(0, 2 * r - 1), 2 * r)
            assert columns.aminmax() == (max(0, 2 * c - 1), min(size[1] - 1, 2 * c + right))


def test_half_a_memory_follows_the_whole_one():
    """At every second row and column, sub-pixels and further halves included."""
    for m in walk((5, 3), channels=3):
        half, quarter = m.halved(), m.halved().halved()
        assert (half.row, half.column) == (m.row // 2, m.column // 2)
        assert (quarter.row, quarter.column) == (m.row // 4, m.column // 4)
        assert (half.height, half.width, quarter.height, quarter.width) == (3, 2, 2, 1)
