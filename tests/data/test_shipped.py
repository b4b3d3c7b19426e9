import hashlib
import json

import numpy as np
import pytest
import torch

import simulacra.data as data
from simulacra import registry
from simulacra.data.shipped.shapes import shapes
from simulacra.errors import UsageError
from simulacra.feed import feed


def test_digits_are_the_uci_digits(everything):
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    digits = data.load("digits")
    expected = zip(sklearn.images.astype(np.uint8), sklearn.target, strict=True)
    assert everything(digits) == sorted(((x.tobytes(), int(y)) for x, y in expected), key=str)
    assert (digits.spec.shape, digits.spec.levels, digits.spec.condition["label"].count) == ((1, 8, 8), 17, 10)


def test_digits_are_split_70_10_20():
    digits = data.load("digits")
    assert [len(split) for split in digits.splits] == pytest.approx([0.7 * 1797, 0.1 * 1797, 0.2 * 1797], abs=1)


@pytest.mark.parametrize(("name", "modes", "std"), [("ring", 8, 0.02), ("grid", 25, 0.05)])
def test_mixtures_have_their_modes_and_width(name, modes, std):
    mixture = data.load(name)
    assert mixture.spec.levels is None
    assert [len(split) for split in mixture.splits] == [10_000, 2_000, 2_000]
    x, label = mixture.train.x, mixture.train.condition["label"]
    assert set(label) == set(range(modes))
    for mode in range(modes):
        assert x[label == mode].std(axis=0) == pytest.approx([std, std], rel=0.15)


def test_ring_is_the_same_data_everywhere():
    """The stream of the generator is fixed, so the data that runs are compared on must never change."""
    assert data.load("ring").train.x[0] == pytest.approx([-1.392003, -1.399187], abs=1e-5)


def test_shapes_are_every_combination_of_their_factors_once():
    """And no two are the same picture, so that every factor can be told from it."""
    shapes = data.load("shapes")
    assert {name: label.count for name, label in shapes.spec.condition.items()} == {
        "shape": 3, "scale": 3, "orientation": 8, "row": 8, "column": 8
    }  # fmt: skip
    assert list(shapes.test.condition) == list(shapes.spec.condition)
    factors = np.concatenate([np.stack(list(split.condition.values()), axis=1) for split in shapes.splits])
    assert len(factors) == len(np.unique(factors, axis=0)) == 3 * 3 * 8 * 8 * 8
    x = np.concatenate([split.x for split in shapes.splits])
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)
    assert (shapes.spec.shape, shapes.spec.levels, int(x.max())) == ((1, 16, 16), 17, 16)


def test_shapes_move_and_turn_as_their_factors_say():
    x, factors = shapes()
    items = {tuple(item): picture[0] for item, picture in zip(np.stack(list(factors.values()), 1), x, strict=True)}
    for shape in range(3):
        one = items[shape, 1, 0, 2, 3]
        assert (items[shape, 1, 0, 4, 2] == np.roll(one, (2, -1), axis=(0, 1))).all()
        quarter = np.rot90(items[shape, 2, 1, 4, 4][1:, 1:], -1)  # about the middle of the centre pixel
        assert (items[shape, 2, 3, 4, 4][1:, 1:] == quarter).all()
        assert one.sum() < items[shape, 2, 0, 2, 3].sum()


def test_shapes_are_the_same_data_everywhere():
    digest = hashlib.sha256(b"".join(values.tobytes() for values in (shapes()[0], *shapes()[1].values()))).hexdigest()
    assert digest[:16] == "5b41cda354dccf1c"


def test_a_model_can_be_conditioned_on_several_factors():
    shapes = data.load("shapes")
    model = registry.build("vae", shapes.spec.conditioned_on(("shape", "row")), latent=2, network="dense:hidden=4")
    x, condition = feed(shapes.test, slice(0, 5), model.spec, model.device)
    assert set(condition) == {"shape", "row"}
    assert model.log_prob_bound(x, condition, samples=2).isfinite().all()
    moved = model.decode(torch.zeros(5, 2), condition | {"row": (condition["row"] + 1) % 8}).mean
    assert not torch.equal(moved, model.decode(torch.zeros(5, 2), condition).mean)


def test_the_same_data_have_the_same_fingerprint_in_another_cache(monkeypatch, tmp_path):
    first = data.load("digits").fingerprint
    monkeypatch.setenv("SIMULACRA_CACHE", str(tmp_path))
    assert data.load("digits").fingerprint == first
    assert data.load("digits", levels=256).fingerprint != first  # the spec is part of it


def test_summary_is_json_and_counts_every_item():
    digits = data.load("digits")
    summary = json.loads(json.dumps(digits.summary()))
    assert summary["splits"] == {split.name: len(split) for split in digits.splits}
    assert sum(row[split] for row in summary["classes"]["label"] for split in summary["splits"]) == 1797
    assert len(summary["card"]["sha256"]) == 64
    assert "CC BY 4.0" in summary["card"]["licence"]


def test_a_wrong_name_gets_a_suggestion():
    with pytest.raises(UsageError, match="Did you mean 'mnist'"):
        data.load("mnits")
    with pytest.raises(UsageError, match="Did you mean 'valid'"):
        data.load("digits").split("vaild")
    with pytest.raises(UsageError, match="no field 'lable'"):
        data.load("digits").train.field("lable")


def test_every_named_set_has_a_line_in_the_catalogue():
    assert list(data.catalogue()) == [name for name in data.names() if ":" not in name]
    assert all(data.catalogue().values())


def test_a_name_wins_over_a_folder_and_a_path_does_not(tmp_path, monkeypatch, write_images, pixels):
    write_images(tmp_path / "digits", pixels)
    monkeypatch.chdir(tmp_path)
    assert data.load("digits").spec.shape == (1, 8, 8)
    assert data.load("./digits").spec.shape == (1, 6, 5)


def test_options_that_do_not_apply_are_refused():
    with pytest.raises(UsageError, match="resize"):
        data.load("digits", resize=16)
    with pytest.raises(UsageError, match="levels"):
        data.load("digits", levels=1)


def test_stacked_digits_are_digits_of_their_own_split():
    stacked, digits = data.load("stacked-digits"), data.load("digits")
    assert (stacked.spec.shape, stacked.spec.levels) == ((3, 8, 8), 17)
    assert list(stacked.spec.condition) == ["red", "green", "blue"]
    assert [len(split) for split in stacked.splits] == [20_000, 2_000, 2_000]
    seen = []
    for many, single in zip(stacked.splits, digits.splits, strict=True):
        classes = {x.tobytes(): int(y) for x, y in zip(single.x, single.field("label"), strict=True)}
        for c, name in enumerate(("red", "green", "blue")):
            channel = np.ascontiguousarray(many.x[:2000, c])
            assert [classes[x.tobytes()] for x in channel] == many.field(name)[:2000].tolist()
        seen.append({x.tobytes() for x in np.asarray(many.x).reshape(-1, 8, 8)})
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def test_stacked_digits_have_a_thousand_modes_equally_often():
    train = data.load("stacked-digits").train
    modes = np.stack([train.field(name) for name in ("red", "green", "blue")], 1) @ [100, 10, 1]
    counts = np.bincount(modes, minlength=1000)
    assert (counts > 0).all()
    squares = ((counts - 20.0) ** 2 / 20.0).sum()
    assert abs(squares - 999) < 4 * (2 * 999) ** 0.5  # chi-squared of equal shares


def test_stacked_digits_are_the_same_data_everywhere():
    assert (
        hashlib.sha256(np.ascontiguousarray(data.load("stacked-digits").test.x).tobytes()).hexdigest()[:16]
        == "0d925acd5b033d1b"
    )
