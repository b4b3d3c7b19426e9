"""The next draw in advance: the same items in the same order, and errors where the draw is asked for."""

import threading

import pytest
import torch
from small import SPECS, dataset, same, small_model, weights

from simulacra import registry
from simulacra.training.augmentation import Flip
from simulacra.training.batches import Batches
from simulacra.training.loop import Loop
from simulacra.training.options import Options
from simulacra.training.prefetch import Prefetched
from simulacra.training.runtime import Runtime

HERE = Runtime(torch.device("cpu"), bf16=False)
SPEC = SPECS["grey-labelled"]


def batches() -> Batches:
    return Batches(dataset(SPEC, (30, 1, 1)).train, SPEC, 8, 0, HERE, (Flip(),))


def test_the_same_items_in_any_order_of_asking():
    plain = batches()
    with Prefetched(batches()) as ahead:
        for draw in (0, 1, 2, 2, 7, 8, 3, 4):
            (x, condition), (y, given) = plain[draw], ahead[draw]
            assert torch.equal(x, y)
            assert torch.equal(condition["label"], given["label"])


def test_training_is_the_same_and_the_thread_ends():
    made = []
    for ahead in (False, True):
        model = small_model(registry.find("vae"), SPEC)
        loop = Loop(model, Options(warmup=0, batch=8), HERE)
        with Prefetched(batches()) as draws:
            for _ in range(5):
                loop.step(draws if ahead else batches(), 0.0)
        made.append(weights(model))
    assert same(*made)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("simulacra-prefetch")]


class Broken(Batches):
    def __getitem__(self, draw):
        if draw == 2:
            raise OSError("the disk is gone")
        return super().__getitem__(draw)


def test_an_error_surfaces_where_the_draw_is_asked_for():
    with Prefetched(Broken(dataset(SPEC, (30, 1, 1)).train, SPEC, 8, 0, HERE)) as ahead:
        ahead[0]
        ahead[1]
        with pytest.raises(OSError, match="the disk is gone"):
            ahead[2]
        ahead[3]


def test_one_draw_is_prepared_while_the_one_before_is_in_use():
    prepared = threading.Event()

    class Noted(Batches):
        def __getitem__(self, draw):
            found = super().__getitem__(draw)
            if draw == 1:
                prepared.set()
            return found

    with Prefetched(Noted(dataset(SPEC, (30, 1, 1)).train, SPEC, 8, 0, HERE)) as ahead:
        ahead[0]
        assert prepared.wait(10)  # nobody has asked for draw 1
