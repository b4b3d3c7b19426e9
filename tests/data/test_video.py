"""Clips come out of films as they lie there, whole, in order and in one split."""

import hashlib
import io
import lzma
import os
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import simulacra.data as data
from simulacra.data import DataSpec
from simulacra.data.shipped.bouncing import ROOM, path_of
from simulacra.errors import DataError, UsageError
from simulacra.fields import Levels
from simulacra.pictures import clips_gif

SHARED = os.environ.get("SIMULACRA_DATA", "")  # before the tests hide it


def film(number, length=8, side=6):
    """Grey frames (length, side, side) that say of which film they are, and when."""
    frames = np.full((length, side, side), 20 * number, np.uint8)
    frames[:, 0, 0] = np.arange(length)
    return frames


def frames_of(folder, frames, name="frame_{}.png", first=1):
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(i + first))
    return folder


@pytest.fixture
def films(tmp_path):
    """Five films of 10 frames, whose names are not in the order of their numbers."""
    for number in range(5):
        frames_of(tmp_path / "films" / f"film{number}", film(number, 10))
    return tmp_path / "films"


def rows(dataset):
    """(film, first frame) of every clip of each split."""
    return [{(int(x[0, 0, 1, 1]) // 20, int(x[0, 0, 0, 0])) for x in split.x} for split in dataset.splits]


def test_folders_of_frames_are_cut_into_clips_of_one_split_each(films):
    video = data.load(films, window=4)
    assert (video.spec.shape, video.spec.levels, video.spec.is_video) == ((4, 1, 6, 6), 256, True)
    assert set().union(*rows(video)) == {(number, start) for number in range(5) for start in (0, 4)}
    of_films = [{number for number, _ in part} for part in rows(video)]
    assert sum(map(len, of_films)) == 5
    assert all(of_films)
    assert (video.split("all").x[:, :, 0, 0, 0] % 4 == np.arange(4)).all()


def test_what_was_cut_off_and_read_out_of_the_order_of_names_is_remarked(films):
    frames_of(films / "short", film(6, 3))
    video = data.load(films, window=4)
    assert video.kind == "video: 10 clips of 4 frames from 5 folders of frames"
    told = " | ".join(video.remarks)
    assert "1 film of fewer than 4 frames left out, such as short" in told
    assert "10 frames cut off" in told
    assert "read by their numbers" in told


def test_missing_double_and_unnumbered_frames_are_named(films):
    (films / "film2" / "frame_4.png").unlink()
    (films / "film2" / "frame_5.png").unlink()
    with pytest.raises(DataError, match=r"film2: frames 4 to 5 missing"):
        data.load(films, window=4)
    frames_of(films / "film2", film(2, 10))
    frames_of(films / "film2", film(2, 1), "frame_0{}.png", 7)
    with pytest.raises(DataError, match=r"two frames number 7: frame_0?7.png and frame_0?7.png"):
        data.load(films, window=4)
    (films / "film2" / "frame_07.png").rename(films / "film2" / "poster.png")
    with pytest.raises(DataError, match=r"poster.png has no number"):
        data.load(films, window=4)


def test_every_fifth_frame_is_no_gap(tmp_path):
    for number in range(3):
        folder = tmp_path / "f" / f"{number}"
        folder.mkdir(parents=True)
        for i, frame in enumerate(film(number, 4)):
            Image.fromarray(frame).save(folder / f"{5 * i:03}.png")
    assert len(data.load(tmp_path / "f", window=4).split("all")) == 3


def test_gifs_and_strips_are_films_and_their_folders_classes(tmp_path):
    gifs, strips = tmp_path / "gifs", tmp_path / "strips"
    for name, numbers in (("run", (1, 2, 3)), ("walk", (4, 5, 6))):
        for root in (gifs, strips):
            (root / name).mkdir(parents=True)
        for number in numbers:
            first, *others = [Image.fromarray(frame) for frame in film(number)]
            first.save(gifs / name / f"{number}.gif", save_all=True, append_images=others)
            Image.fromarray(np.concatenate(list(film(number)), axis=1)).save(strips / name / f"{number}.png")
    read = {}
    for root, kind in ((gifs, "6 GIFs"), (strips, "6 strips")):
        video = data.load(root, window=4)
        assert video.kind == f"video: 12 clips of 4 frames from {kind} in 2 classes"
        assert video.spec.condition["label"].names == ("run", "walk")
        x, label = video.split("all").x, video.split("all").field("label")
        assert (label == (x[:, 0, 0, 1, 1] > 60)).all()
        read[kind] = sorted(clip.tobytes() for clip in x)
    assert read["6 GIFs"] == read["6 strips"]


def test_split_folders_are_splits_and_films_are_resized(tmp_path):
    for part, numbers in (("train", (1, 2)), ("valid", (3,)), ("test", (4,))):
        for number in numbers:
            frames_of(tmp_path / "v" / part / f"{number}", film(number))
    video = data.load(tmp_path / "v", window=8, resize=3)
    assert [len(split) for split in video.splits] == [2, 1, 1]
    assert video.spec.shape == (8, 1, 3, 3)
    assert int(video.test.x[0, 0, 0, 2, 2]) == 80


def test_what_holds_no_clips_is_refused(films, tmp_path):
    with pytest.raises(DataError, match=r"longest film has 10 frames.*--window 10"):
        data.load(films, window=11)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no folders of frames"):
        data.load(tmp_path / "empty", window=4)
    with pytest.raises(UsageError, match="window is for folders of video"):
        data.load("digits", window=4)
    (films / "film1" / "frame_3.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"frame_3.png: not a PNG"):
        data.load(films, window=4)


def test_damaged_gifs_are_read_or_refused(tmp_path):
    folder, random = tmp_path / "g", np.random.RandomState(0)
    folder.mkdir()
    for number in range(1, 4):
        first, *others = [Image.fromarray(frame) for frame in film(number)]
        first.save(folder / f"{number}.gif", save_all=True, append_images=others)
    good, refused = (folder / "2.gif").read_bytes(), 0
    for _ in range(30):
        bad = bytearray(good[: random.randint(20, len(good) + 1)])
        for place in random.randint(0, len(bad), 4):
            bad[place] = random.randint(256)
        (folder / "2.gif").write_bytes(bad)
        try:
            data.load(folder, window=4)
        except DataError as error:
            refused += "2.gif" in str(error) or "cannot be split" in str(error)
    assert refused > 5


def test_a_clip_is_the_same_after_a_gif():
    clip = np.random.default_rng(0).integers(0, 256, (1, 5, 1, 12, 9), dtype=np.uint8)
    spec = DataSpec(Levels((5, 1, 12, 9), 256))
    with Image.open(io.BytesIO(clips_gif(clip, spec))) as image:
        assert image.n_frames == 5
        for t in range(5):
            image.seek(t)
            assert np.array_equal(np.asarray(image.convert("L")), clip[0, t, 0])
    colours = DataSpec(Levels((5, 3, 12, 9), 256))
    with Image.open(io.BytesIO(clips_gif(clip.repeat(3, axis=2).repeat(5, axis=0), colours))) as image:
        assert image.n_frames == 5
        assert image.width > 3 * 9, "five clips in rows of three"


def test_digits_bounce_by_the_law():
    """The pixels of every frame are those of the first one, moved to where the law says."""
    video = data.load("bouncing")
    assert [len(split) for split in video.splits] == [3000, 500, 500]
    assert (video.spec.shape, video.spec.levels) == ((16, 1, 32, 32), 256)
    x, fields = np.asarray(video.test.x[:50, :, 0]), {k: v[:50] for k, v in video.test.condition.items()}
    path = path_of(fields["start"], fields["velocity"]).astype(int)
    assert path.min() >= 0
    assert path.max() <= ROOM
    for clip, places in zip(x, path, strict=True):
        tiles = [frame[top : top + 12, left : left + 12] for frame, (left, top) in zip(clip, places, strict=True)]
        assert all(np.array_equal(tile, tiles[0]) for tile in tiles)
        assert all(tile.sum() == frame.sum() > 0 for tile, frame in zip(tiles, clip, strict=True))
    steps = np.diff(path, axis=1)
    plain = (steps == fields["velocity"][:, None]).all(2) | (steps == -fields["velocity"][:, None]).all(2)
    assert 0.5 < plain.mean() < 1, "most steps are straight, and some are bounces"


def test_the_law_reflects_at_the_walls():
    path = path_of(np.array([[19.0, 1.0]]), np.array([[3.0, -2.0]]), 4)
    assert path[0].tolist() == [[19, 1], [18, 1], [15, 3], [12, 5]]


def actions_in(folder):
    """Eight films of two actions, 20 frames each, as the set is stored."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (160, 3, 64, 64), dtype=np.uint8)
    coded = x.copy()
    coded[:, [0, 2]] -= coded[:, [1]]
    films = [np.diff(coded[i : i + 20], axis=0, prepend=np.zeros((1, 3, 64, 64), np.uint8)) for i in range(0, 160, 20)]
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(films))
    folder.mkdir()
    (folder / "frames_64.delta.npy.xz").write_bytes(lzma.compress(buffer.getvalue(), preset=0))
    np.savez(
        folder / "index.npz",
        offsets=np.arange(0, 161, 20),
        action=np.repeat([0, 1], 4).astype(np.uint8),
        action_names=np.array(["bend", "jump"]),
    )
    return x


def test_actions_are_decoded_and_split_by_film(tmp_path, monkeypatch):
    x = actions_in(tmp_path / "actions_video")
    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    video = data.load("actions-video")
    assert video.spec.condition["action"].names == ("bend", "jump")
    assert [len(split) for split in video.splits] == [2 * 2, 2, 4]  # one film of an action begins at frames 0 and 4
    assert np.array_equal(video.train.x[1], x[4:20])
    assert np.array_equal(video.test.x[0], x[40:56])
    assert np.array_equal(video.valid.x[0], x[20:36])
    assert data.load("actions-video", window=8, resize=16).spec.shape == (8, 3, 16, 16)
    with pytest.raises(UsageError, match="shortest film has 20 frames"):
        data.load("actions-video", window=21)


@pytest.mark.skipif(not os.path.isdir(f"{SHARED}/actions_video"), reason="actions_video is not in $SIMULACRA_DATA")
def test_the_actions_are_those_of_the_readme():
    from simulacra.data.collected import read_uint8
    from simulacra.data.collected.actions_video import decoded

    folder = Path(SHARED) / "actions_video"
    with np.load(folder / "index.npz") as index:
        films = list(decoded(read_uint8(folder / "frames_64.delta.npy.xz", 3, 64, 64), index["offsets"]))
    assert len(films) == 36
    assert hashlib.sha256(np.concatenate(films).tobytes()).hexdigest().startswith("e1795f9cb51cbb8a")


def coded(path, frames, pixels="gray"):
    """A film of frames (F, H, W) or (F, H, W, 3), without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "gray" if frame.ndim == 2 else "rgb24")))
        container.mux(stream.encode())
    return path


def test_films_of_a_codec_are_the_films_of_their_frames(tmp_path):
    for number in range(5):
        frames_of(tmp_path / "frames" / f"film{number}", film(number, 10))
        coded(tmp_path / "coded" / f"film{number}.mkv", film(number, 10))
    expected, found = (data.load(tmp_path / name, window=4) for name in ("frames", "coded"))
    assert found.kind == "video: 10 clips of 4 frames from 5 films"
    assert found.spec == expected.spec
    for one, other in zip(found.splits, expected.splits, strict=True):
        assert np.array_equal(one.x, other.x)


def test_films_of_a_codec_have_colours_and_classes(tmp_path):
    rng = np.random.default_rng(0)
    frames = {(name, i): rng.integers(0, 256, (4, 8, 10, 3), np.uint8) for name in ("run", "walk") for i in range(3)}
    for (name, i), each in frames.items():
        coded(tmp_path / "films" / name / f"{i}.avi", each, "bgr0")
    video = data.load(tmp_path / "films", window=4).split("all")
    assert video.x.shape == (6, 4, 3, 8, 10)
    expected = {each.transpose(0, 3, 1, 2).tobytes(): name == "walk" for (name, _), each in frames.items()}
    for x, label in zip(video.x, video.field("label"), strict=True):
        assert expected[x.tobytes()] == label


def test_a_damaged_film_is_named_and_one_that_needs_its_package_says_so(tmp_path, monkeypatch):
    for number in range(30):
        coded(tmp_path / "films" / f"film{number}.mp4.mkv", film(number % 12, 4))
    (tmp_path / "films" / "torn.mp4").write_bytes(b"no film")
    video = data.load(tmp_path / "films", window=4)
    assert [Path(each.path).name for each in video.unreadable] == ["torn.mp4"]
    assert "cannot be decoded" in video.unreadable[0].reason
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"film0.*package av: pip install 'simulacra\[video\]'"):
        data.load(tmp_path / "films", window=2)
