"""A range coder is a bijection that costs Σ -log2 q bits, whatever the masses q and the symbols."""

import sys

import numpy as np
import pytest

from simulacra.compression.coder import PRECISION, Reader, Writer, integer_masses, uniform
from simulacra.errors import SimulacraError, UsageError

ALL = 1 << PRECISION


def some_masses(rng, n: int, levels: int) -> np.ndarray:
    """Sharp and flat ones, and some that are certain."""
    masses = rng.dirichlet(np.full(levels, rng.choice([0.01, 0.3, 3.0])), n)
    masses[rng.random(n) < 0.1] = np.eye(levels)[rng.integers(levels)]
    return masses.astype(np.float32)


@pytest.mark.parametrize("levels", [2, 3, 17, 256])
def test_integer_masses_sum_to_a_power_of_two_with_at_least_one_for_every_level(levels):
    masses = some_masses(np.random.default_rng(0), 200, levels)
    whole = integer_masses(masses).astype(np.int64) + 1
    assert (whole >= 1).all()
    assert (whole.sum(1) == ALL).all()
    assert np.abs(whole / ALL - masses).max() < 2 * levels / ALL + 1e-6


@pytest.mark.parametrize("typical", [True, False], ids=["typical symbols", "any symbols"])
def test_the_reader_finds_what_the_writer_took_within_a_byte_of_the_ideal(typical):
    for seed in range(300):
        rng = np.random.default_rng(seed)
        levels, n = int(rng.choice([2, 17, 256])), int(rng.integers(1, 40))
        tables = [integer_masses(some_masses(rng, n, levels)) for _ in range(3)]
        q = [(table.astype(np.float64) + 1) / ALL for table in tables]
        sent = [
            np.array([rng.choice(levels, p=row) for row in rows]) if typical else rng.integers(levels, size=n)
            for rows in q
        ]
        writer = Writer()
        for table, symbols in zip(tables, sent, strict=True):
            writer(table, symbols)
        coded, ideal = writer.bytes(), -sum(np.log2(rows[range(n), s]).sum() for rows, s in zip(q, sent, strict=True))
        assert len(coded) <= ideal / 8 + 1
        reader = Reader(coded)
        for table, symbols in zip(tables, sent, strict=True):
            assert np.array_equal(reader(table, np.zeros_like(symbols)), symbols)


def test_nothing_takes_no_bytes_and_certainty_next_to_none():
    assert Writer().bytes() == b""
    writer = Writer()
    writer(integer_masses(np.tile([1.0, 0.0], (1000, 1))), np.zeros(1000, np.uint8))
    assert len(writer.bytes()) <= 1


def test_the_uniform_code_takes_log2_of_the_number():
    writer = Writer()
    writer(uniform(10, 1000), np.arange(1000) % 10)
    assert len(writer.bytes()) == pytest.approx(1000 * np.log2(10) / 8, abs=1)


def test_masses_that_are_no_numbers_are_refused():
    with pytest.raises(SimulacraError, match="not finite"):
        integer_masses(np.array([[0.5, np.nan]]))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(UsageError, match=r"simulacra\[coding\]"):
        Writer()
