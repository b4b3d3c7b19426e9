"""The order of the items is a pure function of (seed, draw): permuted epochs, nothing dropped, fair shares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import SPECS, condition_of, dataset

from simulacra.training.batches import Batches
from simulacra.training.runtime import Runtime

SPEC = SPECS["grey-labelled"]
CPU = torch.device("cpu")


def batches(n: int, batch: int, seed: int = 0, rank: int = 0, world: int = 1) -> Batches:
    split = dataset(SPECS["vector"], (n, 1, 1)).train
    return Batches(split, SPECS["vector"], batch, seed, Runtime(CPU, False, rank, world))


@settings(deadline=None, max_examples=50)
@given(n=st.integers(1, 40), batch=st.integers(1, 60), seed=st.integers(-5, 5))
def test_every_epoch_is_a_permutation_and_nothing_is_dropped(n, batch, seed):
    """Also where a batch straddles epochs, or holds several of them."""
    made = batches(n, batch, seed)
    draws = [made.indices(d) for d in range(-(-3 * n // batch))]
    assert all(len(draw) == batch for draw in draws)
    sequence = np.concatenate(draws)
    for epoch in range(3):
        assert sorted(sequence[epoch * n : (epoch + 1) * n]) == list(range(n))


@settings(deadline=None, max_examples=30)
@given(draws=st.lists(st.integers(0, 30), min_size=1, max_size=12))
def test_a_draw_does_not_depend_on_those_before_it(draws):
    used = batches(17, 5)
    for draw in draws:
        assert (used.indices(draw) == batches(17, 5).indices(draw)).all()


def test_epochs_and_seeds_differ():
    made = batches(50, 50)
    assert not (made.indices(0) == made.indices(1)).all()
    assert not (made.indices(0) == batches(50, 50, seed=1).indices(0)).all()


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [12, 7])
def test_the_shares_of_the_ranks_partition_the_batch(world, batch):
    for draw in range(6):
        whole = batches(20, batch).indices(draw)
        shares = [batches(20, batch, rank=rank, world=world) for rank in range(world)]
        assert (np.concatenate([b.indices(draw)[b.share] for b in shares]) == whole).all()
        x = torch.cat([b[draw][0] for b in shares])
        assert torch.equal(x, batches(20, batch)[draw][0])


def test_items_come_with_their_labels():
    data = dataset(SPEC, (30, 1, 1))
    x, condition = Batches(data.train, SPEC, 8, 0, Runtime(CPU, False))[2]
    assert condition.keys() == {"label"}
    everything = [item.tobytes() for item in data.train.x]
    found = torch.tensor([everything.index(item.numpy().tobytes()) for item in x])
    assert torch.equal(condition["label"], condition_of(SPEC, 30)["label"][found])
