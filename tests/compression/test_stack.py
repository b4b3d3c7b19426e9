"""A stack gives back what was pushed, last first, and a pop that nothing was pushed for is undone by a push."""

import numpy as np
import pytest

from simulacra.compression.coder import PRECISION, integer_masses, uniform
from simulacra.compression.stack import Stack, ground
from simulacra.errors import DataError

ALL = 1 << PRECISION


def table(seed: int, n: int = 30, levels: int = 5) -> np.ndarray:
    return integer_masses(np.random.default_rng(seed).dirichlet(np.full(levels, 0.5), n).astype(np.float32))


def bits(masses: np.ndarray, symbols: np.ndarray) -> float:
    return float(-np.log2((masses[range(len(symbols)), symbols].astype(np.float64) + 1) / ALL).sum())


@pytest.mark.parametrize("order", ["PPpp", "pPPp", "ppPP", "pPpP", "PpPp"])
def test_whatever_is_done_is_undone_by_its_mirror_image_and_leaves_the_ground(order):
    """P pushes symbols, p pops some: the reverse of each is the other, with what was found."""
    rng, stack, done = np.random.default_rng(0), Stack(), []
    for seed, step in enumerate(order * 8):
        masses = table(seed)
        if step == "P":
            symbols = rng.integers(0, 5, 30)
            stack.push(masses, symbols)
        else:
            symbols = stack.pop(masses)
        done.append((step, masses, symbols))
    back = Stack(stack.bytes())
    for step, masses, symbols in reversed(done):
        if step == "P":
            assert np.array_equal(back.pop(masses), symbols)
        else:
            back.push(masses, symbols)
    back.expect_ground()


def test_it_grows_and_shrinks_by_the_logarithms_of_the_masses():
    stack, masses = Stack(), uniform(16, 1000)
    stack.push(masses, np.arange(1000) % 16)
    assert len(stack.bytes()) == pytest.approx(500 + 8, abs=1)  # 64 bits are its state on the ground
    skewed = table(0, 200)
    assert stack.spare == pytest.approx(4000, abs=32)
    popped = bits(skewed, stack.pop(skewed))
    assert 8 * len(stack.bytes()) == pytest.approx(4064 - popped, abs=9)
    assert stack.spare == pytest.approx(4000 - popped, abs=64)


def test_only_the_ground_that_was_reached_is_kept():
    stack, masses = Stack(), uniform(16, 100)
    found = stack.pop(masses)
    stack.push(masses, found)
    assert 50 <= len(stack.bytes()) <= 50 + 12
    for _ in range(10):
        stack.push(masses, stack.pop(masses))
    assert 50 <= len(stack.bytes()) <= 50 + 12
    Stack(stack.bytes()).expect_ground()


def test_the_ground_looks_random_and_is_always_the_same():
    words = ground(20_000)
    assert np.array_equal(ground(10), words[:10])
    assert words[:2].tolist() == [3122291309, 885536831]
    symbols = Stack().pop(uniform(10, 20_000))
    assert np.bincount(symbols, minlength=10) == pytest.approx(2000, abs=4.5 * np.sqrt(1800))


def test_bytes_that_were_not_undone_altogether_are_refused():
    stack = Stack()
    stack.push(table(0), np.zeros(30, np.int64))
    with pytest.raises(DataError, match="would have made"):
        Stack(stack.bytes()).expect_ground()
    with pytest.raises(DataError, match="no stack"):
        Stack(b"\0\0\0\0" + stack.bytes())
