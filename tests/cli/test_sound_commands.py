"""Sound and text from the command line: what is read, and what is written to be heard and read."""

import json
import wave

import numpy as np
import pytest
from PIL import Image

import simulacra as sim
from simulacra.data.mulaw import encode
from simulacra.data.wav import read_wav, wav_bytes
from simulacra.fields import Sound

SMALL = ["--width", "4", "--layers", "3", "--head", "8", "--steps", "3"]


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """12 recordings of two words by three speakers, 60 samples at 1 kHz."""
    folder = tmp_path_factory.mktemp("voices")
    for i in range(12):
        sound = 0.5 * np.sin(np.arange(60) * (0.2 + 0.03 * i))
        (folder / f"{('no', 'yes')[i % 2]}_{'abc'[i // 4]}_{i}.wav").write_bytes(wav_bytes(sound, 1000))
    return folder


@pytest.fixture(scope="module")
def run(voices, tmp_path_factory):
    from simulacra.cli import main

    out = tmp_path_factory.mktemp("heard") / "run"
    assert main(["fit", "wavenet", str(voices), "--condition", "label", "--out", str(out), *SMALL]) == 0
    return out


def test_data_says_what_is_heard(printed, voices):
    text = printed("data", voices, "--window", "40")
    assert "0.04 s of sound: 40 samples at 1,000 Hz, 256 levels" in text
    assert "12 recordings longer than a clip: several clips each" in text
    assert "splits by speaker" in text
    assert "recipe       window 40" in text
    assert json.loads(printed("data", voices, "--window", "40", "--json"))["recipe"]["window"] == 40


def test_a_fit_reads_by_every_flag_that_data_reads_by(voices, tmp_path):
    from simulacra.cli import main
    from simulacra.cli.arguments import READING
    from simulacra.data import Recipe

    assert set(READING) == set(Recipe.__dataclass_fields__)
    flags = ["--rate", "500", "--window", "20", "--out", str(tmp_path / "run")]
    assert main(["fit", "wavenet", str(voices), *flags, *SMALL]) == 0
    heard = sim.load(tmp_path / "run").spec.x
    assert isinstance(heard, Sound)
    assert (heard.shape, heard.rate) == ((20,), 500)


def test_sample_writes_all_sounds_in_one_file_and_their_spectrograms(printed, run):
    printed("sample", run, "-n", "4")
    with wave.open(str(run / "samples.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (1000, 1, 2)
        assert file.getnframes() == 4 * 60 + 3 * 250
    with Image.open(run / "samples.png") as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_a_folder_holds_the_same_sounds_one_by_one(printed, refused, run, tmp_path):
    printed("sample", run, "-n", "4", "--out", tmp_path / "s.npz")
    printed("sample", run, "-n", "4", "--out", tmp_path / "each")
    files = sorted((tmp_path / "each").iterdir())
    assert [file.name for file in files] == [f"{i:06d}.wav" for i in range(4)]
    drawn = np.load(tmp_path / "s.npz", allow_pickle=False)["x"]
    assert np.array_equal(np.stack([encode(read_wav(file)[0]) for file in files]), drawn)
    assert "sound goes to a .wav, a .png (spectrograms), a .npz or a folder" in refused(
        "sample", run, "--out", tmp_path / "s.txt"
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.wav").write_bytes(b"")
    assert "holds other things than sounds" in refused("sample", run, "--out", tmp_path / "other")


def test_complete_keeps_the_first_half_of_a_sound_and_writes_it_with_its_ends(printed, run):
    record = json.loads(printed("complete", run, "-n", "2", "--samples", "2", "--json"))
    assert (record["mask"], record["unknown"], record["unseen"]) == ("right", 30, 0)
    sound, _ = read_wav(run / "completions.wav")
    rows = [encode(sound[i * 310 :][:60]) for i in range(6)]
    for first in (0, 3):
        assert all(np.array_equal(rows[first + k][:30], rows[first][:30]) for k in (1, 2))


def test_other_sound_is_scored_at_the_length_and_rate_of_the_model(printed, refused, run, tmp_path):
    pytest.importorskip("scipy")
    for i in range(6):
        sound = 0.4 * np.sin(np.arange(200) * (0.1 + 0.02 * i))
        (tmp_path / f"no_{'xyz'[i % 3]}_{i}.wav").write_bytes(wav_bytes(sound, 2000))
    assert "--rate 1000 brings it to that rate" in refused("score", run, tmp_path, "--given", "label=no")
    record = json.loads(printed("score", run, tmp_path, "--rate", "1000", "--json", "--given", "label=no"))
    assert record["kind"] == "exact"


def test_sound_is_compressed_as_the_levels_of_its_clips(printed, refused, run, voices, tmp_path):
    pytest.importorskip("constriction")
    words = ["compress", run, voices, "--out", tmp_path / "v.sim"]
    assert "--split all compresses what the recipe of the run makes of it" in refused(*words)
    assert json.loads(printed(*words, "--split", "all", "--json"))["n"] == 12
    printed("decompress", run, tmp_path / "v.sim", "--out", tmp_path / "v.npz")
    found = np.load(tmp_path / "v.npz", allow_pickle=False)["x"]
    read = [encode(read_wav(file)[0]).tobytes() for file in voices.iterdir()]
    assert sorted(item.tobytes() for item in found) == sorted(read)


def test_text_is_learnt_as_bytes_and_written_as_text(printed, refused, tmp_path):
    (tmp_path / "mine.txt").write_text("the quick brown fox jumps. " * 30)
    out = tmp_path / "run"
    printed("fit", "wavenet", tmp_path / "mine.txt", "--window", "27", "--out", out, *SMALL)
    printed("sample", out, "-n", "3")
    assert len((out / "samples.txt").read_text(encoding="utf-8").split("\n----\n")) >= 3
    assert "text goes to a .txt or a .npz" in refused("sample", out, "--out", tmp_path / "s.png")
    assert json.loads(printed("score", out, "--json"))["bits_per_dim"] < 12
