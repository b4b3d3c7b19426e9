"""Model files as an enemy, or a bad disk, would leave them: each is refused at once and nothing of it runs."""

import contextlib
import hashlib
import json
import os
import pickle
import resource
import shutil
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import labels

from simulacra import registry, weights
from simulacra.autoregressive import gated_pixelcnn
from simulacra.data import DataSpec
from simulacra.errors import ModelFileError, UsageError, WriteError
from simulacra.fields import Levels
from simulacra.latent import ELBO, VAE
from simulacra.model import load, save
from simulacra.networks import Dense
from simulacra.weights import digest, read_tensors, write_tensors

SPEC = DataSpec(Levels((1, 4, 4), 3), labels(3))
SMALL = Dense(hidden=4)
FORMAT_1 = Path(__file__).parent / "saved" / "format-1" / "vae"


@pytest.fixture
def folder(tmp_path) -> Path:
    save(VAE(SPEC, latent=2, network=SMALL), tmp_path / "vae", card="a card")
    load(tmp_path / "vae")  # it is sound before it is harmed
    return tmp_path / "vae"


@contextlib.contextmanager
def at_once(seconds: float = 5) -> Iterator[None]:
    """Fails instead of hanging, and when more than 300 MB were taken on the way."""

    def expire(*_: object) -> None:
        raise AssertionError(f"not refused within {seconds} seconds")

    before, start = signal.signal(signal.SIGALRM, expire), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start < 300 * 1024


def refused(folder: Path, match: str | None = None, names: str = "") -> None:
    with at_once(), pytest.raises(ModelFileError, match=match) as error:
        load(folder)
    assert str(folder / names) in str(error.value)


def sealed(folder: Path, config: bytes) -> None:
    """Put a config in place and make the weights vouch for it, as an enemy would."""
    (folder / "config.json").write_bytes(config)
    tensors = load_file(folder / "weights.safetensors")
    write_tensors(folder / "weights.safetensors", tensors, {"config": hashlib.sha256(config).hexdigest()})


def edited(folder: Path, change: Callable[[dict], object]) -> None:
    record = json.loads((folder / "config.json").read_bytes())
    change(record)
    sealed(folder, json.dumps(record).encode())


def split_weights(folder: Path) -> tuple[dict, bytes]:
    content = (folder / "weights.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(folder: Path, header: bytes, body: bytes) -> None:
    (folder / "weights.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + body)


# The weights


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
def test_a_pickle_is_not_opened(folder, tmp_path, name):
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    (folder / name).write_bytes(bomb)
    refused(folder, names=name)
    torch.save({"x": Bomb(tmp_path / "exploded")}, folder / name)
    refused(folder, names=name)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb)
    assert (tmp_path / "exploded").exists()  # it would have


def test_a_flipped_byte_is_noticed_wherever_it_is(folder):
    path = folder / "weights.safetensors"
    sound = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    positions = [*range(12), *torch.randint(len(sound), (150,), generator=generator).tolist(), len(sound) - 1]
    for position in positions:
        harmed = bytearray(sound)
        harmed[position] ^= 1 << position % 8
        path.write_bytes(harmed)
        with at_once(), pytest.raises(ModelFileError, match=r"weights.safetensors|config.json"):
            load(folder)
    path.write_bytes(sound)
    load(folder)


@pytest.mark.parametrize("share", [0, 4, 8, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(folder, share):
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: share if isinstance(share, int) else int(share * len(content))])
    refused(folder, names=path.name)


def test_bytes_at_the_end_are_refused(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes() + b"more")
    refused(folder, names=path.name)


@pytest.mark.parametrize("size", [0, 1, 9 << 20, 1 << 40, (1 << 64) - 1])
def test_a_header_that_claims_a_wrong_size_is_refused(folder, size):
    path = folder / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
    refused(folder, "header", path.name)


def test_a_header_of_nine_megabytes_is_not_parsed(folder):
    header, body = split_weights(folder)
    header["__metadata__"]["padding"] = "x" * (9 << 20)
    joined(folder, json.dumps(header).encode(), body)
    refused(folder, "claims a header", "weights.safetensors")


def test_a_name_given_twice_is_refused(folder):
    header, body = split_weights(folder)
    name = next(name for name in header if name != "__metadata__")
    twice = json.dumps(header)[:-1] + f', "{name}": {json.dumps(header[name])}}}'
    joined(folder, twice.encode(), body)
    refused(folder, "twice", "weights.safetensors")


@pytest.mark.parametrize(
    "header",
    [b"[]", b"null", b"{}", b"{", b"\xff\xfe", b"[" * 100_000, b'{"__metadata__": 3}', b'{"__metadata__": {"a": 1}}'],
    ids=lambda header: repr(header[:30]),
)
def test_a_header_that_is_no_table_is_refused(folder, header):
    joined(folder, header, split_weights(folder)[1])
    refused(folder, names="weights.safetensors")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 50]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 16]},
        {"dtype": "F64", "shape": [4], "data_offsets": [0, 32]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]},
    ],
    ids=str,
)
def test_a_malformed_entry_is_refused(folder, entry):
    header, body = split_weights(folder)
    assert header["encoder.body.first.bias"]["shape"] == [4]
    header["encoder.body.first.bias"] = entry
    joined(folder, json.dumps(header).encode(), body)
    refused(folder, names="weights.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused_even_with_a_right_checksum(folder, value):
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    tensors["decoder.body.last.bias"][3] = value
    write_tensors(path, tensors, {"config": hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()})
    refused(folder, "'decoder.body.last.bias' holds numbers that are not finite", path.name)


def test_weights_without_a_checksum_are_refused(folder):
    path = folder / "weights.safetensors"
    save_file(load_file(path), path)
    refused(folder, "checksum", path.name)


@pytest.mark.parametrize("change", ["missing", "foreign", "shape", "type"])
def test_weights_that_do_not_fit_the_config_are_refused(folder, change):
    path = folder / "weights.safetensors"
    tensors = load_file(path)
    if change == "missing":
        del tensors["encoder.body.last.bias"]
    elif change == "foreign":
        tensors["encoder.extra"] = torch.zeros(3)
    elif change == "shape":
        tensors["encoder.body.first.weight"] = tensors["encoder.body.first.weight"].T.contiguous()
    else:
        tensors["encoder.body.last.bias"] = tensors["encoder.body.last.bias"].double()
    write_tensors(path, tensors, {"config": hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()})
    refused(folder, "does not fit its config", path.name)


def test_weights_of_another_model_are_refused(folder, tmp_path):
    save(VAE(SPEC, latent=3, network=SMALL), tmp_path / "other")
    (folder / "weights.safetensors").write_bytes((tmp_path / "other" / "weights.safetensors").read_bytes())
    refused(folder, "does not fit", "weights.safetensors")


def test_weights_of_equal_shape_with_another_config_are_refused(folder, tmp_path):
    save(VAE(SPEC, latent=2, network=SMALL, objective=ELBO(beta=4.0)), tmp_path / "other")
    (folder / "weights.safetensors").write_bytes((tmp_path / "other" / "weights.safetensors").read_bytes())
    refused(folder, "not the one that")


@pytest.mark.parametrize("missing", ["weights.safetensors", "config.json"])
def test_a_missing_or_strange_file_is_refused(folder, missing):
    (folder / missing).unlink()
    with pytest.raises((ModelFileError, UsageError), match=str(folder)):
        load(folder)
    (folder / missing).mkdir()
    refused(folder, names=missing)


def test_digests_tell_names_types_shapes_and_values_apart():
    base = {"a": torch.arange(4.0), "b": torch.zeros(2)}
    changes = [
        {"a": base["a"] + 1e-6, "b": base["b"]},
        {"a": base["b"], "b": base["a"]},
        {"c": base["a"], "b": base["b"]},
        {"a": base["a"].view(2, 2), "b": base["b"]},
        {"a": base["a"], "b": torch.zeros(4).half()},
        {"a": base["a"]},
    ]
    assert len({digest(tensors) for tensors in [base, *changes]}) == len(changes) + 1
    assert digest(dict(reversed(base.items()))) == digest(base)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_tensors_of_every_type_and_shape_come_back(tmp_path, dtype):
    tensors = {"x": torch.randint(0, 2, (2, 3)).to(dtype).T, "scalar": torch.ones((), dtype=dtype)}
    tensors["empty"] = torch.zeros((0, 4), dtype=dtype)
    write_tensors(tmp_path / "t", tensors, {"note": "kept"})
    again, metadata = read_tensors(tmp_path / "t", tensors)
    assert all(torch.equal(again[name], tensor) and again[name].dtype == dtype for name, tensor in tensors.items())
    assert metadata["note"] == "kept"


def test_equal_models_are_equal_files(tmp_path):
    """Byte by byte, so that a hash of the file tells whether two runs ended alike."""
    torch.manual_seed(0)
    model = VAE(SPEC, latent=2, network=SMALL)
    contents = set()
    for i in range(8):
        save(model, tmp_path / str(i))
        contents.add((tmp_path / str(i) / "weights.safetensors").read_bytes())
    assert len(contents) == 1


# The config


def test_a_config_that_was_edited_afterwards_is_refused(folder):
    path = folder / "config.json"
    path.write_bytes(path.read_bytes().replace(b'"beta": 1.0', b'"beta": 2.0'))
    refused(folder, "config.json is not the one")


def own(record: dict) -> dict:
    """The arguments of the model that a config describes."""
    (arguments,) = record["model"].values()
    return arguments


def argument(name: str, value: object) -> Callable[[dict], object]:
    return lambda record: own(record).update({name: value})


def of_part(name: str, value: object) -> Callable[[dict], object]:
    return lambda record: own(record)["network"]["dense"].update({name: value})


def model(value: object) -> Callable[[dict], object]:
    return lambda record: record.update(model=value)


def called(name: str) -> Callable[[dict], object]:
    return lambda record: record.update(model={name: own(record)})


def field(name: str, **changed: object) -> Callable[[dict], object]:
    """x, or a field of the condition."""
    return lambda record: next(iter(_field(record, name).values())).update(changed)


def _field(record: dict, name: str) -> dict:
    return record["spec"]["x"] if name == "x" else record["spec"]["condition"][name]


def condition(value: object) -> Callable[[dict], object]:
    return lambda record: record["spec"].update(condition=value)


def shape(*sides: object) -> Callable[[dict], object]:
    return field("x", shape=list(sides))


def nested(depth: int) -> dict:
    part: dict = {"dense": {}}
    for _ in range(depth):
        part = {"pair": {"encoders": part, "decoders": {"dense": {}}}}
    return part


HOSTILE = {
    "unknown type": called("vaee"),
    "another type": called("vqvae"),
    "import path": called("simulacra.latent.vae.VAE"),
    "dotted path": called("os.system"),
    "a preset in the place of a class": called("vqvae2"),
    "type is a list": model(["vae"]),
    "type is null": model(None),
    "type is a word": model("vae"),
    "no type": model({}),
    "two types": lambda record: record["model"].update(gan={}),
    "foreign argument": argument("shell", "rm -rf"),
    "dunder argument": argument("__class__", "x"),
    "self": argument("self", 1),
    "spec twice": argument("spec", 1),
    "name": argument("name", "vae"),
    "arguments are a list": model({"vae": []}),
    "object argument": argument("latent", {"a": 1}),
    "nested list": argument("latent", [[4]]),
    "wrong type": argument("latent", "four"),
    "a real number of units": argument("latent", 4.5),
    "null": argument("latent", None),
    "negative": argument("latent", -4),
    "absurd latent": argument("latent", 10**9),
    "an argument left out": lambda record: own(record).pop("latent"),
    "unknown part": argument("network", {"dens": {}}),
    "a part that is an import path": argument("network", {"simulacra.networks.Dense": {}}),
    "a part of another kind": argument("network", {"mixture": {}}),
    "two parts": argument("network", {"dense": {}, "conv": {}}),
    "no part": argument("network", {}),
    "a part is a list": argument("network", ["dense"]),
    "a part is a number": argument("network", 3),
    "a part is null": argument("network", None),
    "arguments of a part are a list": argument("network", {"dense": [4]}),
    "parts too deep": argument("network", nested(40)),
    "parts deeper than the stack": argument("network", nested(300)),
    "parts too deep, as text": argument("network", "pair:encoders=(" * 60_000 + "dense" + ")" * 60_000),
    "parentheses": argument("network", "(" * 500_000 + "dense" + ")" * 500_000),
    "a part with another argument": of_part("shell", "rm -rf"),
    "a part of the wrong type": of_part("hidden", "four"),
    "a part with a real number of units": of_part("hidden", 4.5),
    "a part with null": of_part("hidden", None),
    "a part with a negative number": of_part("hidden", -4),
    "absurd width": of_part("hidden", 10**9),
    "largest allowed": of_part("hidden", 1 << 16),
    "infinite": of_part("hidden", float("inf")),
    "not a number": argument("objective", {"elbo": {"beta": float("nan")}}),
    "a size of a ladder that never ends": model({"ladder-vae": {"size": {"small": {"grid": 0}}}}),
    "long string": argument("likelihood", "x" * 100_000),
    "other format": lambda record: record.update(format=99),
    "no format": lambda record: record.pop("format"),
    "extra key": lambda record: record.update(code="import os"),
    "preset is a list": lambda record: record.update(preset=["vae"]),
    "preset is a long string": lambda record: record.update(preset="x" * 100_000),
    "imports are a number": lambda record: record.update(imports=5),
    "imports are numbers": lambda record: record.update(imports=[5]),
    "no imports": lambda record: record.pop("imports"),
    "no spec": lambda record: record.pop("spec"),
    "spec is a list": lambda record: record.update(spec=[1, 2]),
    "spec is null": lambda record: record.update(spec=None),
    "x is null": lambda record: record["spec"].update(x=None),
    "x is no field": lambda record: record["spec"].update(x={"dense": {}}),
    "x is a label": lambda record: record["spec"].update(x={"class": {"count": 3}}),
    "absurd shape": shape(1, 10**9, 10**9),
    "shape beyond 64 bits": shape(1, 10**30, 10**30),
    "infinite shape": shape(1, float("inf"), 4),
    "infinite levels": field("x", levels=float("inf")),
    "empty shape": shape(),
    "negative shape": shape(1, -4, 4),
    "words for a shape": shape("a", "b", "c"),
    "absurd levels": field("x", levels=10**9),
    "absurd classes": field("label", count=10**15),
    "infinite classes": field("label", count=float("inf")),
    "no classes": field("label", count=0),
    "names of other classes": field("label", names=["a"]),
    "names that are numbers": field("label", names=[1, 2, 3]),
    "condition is a list": condition(["label"]),
    "a field called like a path": condition({"../x": {"class": {"count": 3}}}),
    "an empty field": condition({"": {"class": {"count": 3}}}),
    "a field of a number": condition({"label": 3}),
    "an absurd list": condition({"label": {"many": {"field": {"class": {}}, "most": 10**12}}}),
    "a list of lists": condition({"label": {"many": {"field": {"many": {}}}}}),
    "a record of nothing": condition({"label": {"record": {"fields": {}}}}),
    "an absurd place": condition({"label": {"index": {"of": "x", "count": 10**15}}}),
    "an absurd number of tokens": condition({"label": {"tokens": {"vocabulary": ["a"], "most": 10**15}}}),
    "a derivation of nothing": condition({"label": {"derived": {"by": {"down": {}}, "own": None}}}),
    "a field too deep, as text": condition({"label": "many:field=(" * 60_000 + "class" + ")" * 60_000}),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_config_is_refused_even_if_the_weights_vouch_for_it(folder, change):
    edited(folder, change)
    refused(folder)


HOSTILE_1 = {
    "unknown type": lambda record: record.update(type="vaee"),
    "import path": lambda record: record.update(type="simulacra.latent.vae.VAE"),
    "type is a list": lambda record: record.update(type=["vae"]),
    "type is null": lambda record: record.update(type=None),
    "foreign argument": lambda record: record["arguments"].update(shell="rm -rf"),
    "an argument left out": lambda record: record["arguments"].pop("network"),
    "arguments are a list": lambda record: record.update(arguments=[]),
    "arguments are null": lambda record: record.update(arguments=None),
    "object argument": lambda record: record["arguments"].update(hidden={"a": 1}),
    "an object for a part": lambda record: record["arguments"].update(prior={"gaussian": {}}),
    "a list for a part": lambda record: record["arguments"].update(objective=["elbo"]),
    "absurd width": lambda record: record["arguments"].update(hidden=10**9),
    "not a number": lambda record: record["arguments"].update(beta=float("nan")),
    "long string": lambda record: record["arguments"].update(likelihood="x" * 100_000),
    "extra key": lambda record: record.update(code="import os"),
    "no spec": lambda record: record.pop("spec"),
    "spec is null": lambda record: record.update(spec=None),
    "no levels": lambda record: record["spec"].pop("levels"),
    "absurd shape": lambda record: record["spec"].update(shape=[1, 10**9, 10**9]),
    "words for a shape": lambda record: record["spec"].update(shape=["a", "b", "c"]),
    "condition is a list": lambda record: record["spec"].update(condition=["label"]),
    "a field of a number": lambda record: record["spec"].update(condition={"label": 3}),
    "a field without a count": lambda record: record["spec"].update(condition={"label": {"names": []}}),
    "infinite classes": lambda record: record["spec"].update(condition={"l": {"count": float("inf"), "names": []}}),
}


@pytest.mark.parametrize("change", HOSTILE_1.values(), ids=HOSTILE_1)
def test_a_hostile_config_of_an_earlier_format_is_refused_too(tmp_path, change):
    folder = tmp_path / "vae"
    shutil.copytree(FORMAT_1, folder)
    load(folder)
    edited(folder, change)
    refused(folder)


@pytest.mark.parametrize("value", [10**9, 1 << 16])
@pytest.mark.parametrize("name", ["width", "layers", "kernel", "inner_kernel"])
def test_a_network_too_large_to_be_meant_is_refused_at_once(tmp_path, name, value):
    """Neither memory nor time is spent on what the weights file cannot hold."""
    save(gated_pixelcnn(SPEC, width=4, layers=2), tmp_path / "net")
    edited(tmp_path / "net", argument(name, value + name.endswith("kernel")))
    refused(tmp_path / "net")


@pytest.mark.parametrize("sides", [(1, 10**9, 10**9), (1, 1 << 40, 1 << 40), (1, 10**30, 10**30), (10**9, 8, 8)])
def test_an_image_too_large_to_be_meant_is_refused_at_once(tmp_path, sides):
    save(registry.build("dcgan", DataSpec(Levels((1, 8, 8), 3)), latent=2, width=2), tmp_path / "gan")
    edited(tmp_path / "gan", shape(*sides))
    refused(tmp_path / "gan")


CONTENTS = {
    "empty": b"",
    "a list": b"[]",
    "a number": b"3",
    "half": b'{"format": 2',
    "not text": b"\xff\xfe\x00",
    "deeply nested": b'{"a":' * 100_000,
    "deep lists": b"[" * 500_000,
    "a name twice": b'{"format": 2, "model": {}, "model": {}, "preset": null, "imports": [], "spec": {}}',
    "a huge number": b'{"format": ' + b"9" * 100_000 + b"}",
    "two megabytes": b'{"a": "' + b"x" * (2 << 20) + b'"}',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_config_that_is_no_config_is_refused(folder, content):
    sealed(folder, content)
    refused(folder, names="config.json")


def test_a_name_given_twice_deep_in_a_config_is_refused(folder):
    content = (folder / "config.json").read_bytes()
    assert content.count(b'"levels": 3') == 1
    sealed(folder, content.replace(b'"levels": 3', b'"levels": 3, "levels": 3'))
    refused(folder, "twice", "config.json")


# Where there is no model


def test_a_path_that_does_not_exist_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match=f"no run folder {tmp_path}/nowhere; `simulacra fit"):
        load(tmp_path / "nowhere")


def test_a_folder_without_a_model_is_a_wrong_call(tmp_path):
    with pytest.raises(UsageError, match="holds no model"):
        load(tmp_path)


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="holds no model"):
        load(tmp_path / "file")


# Writing


def test_a_full_disk_leaves_the_old_model(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simulacra.files.os.fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device.*untouched"):
        save(VAE(SPEC, latent=3, network=SMALL), folder, card="another card")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    monkeypatch.undo()
    load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "sparse", "folder"])
def test_what_has_no_end_is_not_read(folder, name, kind):
    """A pipe was waited for, and of /dev/zero or a sparse terabyte all was read."""
    path = folder / name
    whole = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(whole)
        os.truncate(path, 1 << 40)
    refused(folder, names=name)


def test_a_config_with_half_a_character_is_refused(folder):
    edited(folder, lambda record: record["spec"]["condition"]["label"]["class"].update(names=["a", "b", "\ud800"]))
    refused(folder, "half a character", "config.json")


def test_a_file_may_be_replaced_while_it_is_read(tmp_path, monkeypatch):
    """As `fit` does at any moment: what is read is the old file or the new one, never the head of one with the rest of
    the other."""
    path, old, new = tmp_path / "weights.safetensors", {"w": torch.zeros(3)}, {"w": torch.ones(3)}
    write_tensors(path, old)
    compare = weights._compare

    def meanwhile(*given: object) -> None:
        write_tensors(path, new)
        compare(*given)

    monkeypatch.setattr(weights, "_compare", meanwhile)
    assert torch.equal(read_tensors(path, old)[0]["w"], old["w"])
    monkeypatch.undo()
    assert torch.equal(read_tensors(path, old)[0]["w"], new["w"])
