"""Noise follows from the seed and the number of a block: how many items are computed together changes nothing."""

import numpy as np
import pytest
import torch
from small import SPECS, condition_of, dataset, items, randomise, small_model, suited

import simulacra as sim
from simulacra import feed, registry
from simulacra.capabilities import Encoder, Sampler, can
from simulacra.exploration import codes, drawing
from simulacra.fields import ClassLabel


def model(name: str):
    entry = registry.find(name)
    return randomise(small_model(entry, suited(entry, "grey", "binary")), 0.3).eval()


def given(made, n: int):
    """The condition of the first n of ten items, where it is more than classes, which take turns by themselves."""
    fields = made.spec.condition.values()
    classes = all(isinstance(own, ClassLabel) for own in fields)
    return None if classes else condition_of(made.spec, 10).rows(slice(0, n))


def having(ability: type) -> list[str]:
    return [entry.name for entry in registry.models() if can(entry.model, ability)]


@pytest.mark.parametrize("name", having(Sampler))
def test_the_whole_blocks_of_more_items_are_those_of_fewer(name, monkeypatch):
    """The first k · BLOCK of n items are the same for every n >= k · BLOCK."""
    monkeypatch.setattr(drawing, "BLOCK", 4)
    made = model(name)
    more, fewer = (sim.sample(made, n, seed=3, condition=given(made, n)) for n in (10, 8))
    assert (more[:8] == fewer).all()
    assert (more[:4] != more[4:8]).any()


def test_a_block_of_the_verb_is_256_items():
    made = model("independent")
    assert drawing.BLOCK == 256
    assert (sim.sample(made, 300)[:256] == sim.sample(made, 256)).all()


@pytest.mark.parametrize("name", ["vae", "vqvae", "dcgan"])
def test_means_of_drawn_codes_do_not_depend_on_how_many_are_decoded_at_a_time(name, monkeypatch):
    made = model(name).double()
    whole = sim.sample(made, 12, mean=True)
    monkeypatch.setattr(codes, "at_once", lambda model: 5)
    assert (sim.sample(made, 12, mean=True) == whole).all()


def test_completions_of_more_items_begin_with_those_of_fewer(monkeypatch):
    monkeypatch.setattr(drawing, "BLOCK", 4)
    made, x = model("gated-pixelcnn"), items(SPECS["grey"], 5)
    unknown = np.zeros((1, 8, 8), bool)
    unknown[:, 6:] = True
    more, fewer = (sim.complete(made, x[:n], unknown, 2, seed=1).completed for n in (5, 4))
    assert (more[:4] == fewer).all()


@pytest.mark.parametrize("name", having(Encoder))
def test_codes_depend_on_neither_the_limit_nor_the_batch(name, monkeypatch):
    monkeypatch.setattr(codes, "BLOCK", 3)
    made = model(name).double()
    data = dataset(made.spec)
    whole = sim.encode(made, data, seed=2)
    some = sim.encode(made, data, limit=6, seed=2)["z"]
    np.testing.assert_allclose(some, whole["z"][:6], rtol=1e-13, atol=1e-14)  # a recurrence rounds by the batch
    for size in (3, 6):
        monkeypatch.setattr(codes, "at_once", lambda model, size=size: size)
        np.testing.assert_allclose(sim.encode(made, data, seed=2)["z"], whole["z"], rtol=1e-9, atol=1e-9)


def test_more_items_at_a_time_where_no_convolution_fills_the_cache():
    assert feed.at_once(model("gated-pixelcnn")) == feed.at_once(model("dcgan")) == 64
    assert feed.at_once(model("vae")) == feed.at_once(model("rnade")) == 256
    assert not any(size % codes.BLOCK for size in (64, 256))  # a batch consists of whole blocks


def test_slices_cover_all_items_once():
    for n in (0, 1, 5, 6, 7):
        parts = list(feed.slices(n, 3))
        assert torch.cat([torch.arange(n)[part] for part in [*parts, slice(0)]]).tolist() == list(range(n))
        assert all(0 < part.stop - part.start <= 3 for part in parts)
