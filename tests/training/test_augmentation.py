"""Augmentation: what it does to pixels, as a function of (seed, epoch, index), and to training items alone."""

import json
import signal

import numpy as np
import pytest
import torch
from small import SPECS, before_step, dataset, same, saved_weights

import simulacra as sim
from simulacra.data import Split
from simulacra.errors import UsageError
from simulacra.training import Interrupted
from simulacra.training.augmentation import Crop, Flip, Shift, augmented, numbers_of
from simulacra.training.batches import Batches
from simulacra.training.options import Options, decisive
from simulacra.training.runtime import Runtime

HERE = Runtime(torch.device("cpu"), bf16=False)
SPEC = SPECS["grey-labelled"]
ALL = (Flip(), Crop(2), Shift(1))


def image(height: int = 5, width: int = 6, n: int = 1) -> np.ndarray:
    return np.arange(n * 2 * height * width, dtype=np.int64).reshape(n, 2, height, width)


def one(augmentation, noise, x=None) -> np.ndarray:
    x = image() if x is None else x
    return augmentation.change({"": x}, np.array([noise], float))[""]


def test_a_flip_changes_left_and_right_of_its_share():
    assert (one(Flip(0.5), [0.49]) == image()[..., ::-1]).all()
    assert (one(Flip(0.5), [0.5]) == image()).all()
    noise = np.linspace(0, 1, 1000, endpoint=False)[:, None]
    flipped = Flip(0.3).change({"": np.tile(np.arange(2), (1000, 1, 1))}, noise)[""]
    assert flipped[:, 0, 0].sum() == 300


@pytest.mark.parametrize("step", [(-2, -2), (2, 1), (0, 0), (-1, 2)])
def test_a_shift_repeats_the_edge_and_a_crop_its_mirror_image(step):
    noise = [(part + 2) / 5 + 1e-9 for part in step]
    for augmentation, mode in ((Shift(2), "edge"), (Crop(2), "reflect")):
        padded = np.pad(image(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode)
        expected = padded[..., 2 + step[0] : 7 + step[0], 2 + step[1] : 8 + step[1]]
        assert (one(augmentation, noise) == expected).all(), mode


def test_a_crop_wider_than_the_image_is_still_a_mirror_image():
    x = np.array([[[[1, 2, 3]]]])
    assert (one(Crop(7), [0.5, 0.999], x) == np.pad(x, ((0, 0), (0, 0), (0, 0), (7, 7)), "reflect")[..., 14:17]).all()


def test_every_shift_is_as_likely():
    noise = np.stack([np.linspace(0, 1, 500, endpoint=False)] * 2, 1)
    x = np.tile(np.arange(20), (500, 20, 1))
    moved = Shift(2).change({"": x}, noise)[""][:, 10, 10] - 10
    assert np.bincount(moved + 2).tolist() == [100] * 5


def test_maps_on_the_same_pixels_move_along_and_nothing_else_does():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (9, 3, 6, 7), dtype=np.uint8)
    fields = {"": x, "map": x[:, 0].astype(np.int64), "label": np.arange(9), "small": x[:, :, :3, :3]}
    changed = augmented(ALL, fields, (6, 7), rng.random((9, numbers_of(ALL))))
    assert (changed["map"] == changed[""][:, 0]).all()
    assert changed[""].dtype == np.uint8
    assert not (changed[""] == x).all()
    assert changed["label"] is fields["label"]
    assert changed["small"] is fields["small"]


def batches(batch: int = 8, seed: int = 0, rank: int = 0, world: int = 1, augment=ALL) -> Batches:
    return Batches(
        dataset(SPEC, (30, 1, 1)).train, SPEC, batch, seed, Runtime(HERE.device, False, rank, world), augment
    )


def by_place(made: Batches, draws: int) -> dict[tuple[int, int], bytes]:
    """What became of each item in each epoch."""
    found = {}
    for draw in range(draws):
        x, _ = made[draw]
        index, epoch = (values[made.share] for values in made.places(draw))
        found |= {(int(e), int(i)): item.numpy().tobytes() for e, i, item in zip(epoch, index, x, strict=True)}
    return found


def test_what_becomes_of_an_item_follows_from_seed_epoch_and_index_alone():
    one, other = by_place(batches(8), 15), by_place(batches(12), 10)
    assert one.keys() == other.keys() == {(epoch, index) for epoch in range(4) for index in range(30)}
    assert one == other
    shares = by_place(batches(8, rank=0, world=2), 15) | by_place(batches(8, rank=1, world=2), 15)
    assert shares == one
    assert by_place(batches(8, seed=1), 15) != one
    changing = sum(one[0, index] != one[1, index] for index in range(30))
    assert changing > 20


def test_labels_stay_with_their_items():
    plain, changed = batches(augment=()), batches()
    for draw in range(3):
        assert torch.equal(plain[draw][1]["label"], changed[draw][1]["label"])


# A run


def fit(out, **options):
    arguments = {
        "latent": 2,
        "network": "dense:hidden=8,dropout=0.1",
        "batch": 8,
        "steps": 8,
        "every": 4,
        "augment": ("flip", "shift:pixels=1"),
    }
    return sim.fit("vae", dataset(SPEC), out, condition="label", **(arguments | options))


def test_a_run_with_augmentation_is_resumed_bitwise_and_known_by_it(tmp_path):
    fit(tmp_path / "whole")
    with pytest.raises(Interrupted), before_step(3, lambda: signal.raise_signal(signal.SIGTERM)):
        fit(tmp_path / "run")
    with pytest.raises(UsageError, match=r"options\.augment"):
        fit(tmp_path / "run", augment=("flip",))
    fit(tmp_path / "run")
    assert same(saved_weights(tmp_path / "run"), saved_weights(tmp_path / "whole"))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["options"]["augment"] == [{"flip": {"share": 0.5}}, {"shift": {"pixels": 1}}]
    fit(tmp_path / "plain", augment=())
    assert not same(saved_weights(tmp_path / "plain"), saved_weights(tmp_path / "whole"))


def test_the_validation_items_are_as_they_are(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "simulacra.evaluation.judges.score_items", lambda model, split, **_: seen.append(split) or np.ones(3)
    )
    data = dataset(SPEC)
    sim.fit(
        "vae",
        data,
        tmp_path / "run",
        latent=2,
        network="dense:hidden=8,dropout=0.1",
        batch=8,
        steps=2,
        every=1,
        augment="flip",
    )
    assert all(isinstance(split, Split) and (split.x == data.valid.x).all() for split in seen)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("flop", "no augmentation 'flop'. Did you mean 'flip'"),
        ("flip:shar=1", "augmentation 'flip' has no argument 'shar'. Did you mean 'share'"),
        ("flip:share=much", "share of augmentation 'flip' is a number, not 'much'"),
        ("flip:share=2", "share of augmentation 'flip' must be 0 to 1, not 2"),
        ("shift:pixels=0", "pixels of augmentation 'shift' must be at least 1, not 0"),
        ("crop:padding=1.5", "padding of augmentation 'crop' is an integer, not '1.5'"),
    ],
)
def test_what_is_no_augmentation_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        Options(augment=wrong)


def test_vectors_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="only images can be augmented"):
        sim.fit("vae", dataset(SPECS["vector"]), tmp_path / "run", steps=2, augment="flip")
    assert not (tmp_path / "run").exists()


def test_augmentations_are_given_as_parts_or_by_name():
    assert Options(augment="crop:padding=3").augment == Options(augment=[Crop(3)]).augment == (Crop(3),)
    assert Options(augment=["flip", Shift(3)]).augment == (Flip(), Shift(3))
    assert decisive(Options(augment="flip")) != decisive(Options())
