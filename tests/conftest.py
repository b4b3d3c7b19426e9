"""What all tests share: one thread, a cache of their own, and a registry that knows every family."""

import importlib
from pathlib import Path

import pytest
import torch

import simulacra

torch.set_num_threads(1)
for family in simulacra.FAMILIES:  # at collection, because the contract suite is parametrised over the registry
    importlib.import_module(f"simulacra.{family}")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> Path:
    """Nobody's cache is touched, and no data set of this machine is seen."""
    folder = tmp_path_factory.mktemp("simulacra-cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMULACRA_CACHE", str(folder))
        patch.delenv("SIMULACRA_DATA", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def seeded() -> None:
    """A test that draws without a seed of its own draws the same every time."""
    torch.manual_seed(0)


@pytest.fixture
def digits(own_cache):
    return simulacra.data.load("digits")
