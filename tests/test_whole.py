"""A part of a batch draws its rows of the noise of the whole; without parts nothing is changed."""

import pytest
import torch
from torch import Tensor

from simulacra import whole
from simulacra.distributions import DiagonalGaussian
from simulacra.whole import Part, seen_from

CPU, LIKE = torch.device("cpu"), torch.zeros(0)


def part(rows: slice, total: int = 7) -> Part:
    def alone(value: Tensor) -> Tensor:
        return value

    return Part(rows, total, 5, (rows.stop - rows.start,), 0, alone, {"label": torch.arange(total)}.__getitem__)


def in_parts(draw, *ends: int) -> list[Tensor]:
    """What a function of the number of items draws in the parts between these ends."""
    found = []
    for begin, end in zip((0, *ends), (*ends, 7), strict=True):
        with seen_from(part(slice(begin, end))):
            found.append(draw(end - begin))
    return found


def alone(draw) -> Tensor:
    torch.manual_seed(5)
    return draw(7)


@pytest.mark.parametrize("ends", [(3,), (1, 2), ()])
def test_parts_draw_the_rows_of_the_whole(ends):
    def draw(n: int) -> Tensor:
        first = DiagonalGaussian.standard(n, 3, like=LIKE).sample()
        shift = torch.rand((), generator=whole.common(CPU))  # the same for all
        return torch.cat([first + shift, whole.uniform((n, 2), LIKE)], dim=1)

    assert torch.equal(torch.cat(in_parts(draw, *ends)), alone(draw))


def test_items_that_are_repeated_draw_their_rows_of_every_repetition():
    def draw(n: int) -> Tensor:
        return whole.normal((2 * n, 3), LIKE).view(2, n, 3)

    assert torch.equal(torch.cat(in_parts(draw, 3), dim=1), alone(draw))


def test_items_that_are_taken_so_often_each_draw_their_rows():
    times = torch.tensor([1, 3, 1, 1, 3, 3, 1])
    every = torch.arange(7).repeat_interleave(times)

    def draw(n: int) -> Tensor:
        numbers, _ = whole.numbers(n, CPU)
        with whole.rows_of(every):
            return whole.normal((int(times[numbers].sum()), 2), LIKE)

    assert torch.equal(torch.cat(in_parts(draw, 3, 4)), alone(draw))


def test_whoever_has_a_generator_draws_all_rows_with_it():
    def draw(n: int) -> Tensor:
        return whole.normal((n, 2), LIKE, torch.Generator().manual_seed(1))

    for found in in_parts(draw, 3):
        assert torch.equal(found, draw(len(found)))


def test_each_row_of_noise_knows_what_its_item_is():
    kinds = torch.tensor([4, 1, 0, 2, 3, 3, 1])

    def draw(n: int) -> Tensor:
        own = kinds[whole.numbers(n, CPU)[0]]
        return whole.drawn(
            n, lambda rows, g: (own if rows == n else whole.placed(own)) + torch.rand(rows, generator=g), CPU
        )

    assert torch.equal(torch.cat(in_parts(draw, 2)), alone(draw))


def test_without_other_processes_means_and_rows_are_ones_own():
    x = torch.randn(3, 2)
    with seen_from(part(slice(2, 5))):
        assert whole.mean(x) is x
        assert whole.gathered(x) is x
        assert not whole.shared()
        assert whole.column("label", torch.arange(2, 5)).tolist() == list(range(7))
    assert whole.column("label", x) is x
