"""`simulacra compress` and `simulacra decompress`, as they are typed."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from small import items, randomise

import simulacra
from simulacra.autoregressive import gated_pixelcnn
from simulacra.cli import main
from simulacra.compression.others import others
from simulacra.data import DataSpec
from simulacra.fields import Levels
from simulacra.latent import VAE


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model of digits in its run folder."""
    folder = tmp_path_factory.mktemp("run")
    model = randomise(gated_pixelcnn(DataSpec(Levels((1, 8, 8), 17)), width=4, layers=1, kernel=3).eval())
    simulacra.save(model, folder / "model")
    return folder


def typed(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    return code, *capsys.readouterr()


def test_what_general_coders_make_of_the_same_items_stands_beside_it():
    """No coder takes less than log2 of the levels for noise, and all take little for a constant."""
    rng = np.random.default_rng(0)
    for shape, levels in (((1, 32, 32), 256), ((3, 32, 32), 256), ((1, 32, 32), 2), ((64,), 7)):
        spec = DataSpec(Levels(shape, levels))
        noise = others(rng.integers(levels, size=(40, *shape)), spec)
        still = others(np.zeros((40, *shape), np.uint8), spec)
        assert noise.keys() == still.keys() == ({"xz", "PNG", "WebP"} if spec.is_image else {"xz"})
        assert all(np.log2(levels) <= bits <= np.log2(levels) + 1.1 for bits in noise.values())
        assert all(bits < 0.7 for bits in still.values())
    assert others(np.zeros((2000, 1, 32, 32), np.uint8), DataSpec(Levels((1, 32, 32), 256))) == {}
    assert others(np.zeros((2, 64), np.int64), DataSpec(Levels((64,), 300))) == {}


def test_a_named_set_there_and_back(run, tmp_path, capsys):
    sim = tmp_path / "digits.sim"
    code, out, _ = typed(capsys, "compress", run, "digits", "--out", sim, "--limit", 20, "--split", "valid", "--json")
    record = json.loads(out)
    assert code == 0
    assert (record["n"], record["bytes"], record["out"]) == (20, sim.stat().st_size, str(sim))
    assert record["bits_per_dim"] == pytest.approx(8 * record["bytes"] / (20 * 64))
    code, out, _ = typed(capsys, "decompress", run, sim, "--out", tmp_path / "back.npy")
    assert code == 0
    assert "20 items" in out
    assert np.array_equal(np.load(tmp_path / "back.npy"), simulacra.data.load("digits").valid.x[:20])


def test_a_folder_there_and_back(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for i, x in enumerate(items(DataSpec(Levels((1, 8, 8), 17)), 3).numpy()):
        Image.fromarray(x[0]).save(tmp_path / "in" / f"{i}.png")
    (tmp_path / "in" / "readme.txt").write_text("three digits")
    code, out, _ = typed(capsys, "compress", run, tmp_path / "in", "--out", tmp_path / "x.sim")
    assert code == 0
    assert "3 items" in out
    assert "not in it: readme.txt" in out
    code, out, _ = typed(capsys, "decompress", run, tmp_path / "x.sim", "--out", tmp_path / "back", "--json")
    assert json.loads(out) == {"n": 3, "out": str(tmp_path / "back")}
    for i in range(3):
        one, other = (np.asarray(Image.open(tmp_path / folder / f"{i}.png")) for folder in ("in", "back"))
        assert np.array_equal(one, other)


def test_a_model_with_codes_there_and_back(tmp_path, capsys):
    torch.manual_seed(0)
    simulacra.save(VAE(DataSpec(Levels((1, 8, 8), 17)), latent=2, network="dense:hidden=4"), tmp_path / "vae" / "model")
    sim, back = tmp_path / "x.sim", tmp_path / "back.npy"
    assert typed(capsys, "compress", tmp_path / "vae", "digits", "--out", sim, "--limit", 30)[0] == 0
    assert typed(capsys, "decompress", tmp_path / "vae", sim, "--out", back)[0] == 0
    assert np.array_equal(np.load(back), simulacra.data.load("digits").test.x[:30])


def test_what_goes_wrong_is_said_in_a_line_or_two(run, tmp_path, capsys):
    torch.manual_seed(0)
    simulacra.save(
        VAE(DataSpec(Levels((1, 8, 8), 17)), latent=2, network="dense:hidden=4", prior="mixture:components=2"),
        tmp_path / "vae" / "model",
    )
    other = randomise(gated_pixelcnn(DataSpec(Levels((1, 8, 8), 17)), width=4, layers=1, kernel=3).eval(), seed=1)
    simulacra.save(other, tmp_path / "other" / "model")
    sim, back = tmp_path / "x.sim", tmp_path / "back.npz"
    assert typed(capsys, "compress", run, "digits", "--out", sim, "--limit", 2)[0] == 0
    (tmp_path / "short.sim").write_bytes(sim.read_bytes()[:-1])
    for arguments, code, message in (
        (("compress", tmp_path / "vae", "digits", "--out", sim), 2, "bits-back"),
        (("compress", run, "digits"), 2, "--out"),
        (("compress", run, "digits", "--out", tmp_path / "x.png"), 2, ".sim"),
        (("decompress", tmp_path / "other", sim, "--out", back), 2, "made with model"),
        (("decompress", run, tmp_path / "short.sim", "--out", back), 1, "damaged"),
        (("decompress", run, sim, "--out", tmp_path / "folder"), 2, ".npz"),
        (("decompress", run, tmp_path / "nothing.sim", "--out", back), 2, "nothing.sim"),
    ):
        found, out, err = typed(capsys, *arguments)
        assert (found, out) == (code, "")
        assert message in err
        assert len(err.strip().splitlines()) <= 2
    assert not back.exists()
