"""Good files with a few things changed are read or refused in a sentence: `benchmarks/fuzz.py`, briefly."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import fuzz

SEEDS = {"run": 6, "model": 25, "pictures": 12}
SEEDS |= dict.fromkeys(("sim of a chain", "sim with bits back", "what is compressed"), 12)


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_files_that_were_changed_at_random_are_read_or_refused(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path / "cache"))  # each attempt sets one of its own
    fuzz.make(kind, tmp_path / "good" / kind.replace(" ", "-"))
    good, seeds = tmp_path / "good" / kind.replace(" ", "-"), range(SEEDS.get(kind, 40))
    found = {seed: fuzz.attempt(kind, good, seed, tmp_path) for seed in seeds}
    assert {seed: what for seed, what in found.items() if what not in ("read", "refused")} == {}
    assert "refused" in found.values()


def test_an_error_that_is_none_of_ours_is_found(tmp_path, monkeypatch):
    def stumble(folder):
        raise KeyError("x")

    def greedy(folder):
        return bytearray(1 << 40)

    fuzz.make("npy", tmp_path / "good")
    for read, found in ((stumble, "KeyError"), (greedy, "large")):
        monkeypatch.setitem(fuzz.KINDS, "npy", fuzz.Kind(fuzz.KINDS["npy"].make, read))
        assert fuzz.attempt("npy", tmp_path / "good", 0, tmp_path).startswith(found)
