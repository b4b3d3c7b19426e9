"""What is decoded is what was coded, in as many bytes as the model's likelihood says; anything else is refused."""

import math

import numpy as np
import pytest
import torch
from small import condition_of, dataset, items, labels, randomise

import simulacra as sim
from simulacra.adversarial import dcgan
from simulacra.autoregressive import Raster, gated_pixelcnn
from simulacra.compression import codec, coder, compress_file, container, walk
from simulacra.data import ClassLabel, DataSpec
from simulacra.errors import DataError, NotSupported, UsageError
from simulacra.fields import Levels
from simulacra.latent import VAE

OVERHEAD = 32  # bytes, beside 1 % of the ideal size


def small(spec: DataSpec, seed: int = 0, scale: float = 0.3) -> Raster:
    return randomise(gated_pixelcnn(spec, width=6, layers=3, kernel=3).eval(), scale, seed)


def ideal_bytes(model, x, condition=None) -> float:
    """Σ -log2 p, by the parallel pass, with log2 of the number of classes for every label."""
    label = sum(math.log2(field.count) for field in model.spec.condition.values())
    with torch.no_grad():
        return float(-model.log_prob(x, condition).double().sum() / math.log(2) + len(x) * label) / 8


@pytest.fixture
def coded():
    """A model of small binary images, and seven of them as bytes."""
    model = small(DataSpec(Levels((1, 5, 6), 2)))
    x = items(model.spec, 7)
    return model, x, sim.compress(model, x)


@pytest.mark.parametrize("n", [1, 4, 9], ids=lambda n: f"{n} items")
@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((1, 5, 6), 2),
        ((1, 4, 4), 3),
        ((1, 6, 6), 17),
        ((3, 4, 3), 4),
        ((1, 6, 5), 256),
        ((3, 3, 2), 256),
        ((2, 3, 1), 9),
    ],
    ids=str,
)
def test_round_trip_and_size(shape, levels, n, monkeypatch):
    monkeypatch.setattr(codec, "BATCH", 4)  # so that there are several batches, and a ragged last one
    model = small(DataSpec(Levels(shape, levels)))
    for x in (items(model.spec, n), model.sample(n)):
        data = sim.compress(model, x)
        decoded, condition = sim.decompress(model, data)
        assert decoded.dtype == np.uint8
        assert np.array_equal(decoded, x.numpy())
        assert condition == {}
        assert len(data) <= 1.01 * ideal_bytes(model, x) + OVERHEAD


@pytest.mark.parametrize(("shape", "levels"), [((1, 6, 6), 2), ((3, 4, 4), 17)], ids=str)
def test_a_value_is_coded_given_those_before_it(shape, levels):
    model = small(DataSpec(Levels(shape, levels)), scale=1.0)
    x = model.sample(100)
    size, ideal = len(sim.compress(model, x)), ideal_bytes(model, x)
    with torch.no_grad():
        blind = model.conditionals(torch.zeros_like(x)).log_prob(x).double().sum().item() / -8 / math.log(2)
    assert ideal - 1 <= size <= 1.01 * ideal + OVERHEAD < blind


@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 3, 3)], ids=str)
def test_labels_come_back_with_the_items_at_their_entropy(shape, monkeypatch):
    monkeypatch.setattr(codec, "BATCH", 4)
    model = small(DataSpec(Levels(shape, 4), labels(3)))
    x, given = items(model.spec, 10), condition_of(model.spec, 10)
    data = sim.compress(model, x, condition=given)
    decoded, condition = sim.decompress(model, data)
    assert np.array_equal(decoded, x.numpy())
    assert np.array_equal(condition["label"], given["label"].numpy())
    assert len(data) <= 1.01 * ideal_bytes(model, x, given) + OVERHEAD


def test_one_label_may_serve_all_items():
    model = small(DataSpec(Levels((1, 4, 4), 4), labels(3, "a", "b", "c")))
    x = items(model.spec, 3)
    _, condition = sim.decompress(model, sim.compress(model, x, condition={"label": "b"}))
    assert condition["label"].tolist() == [1, 1, 1]


def test_items_without_labels_are_coded_under_the_likeliest_class():
    model = small(DataSpec(Levels((1, 4, 4), 4), labels(3)), scale=1.0)
    x = model.sample(60, {"label": torch.arange(60) % 3})
    each = torch.stack([model.log_prob(x, {"label": torch.full((60,), k)}) for k in range(3)])
    data = sim.compress(model, x)
    decoded, condition = sim.decompress(model, data)
    assert np.array_equal(decoded, x.numpy())
    assert condition == {}  # nobody said what they are
    assert len(data) <= 1.01 * ideal_bytes(model, x, {"label": each.argmax(0)}) + OVERHEAD
    assert len(data) < ideal_bytes(model, x, {"label": 0})


def test_the_same_items_give_the_same_bytes_whatever_the_noise_the_mode_and_the_type(coded):
    model, x, data = coded
    torch.manual_seed(1)
    model.train()
    assert sim.compress(model, x.numpy().astype(np.int64)) == data
    assert model.training


def test_decoding_takes_the_threads_of_the_file_and_gives_them_back(coded, monkeypatch):
    model, x, data = coded
    used, walked, threads = [], walk.walk, torch.get_num_threads()
    monkeypatch.setattr(walk, "walk", lambda *given: (used.append(torch.get_num_threads()), walked(*given)))
    torch.set_num_threads(threads + 1)
    try:
        assert np.array_equal(sim.decompress(model, data)[0], x.numpy())
        assert used == [threads]
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_file_and_run_folder_do_as_well_as_bytes_and_model(coded, tmp_path):
    model, x, data = coded
    sim.save(model, tmp_path / "run" / "model")
    assert sim.compress(str(tmp_path / "run"), x, tmp_path / "new" / "x.sim") == data
    assert (tmp_path / "new" / "x.sim").read_bytes() == data
    assert np.array_equal(sim.decompress(tmp_path / "run", tmp_path / "new" / "x.sim")[0], x.numpy())


def test_the_header_says_what_and_where(coded):
    _, _, data = coded
    header, payload = container.unpack(data, "x")
    assert (header.n, header.shape, header.levels, header.batch) == (7, (1, 5, 6), 2, 8)
    assert header.surroundings.torch == torch.__version__.split("+")[0]
    assert header.surroundings.device.startswith("cpu")
    assert header.surroundings.threads == torch.get_num_threads()
    assert len(data) - len(payload) <= 31


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF], ids=hex)
def test_every_flipped_byte_is_refused_before_decoding(coded, change, monkeypatch):
    model, _, data = coded
    monkeypatch.setattr(walk, "walk", None)
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
        with pytest.raises(DataError, match="these bytes"):
            sim.decompress(model, damaged)


def test_every_truncation_and_addition_is_refused_before_decoding(coded, monkeypatch):
    model, _, data = coded
    monkeypatch.setattr(walk, "walk", None)
    for damaged in [*(data[:length] for length in range(len(data))), data + b"\0", data + data]:
        with pytest.raises(DataError, match="these bytes"):
            sim.decompress(model, damaged)


def test_another_model_is_refused_with_both_names(coded):
    model, _, data = coded
    for other in (
        small(model.spec, seed=1),
        small(DataSpec(Levels((1, 5, 6), 3))),
        small(DataSpec(Levels((1, 6, 5), 2))),
    ):
        with pytest.raises(UsageError) as refusal:
            sim.decompress(other, data)
        assert container.model_digest(model).hex() in str(refusal.value)
        assert container.model_digest(other).hex() in str(refusal.value)
        assert "7 items of 1×5×6, 2 levels" in str(refusal.value)
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1e-6
    with pytest.raises(UsageError, match="made with"):
        sim.decompress(model, data)


def test_a_machine_that_adds_otherwise_is_found_out(coded, monkeypatch):
    model, _, data = coded

    def slightly_wrong(p, n):
        masses = p.log_masses()[:n].exp().numpy()
        return coder.integer_masses(masses + np.float32(1e-3) * (masses < 0.5) - np.float32(1e-3) * (masses >= 0.5))

    monkeypatch.setattr(walk, "masses_of", slightly_wrong)
    with pytest.raises(DataError, match=r"torch .* on cpu.* thread"):
        sim.decompress(model, data)


def test_a_file_that_claims_more_than_it_can_hold_takes_no_memory(coded):
    model, _, data = coded
    header, payload = container.unpack(data, "x")
    claim = container.Header(**{**vars(header), "n": 1 << 50})
    with pytest.raises(DataError, match="malformed"):
        sim.decompress(model, container.pack(claim, payload))


def test_a_later_version_is_no_damage(coded, monkeypatch):
    model, _, data = coded
    header, payload = container.unpack(data, "x")
    monkeypatch.setattr(container, "VERSION", 2)
    later = container.pack(header, payload)
    monkeypatch.undo()
    with pytest.raises(DataError, match="version 2"):
        sim.decompress(model, later)


@pytest.mark.parametrize(
    ("number", "size"), [(0, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), (1 << 60, 9)], ids=str
)
def test_numbers_of_seven_bits_a_byte(number, size):
    packed = container._pack_number(number)
    assert len(packed) == size
    assert container._unpack_number(b"?" + packed + b"?", 1) == (number, 1 + size)


def test_models_that_are_no_chain_say_why():
    x = np.zeros((2, 1, 8, 8), np.uint8)
    spec = DataSpec(Levels((1, 8, 8), 17))
    with pytest.raises(NotSupported, match=r"vae .*bits-back"):
        sim.compress(VAE(spec, latent=2, network="dense:hidden=4", prior="mixture:components=2"), x)
    with pytest.raises(NotSupported, match=r"dcgan .*no probability"):
        sim.compress(dcgan(spec, width=4, latent=3), x)


def test_a_condition_that_is_no_class_is_refused(tmp_path):
    spec = DataSpec(Levels((1, 4, 4), 2), labels(3)).conditioned_on(("label", "down:factor=2"))
    x = items(spec, 2)
    with pytest.raises(UsageError, match="a model that compresses is conditioned on classes alone, and 'down' is"):
        sim.compress(small(spec), x, condition={"label": 0, "down": x[:, :, ::2, ::2]})
    vae = VAE(spec, latent=2, network="dense:hidden=4")
    for call in (
        lambda: sim.compress(vae, x),
        lambda: compress_file(vae, dataset(DataSpec(spec.x, labels(3))), tmp_path / "x.sim"),
    ):
        with pytest.raises(UsageError, match="classes alone, and 'down' is 1×2×2"):
            call()


def test_two_fields_of_classes_are_coded_and_found():
    spec = DataSpec(Levels((1, 4, 4), 2), {**labels(3), "place": ClassLabel(2)})
    model, x, condition = small(spec, scale=1.0), items(spec, 7), condition_of(spec, 7)
    decoded, found = sim.decompress(model, sim.compress(model, x, condition=condition))
    assert np.array_equal(decoded, x.numpy())
    assert all(np.array_equal(found[name], values.numpy()) for name, values in condition.items())
    assert np.array_equal(sim.decompress(model, sim.compress(model, x))[0], x.numpy())


def test_items_that_the_model_is_not_for(coded):
    model, x, _ = coded
    x = x.numpy()
    for wrong, message in (
        (x[:, 0], r"\(1, 5, 6\).*\(7, 5, 6\)"),
        (x.swapaxes(2, 3), r"\(1, 5, 6\).*\(7, 1, 6, 5\)"),
        (x + 1, "0 to 1.* 1 to 2"),
        (x.astype(np.int32) - 1, "-1 to 0"),
        (x / 1.0, "float64"),
        (x[:0], "no items"),
        (np.uint8(3), "shape"),
    ):
        with pytest.raises(UsageError, match=message):
            sim.compress(model, wrong)
    with pytest.raises(UsageError, match="not conditioned"):
        sim.compress(model, x, condition={"label": 1})
    labelled = small(DataSpec(Levels((1, 5, 6), 2), labels(3)))
    for condition, message in (({"label": 3}, "0 to 2"), ({"label": [0, 1]}, "2 values for 7"), ({"labl": 1}, "label")):
        with pytest.raises(UsageError, match=message):
            sim.compress(labelled, x, condition=condition)


def test_what_is_no_such_file(coded, tmp_path):
    model = coded[0]
    (tmp_path / "note.txt").write_text("not compressed at all")
    with pytest.raises(DataError, match=r"note\.txt.*SIM"):
        sim.decompress(model, tmp_path / "note.txt")
    with pytest.raises(DataError, match="SIM"):
        sim.decompress(model, b"")
    with pytest.raises(UsageError, match=r"no file .*missing\.sim"):
        sim.decompress(model, tmp_path / "missing.sim")
