"""Sound: μ-law, `.wav` files, folders of them with classes and speakers, and the spoken digits by name."""

import io
import json
import lzma
import struct
import wave

import numpy as np
import pytest

import simulacra as sim
from simulacra.data import DataSpec, mulaw
from simulacra.data.wav import read_wav, resampled, wav_bytes
from simulacra.errors import DataError, UsageError
from simulacra.fields import ClassLabel, Levels, Real, Sound
from simulacra.spectrograms import spectrogram


def tone(hertz: float, seconds: float = 0.1, rate: int = 1000, loud: float = 0.5) -> np.ndarray:
    return loud * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path, sound, rate=1000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(np.asarray(sound), rate))
    return path


def write_pcm(path, frames: bytes, width: int, channels: int = 1, rate: int = 1000):
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(frames)
    return path


def every(data):
    return np.concatenate([split.x for split in data.splits])


# μ-law


def test_levels_are_decoded_and_encoded_again_without_change():
    levels = np.arange(256)
    assert np.array_equal(mulaw.encode(mulaw.decode(levels)), levels)
    assert (np.diff(mulaw.decode(levels)) > 0).all()
    assert np.allclose(mulaw.decode(np.array([0, 255])), [-1, 1], rtol=0, atol=1e-12)
    assert mulaw.encode(np.array([-7.0, 0.0, 7.0])).tolist() == [0, mulaw.SILENCE, 255]


def test_the_error_of_a_level_is_in_proportion_to_what_is_loud():
    """Half a step of F is ln(256)/255 of |s| + 1/255."""
    s = np.linspace(-1, 1, 20001)
    error = np.abs(mulaw.decode(mulaw.encode(s)) - s)
    assert (error <= 1.02 * np.log(256) / 255 * (np.abs(s) + 1 / 255)).all()


# Files


@pytest.mark.parametrize(("width", "step"), [(1, 2**-7), (2, 2**-15), (3, 2**-23), (4, 2**-31)])
def test_pcm_of_8_to_32_bits_is_read(tmp_path, width, step):
    wanted = np.array([-1.0, -0.5, 0.0, 0.25, 0.75])
    whole = np.rint(wanted / step).astype(np.int64)
    frames = b"".join(
        struct.pack("B", v + 128) if width == 1 else int(v).to_bytes(width, "little", signed=True) for v in whole
    )
    sound, rate = read_wav(write_pcm(tmp_path / "a.wav", frames, width))
    assert np.allclose(sound, wanted, atol=step)
    assert rate == 1000


def test_channels_are_averaged(tmp_path):
    frames = struct.pack("<4h", 1000, 3000, -500, 0)
    sound, _ = read_wav(write_pcm(tmp_path / "a.wav", frames, 2, channels=2))
    assert np.allclose(sound * 32768, [2000, -250])


def test_what_is_written_is_read_again(tmp_path):
    sound = tone(50)
    read, rate = read_wav(write(tmp_path / "a.wav", sound, 1000))
    assert rate == 1000
    assert np.abs(read - sound).max() < 1e-4


def test_another_rate_keeps_a_tone_and_loses_what_is_too_high_for_it():
    pytest.importorskip("scipy")
    low, high = tone(50, 1, 8000), tone(3000, 1, 8000)
    inside = slice(200, 1800)
    assert np.abs(resampled(low, 8000, 2000) - tone(50, 1, 2000))[inside].max() < 0.01
    assert np.abs(resampled(high, 8000, 2000))[inside].max() < 0.01
    assert len(resampled(low[:7999], 8000, 3000)) == -(-7999 * 3000 // 8000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p.write_bytes(b""), "is no .wav of PCM"),
        (lambda p: p.write_bytes(b"RIFF\x04\0\0\0JUNK"), "is no .wav of PCM: not a WAVE file"),
        (lambda p: write_pcm(p, b"", 2), "is empty: it holds no samples"),
        (lambda p: write(p, np.zeros(50)), "holds no sound: all its samples are equal"),
        (lambda p: p.write_bytes(wav_bytes(tone(50), 1000)[:-40]), "80 of its 100 samples are there"),
        (lambda p: p.mkdir(), "holds no .wav files|holds no .*images"),
    ],
)
def test_a_file_without_sound_is_refused_by_name(tmp_path, make, message):
    path = tmp_path / "mine.wav"
    make(path)
    with pytest.raises(DataError, match=message) as caught:
        sim.data.load(path)
    assert "mine.wav" in str(caught.value)


# Data sets


@pytest.fixture
def spoken(tmp_path):
    """36 recordings of two words by four speakers, of 30 to 65 samples, at 1 kHz."""
    for word in ("no", "yes"):
        for s, speaker in enumerate(("ann", "bob", "cy", "dee")):
            for take in range(4):
                write(
                    tmp_path / "voices" / f"{word}_{speaker}_{take}.wav", tone(40 + 9 * s, (30 + 5 * take + s) / 1000)
                )
    return tmp_path / "voices"


def test_names_say_class_and_speaker_and_no_speaker_is_in_two_splits(spoken):
    data = sim.data.load(spoken)
    assert data.spec.x == Sound((48,), rate=1000)  # the longest one
    assert data.spec.condition == {
        "label": ClassLabel(2, ("no", "yes")),
        "speaker": ClassLabel(4, ("ann", "bob", "cy", "dee")),
        "length": Real((1,)),
    }
    heard = [set(split.condition["speaker"].tolist()) for split in data.splits]
    assert sum(map(len, heard)) == len(set.union(*heard)) == 4
    assert "splits by speaker" in data.remarks


def test_a_clip_is_the_sound_and_then_silence_and_its_length_says_where(spoken):
    for split in sim.data.load(spoken, window=60).splits:
        for x, length in zip(split.x, split.condition["length"], strict=True):
            recorded = round(float(length[0]) * 1000)
            assert 30 <= recorded <= 48
            assert (x[recorded:] == mulaw.SILENCE).all()
            assert (x[:recorded] != mulaw.SILENCE).any()


def test_a_long_recording_becomes_clips_that_hold_all_of_it(spoken, tmp_path):
    data = sim.data.load(spoken, window=20)
    recorded = sum(float(split.condition["length"].sum()) for split in data.splits)
    lengths = [30 + 5 * take + s for s in range(4) for take in range(4)] * 2
    assert round(recorded * 1000) == sum(lengths)
    assert len(every(data)) == sum(-(-n // 20) for n in lengths)


def test_classes_may_be_folders_and_splits_too(tmp_path):
    for part, takes in (("train", 4), ("test", 2)):
        for word in ("a", "b"):
            for take in range(takes):
                write(tmp_path / "set" / part / word / f"{part}{take}.wav", tone(30 + take + 10 * (word == "b")))
    data = sim.data.load(tmp_path / "set")
    assert (data.spec.condition["label"].names, len(data.test)) == (("a", "b"), 4)
    assert data.test.condition["label"].tolist() == [0, 0, 1, 1]


def test_one_recording_is_split_by_blocks_of_time(tmp_path):
    sound = 0.9 * np.sin(np.arange(1000) ** 1.3 / 20)
    data = sim.data.load(write(tmp_path / "long.wav", sound), window=50)
    assert [len(split) for split in data.splits] == [16, 2, 2]
    written, _ = read_wav(tmp_path / "long.wav")
    assert np.array_equal(every(data).ravel(), mulaw.encode(written))


def test_rates_that_differ_are_refused_and_brought_to_one(spoken):
    pytest.importorskip("scipy")
    write(spoken / "no_eve_0.wav", tone(50, 0.1, 2000), 2000)
    with pytest.raises(DataError, match=r"mixes sample rates: 32 at 1,000 Hz .*, 1 at 2,000 Hz.*\n.*--rate 1000"):
        sim.data.load(spoken)
    data = sim.data.load(spoken, rate=1000)
    assert data.spec.x == Sound((100,), rate=1000)
    assert "1 recording brought from 2,000 to 1,000 Hz" in data.remarks
    assert data.recipe.to_json()["rate"] == 1000


def test_few_bad_files_are_listed_and_many_are_an_error(tmp_path):
    for i in range(30):
        write(tmp_path / "set" / f"{i:02}.wav", tone(20 + i))
    write(tmp_path / "set" / "30.wav", np.zeros(100))
    data = sim.data.load(tmp_path / "set")
    assert [entry.reason.partition(" holds ")[2] for entry in data.unreadable] == [
        "no sound: all its samples are equal"
    ]
    assert len(every(data)) == 30
    for i in range(31, 34):
        (tmp_path / "set" / f"{i}.wav").write_bytes(b"nothing")
    with pytest.raises(DataError, match="3 of 34 files"):
        sim.data.load(tmp_path / "set")


def test_silent_clips_are_left_out_and_counted(tmp_path):
    for i in range(4):
        gap = np.concatenate([tone(20 + i, 0.05), np.zeros(100), tone(30 + i, 0.05)])
        write(tmp_path / "set" / f"{i}.wav", gap)
    data = sim.data.load(tmp_path / "set", window=50)
    assert len(every(data)) == 8
    assert [(each.count, each.reason) for each in data.altered] == [(8, "clips without any sound are left out")]


def test_steps_without_a_meaning_are_refused(spoken, tmp_path):
    for given, message in (
        ({"levels": 16}, "whose levels are fixed"),
        ({"resize": 8}, "takes no resize: resize is for folders of images"),
        ({"rate": 3}, "rate must be 100 to"),
        ({"window": 0}, "a window must be 1 to"),
    ):
        with pytest.raises(UsageError, match=message):
            sim.data.load(spoken, **given)
    with pytest.raises(UsageError, match="'digits' takes no rate: rate is for sound"):
        sim.data.load("digits", rate=8000)
    with pytest.raises(UsageError, match="'digits' takes no window"):
        sim.data.load("digits", window=8)


def test_a_model_refuses_another_rate_and_says_what_brings_it_to_its_own(spoken, tmp_path):
    pytest.importorskip("scipy")
    model = sim.fit("markov", sim.data.load(spoken), tmp_path / "run", memory=0)
    for i in range(4):
        write(tmp_path / "other" / f"{i}.wav", tone(90 + i, 0.1, 2000), 2000)
    with pytest.raises(UsageError, match=r"at 1,000 Hz.*at 2,000 Hz.*\(--rate 1000 brings it to that rate\)"):
        sim.score(model, tmp_path / "other")
    assert sim.score(model, sim.data.load(tmp_path / "other", rate=1000, window=48)).n > 0
    assert sim.score(model, np.tile(np.arange(48, dtype=np.uint8), (20, 1)), split="all").n == 20


def test_sound_as_json_and_in_words():
    own = Sound((4000,), rate=16000)
    assert DataSpec.from_json(json.loads(json.dumps(DataSpec(own).to_json()))).x == own
    assert own.describe() == "0.25 s of sound: 4,000 samples at 16,000 Hz, 256 levels"
    assert own != Levels((4000,), 256)
    with pytest.raises(DataError, match=r"sound has a shape \(T,\)"):
        Sound((4, 4))


# Pictures


def test_a_tone_is_a_line_at_its_pitch():
    rows = spectrogram(np.stack([tone(1000, 1, 8000), tone(3000, 1, 8000)]), 8000)
    middle = rows.shape[2] // 2
    pitch = (rows.shape[1] - 1 - rows[:, :, middle].argmax(1)) * 4000 / (rows.shape[1] - 1)
    assert np.allclose(pitch, [1000, 3000], atol=4000 / (rows.shape[1] - 1))
    assert (rows.min(), rows.max()) == (-80, 0)


# The spoken digits, in files of the same form


@pytest.fixture
def digits(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULACRA_DATA", str(tmp_path))
    rng, n = np.random.default_rng(0), 60
    lengths = rng.integers(500, 1200, n)
    lengths[7] = 9000
    file = io.BytesIO()
    np.save(file, rng.integers(-20000, 20000, lengths.sum()).astype(np.int16))
    (tmp_path / "fsdd").mkdir()
    (tmp_path / "fsdd" / "audio_8khz.npy.xz").write_bytes(lzma.compress(file.getvalue()))
    np.savez(
        tmp_path / "fsdd" / "index.npz",
        offsets=np.cumsum([0, *lengths]),
        digit=(np.arange(n) % 10).astype(np.uint8),
        speaker=(np.arange(n) // 10).astype(np.uint8),
        take=(np.arange(n) % 10).astype(np.uint8),
        speaker_names=list("abcdef"),
    )
    return lengths


def test_fsdd_is_one_clip_a_recording_with_digit_speaker_and_length(digits):
    data = sim.data.load("fsdd")
    assert data.spec.x == Sound((8000,), rate=8000)
    assert [len(split) for split in data.splits] == [40, 10, 10]
    assert [len(set(split.condition["speaker"].tolist())) for split in data.splits] == [4, 1, 1]
    lengths = np.concatenate([split.condition["length"] for split in data.splits]).ravel() * 8000
    assert sorted(lengths.round().astype(int)) == sorted(np.minimum(digits, 8000))
    assert data.kind == "sound: 60 recordings"
    assert "1 recording cut at the end of a clip" in data.remarks
    assert sim.data.load("fsdd", window=400).spec.x == Sound((400,), rate=8000)


def test_fsdd_by_takes_tests_on_the_first_five_of_them_by_every_speaker(digits):
    data = sim.data.load("fsdd:test=takes")
    lengths = [np.rint(part.field("length")[:, 0] * 8000).astype(int).tolist() for part in data.splits]
    expected = np.minimum(digits, 8000)
    assert lengths[2] == expected[np.arange(60) % 10 < 5].tolist()
    assert sorted(lengths[0] + lengths[1]) == sorted(expected[np.arange(60) % 10 >= 5])
    assert set(data.test.field("speaker").tolist()) == set(range(6))
    assert "takes 0 to 4 are the test split" in data.remarks
