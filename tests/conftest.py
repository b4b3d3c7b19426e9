"""What all tests share: one thread, a cache of their own, and a registry that knows every family."""

import gc
import importlib
from pathlib import Path

import pytest

import simulacra


def pytest_collection() -> None:
    """Before a process collects, because the contract suite is parametrised over the registry. That which only hands
    tests out to others collects nothing, and they need not wait until it has imported torch."""
    import torch

    torch.set_num_threads(1)
    for family in simulacra.FAMILIES:
        importlib.import_module(f"simulacra.{family}")


def pytest_collection_finish() -> None:
    """What was collected stays until the end: the garbage collector need not look at it again and again."""
    gc.freeze()


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
    import torch

    torch.default_generator.manual_seed(0)  # torch.manual_seed formats the stack, 1 ms, for devices not in use


@pytest.fixture
def digits(own_cache):
    return simulacra.data.load("digits")
