"""Commands on a network with styles: mixtures, and codes searched for in w and w+."""

from __future__ import annotations

import functools
import importlib

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra import registry
from simulacra.exploration.inversion import inverted
from simulacra.pictures import labelled, rows_picture

pytestmark = pytest.mark.filterwarnings("ignore:.*found by search:simulacra.errors.SimulacraWarning")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "stylegan2"
    spec = sim.data.load("digits").spec.conditioned_on(())
    sim.save(registry.find("stylegan2").build(spec, latent=3, width=2, widest=2, mapping=1), out)
    return out


def test_a_table_of_mixtures_says_what_its_rows_and_columns_are(run, printed, tmp_path):
    out = tmp_path / "styles.png"
    said = printed("mix-styles", run, "--rows", "2", "--columns", "3", "--out", out)
    assert "in the corner the mean style" in said
    model = sim.load(run)
    table = sim.mix_styles(model, 2, 3)
    captions = ["alone", "coarse 0", "coarse 1"], ["alone", "fine 0", "fine 1", "fine 2"]
    with Image.open(out) as image:
        assert np.array_equal(np.asarray(image), np.asarray(rows_picture(table, model.spec, *captions)))
        bare = rows_picture(table, model.spec, (), ())
        assert image.size[0] > bare.size[0]
        assert np.array_equal(np.asarray(image)[-bare.size[1] :, -bare.size[0] :], np.asarray(bare))
    assert labelled(bare, (3, 4), (), ()).size == bare.size


def test_styles_of_items_are_found_and_used(run, printed, refused, tmp_path, monkeypatch):
    module = importlib.import_module("simulacra.exploration.codes")
    monkeypatch.setattr(module, "inverted", functools.partial(inverted, steps=1, starts=1))
    model, space, vector = sim.load(run), ["--space", "w+"], tmp_path / "a.npz"
    printed("encode", run, "digits", "--limit", "1", *space, "--out", tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as codes:
        assert codes["w"].shape == (1, model.generator.layers, 3)
    printed("attribute", run, "digits", "--with", "3", "--without", "5", "--limit", "1", *space, "--out", vector)
    printed("edit", run, "digits:0", "--toward", f"{vector}=1", *space, "--out", tmp_path / "edit.png")
    printed("reconstruct", run, "digits", "-n", "1", *space, "--out", tmp_path / "pair.png")
    assert "dimensions are those of z" in refused("edit", run, "digits:0", "--dim", "0=1", *space)
