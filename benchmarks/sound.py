"""`wavenet` on spoken digits (`fsdd`, which $SIMULACRA_DATA holds), by speakers that it never heard in training, or
other takes of the same speakers.

    python benchmarks/sound.py --minutes 5
    python benchmarks/sound.py --data fsdd:test=takes --seconds 0.5 --batch 8 --minutes 30 --record sound_takes
    python benchmarks/sound.py --smoke

bits          per recorded sample of the test split, exact; the silence that fills a clip is not counted. Beside it a
              Markov chain of one table for all times, with a memory of 0, 1 and 2 samples, each smoothed by the one
              before it; and the same bytes by xz, all recordings at once, and by FLAC (of the 16 bit samples that the
              levels stand for) where soundfile is installed
codec         bytes of `compress` on some test clips, silence included, beside Σ -log2 p and xz on the same clips
speed         samples a second of the cached sampler, and of the naive one, which runs the whole model for each sample:
              over the whole clip, and over no more than the model sees
digits        share of sounds, drawn by digit, in which a classifier of spectrograms hears the digit; its share of right
              answers on training recordings that it has not learnt from, and on the test speakers, is the ceiling
"""

from __future__ import annotations

import io
import lzma
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import conclude, parser

import simulacra as sim
from simulacra.autoregressive import WaveNet
from simulacra.data import Dataset, DataSpec, Split, mulaw
from simulacra.evaluation.learned import learned
from simulacra.fields import Sound
from simulacra.spectrograms import spectrogram_picture

RATE, SECONDS, SEED = 8000, 1, 0
SMOOTHING = 30.0
NAIVE_CALLS, BATCH = 3, 16


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=5.0, help="of training")
    options.add_argument("--data", default="fsdd", choices=["fsdd", "fsdd:test=takes"])
    options.add_argument("--seconds", type=float, default=SECONDS, help="of a clip")
    options.add_argument("--batch", type=int, default=4)
    options.add_argument("--layers", type=int, default=10)
    options.add_argument("--width", type=int, default=32)
    options.add_argument("--scored", type=int, default=200, help="test recordings, drawn by seed 0")
    options.add_argument("--coded", type=int, default=16, help="test clips by the codec")
    options.add_argument("--drawn", type=int, default=10, help="sounds of each digit")
    options.add_argument("--record", default="sound")
    options.add_argument("--picture", type=Path, help="a .png for the spectrograms of drawn sounds")
    args = options.parse_args()
    if args.smoke:
        args.minutes, args.scored, args.coded, args.drawn, args.layers, args.width = 0.02, 5, 2, 1, 4, 8
    data = sim.data.load(args.data, window=400 if args.smoke else round(RATE * args.seconds))
    budget = {"minutes": args.minutes, "layers": args.layers, "width": args.width, "cycle": 10, "batch": args.batch}
    with tempfile.TemporaryDirectory() as scratch:
        model = sim.fit("wavenet", data, Path(scratch) / "run", condition=("label",), seed=SEED, **budget)
        assert isinstance(model, WaveNet)
        about = {"parameters": model.free_parameters(), "sees": model.receptive_field, "steps": model.trained_steps}
        figures = {"model": budget | about}
        figures["bits"] = bits(model, data, some(data.test, args.scored))
        figures["codec"] = codec(model, some(data.test, args.coded))
        figures["speed"] = speed(model)
        figures["digits"] = by_digit(model, data, args)
    about = {"name": args.data, "split": "test", "n": args.scored, "fingerprint": data.fingerprint}
    conclude(args.record, figures, smoke=args.smoke, data=about, seeds=[SEED])


def some(split: Split, n: int) -> Split:
    return split.rows(np.sort(np.random.default_rng(SEED).permutation(len(split))[:n]))


def recorded(split: Split) -> list[np.ndarray]:
    """The levels of each recording, without the silence after it."""
    ends = np.rint(split.field("length")[:, 0] * RATE).astype(int)
    return [np.asarray(x[:end]) for x, end in zip(split.x, ends, strict=True)]


def bits(model: WaveNet, data: Dataset, test: Split) -> dict[str, float]:
    sounds = recorded(test)
    total = sum(map(len, sounds))
    found = {"wavenet": sum(map(float, nats(model, test))) / total / math.log(2)}
    found["wavenet with silence"] = float(sim.score_items(model, test).mean() / model.spec.dims / math.log(2))
    found |= {f"Markov chain, memory {k}": each for k, each in enumerate(markov(recorded(data.train), sounds))}
    raw = np.concatenate(sounds).tobytes()
    found["xz"] = 8 * len(xz(raw)) / total
    return found | {"raw": 8.0} | flac(raw)


def nats(model: WaveNet, test: Split) -> list[float]:
    """-log p of the recorded samples of each sound."""
    found = []
    with torch.no_grad():
        for i, sound in enumerate(recorded(test)):
            given = {"label": torch.from_numpy(test.field("label")[i : i + 1])}
            each = model.log_each(torch.from_numpy(np.array(test.x[i : i + 1])), given)
            found.append(-float(each[0, : len(sound)].double().sum()))
    return found


def markov(train: list[np.ndarray], test: list[np.ndarray]) -> list[float]:
    """Bits per sample with a memory of 0, 1 and 2; the samples before a recording are silence."""
    masses, found = np.full(256, 1 / 256), []
    for memory in range(3):
        counts = np.zeros((256**memory, 256), np.int64)
        for sound in train:
            np.add.at(counts, (contexts(sound, memory), sound), 1)
        shorter = np.tile(masses, (256, 1)) if memory else masses
        masses = (counts + SMOOTHING * shorter) / (counts.sum(1, keepdims=True) + SMOOTHING)
        each = [np.log2(masses[contexts(sound, memory), sound]).sum() for sound in test]
        found.append(-sum(each) / sum(map(len, test)))
    return found


def contexts(sound: np.ndarray, memory: int) -> np.ndarray:
    """The samples before each as a number, the oldest first."""
    before = np.concatenate([np.full(memory, mulaw.SILENCE, np.int64), sound.astype(np.int64)])
    number = np.zeros(len(sound), np.int64)
    for back in range(memory, 0, -1):
        number = number * 256 + before[memory - back : len(before) - back]
    return number


def xz(raw: bytes) -> bytes:
    return lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME)


def flac(raw: bytes) -> dict[str, float]:
    try:
        import soundfile  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    sound, file = mulaw.decode(np.frombuffer(raw, np.uint8)), io.BytesIO()
    soundfile.write(file, np.rint(sound * 32767).astype(np.int16), RATE, format="FLAC", subtype="PCM_16")
    return {"FLAC": 8 * len(file.getvalue()) / len(raw)}


def codec(model: WaveNet, test: Split) -> dict[str, Any]:
    x, given = np.array(test.x), {"label": test.field("label")}
    began = time.perf_counter()
    data = sim.compress(model, x, condition=given)
    between = time.perf_counter()
    decoded, _ = sim.decompress(model, data)
    ended = time.perf_counter()
    assert np.array_equal(decoded, x)
    ideal = (sim.score_items(model, test).sum() / math.log(2) + len(x) * math.log2(10)) / 8
    return {
        "n": len(x),
        "bytes": len(data),
        "over_ideal": 100 * (len(data) / ideal - 1),
        "xz": len(xz(x.tobytes())),
        "seconds": {"coding": between - began, "decoding": ended - between},
    }


@torch.no_grad()
def speed(model: WaveNet) -> dict[str, float]:
    given = {"label": torch.arange(BATCH) % 10}
    steps, n = model.steps(BATCH, given), 2000
    began = time.perf_counter()
    for noise in torch.rand(n, BATCH):
        steps.append(steps.conditional().quantile(noise))
    cached = BATCH * n / (time.perf_counter() - began)
    found = {"batch": BATCH, "cached": cached}
    sees = WaveNet(
        DataSpec(Sound((model.receptive_field + 1,), rate=RATE), model.spec.condition), **model.arguments
    ).eval()
    for name, own in (("naive", model), ("naive, what it sees", sees)):
        x = torch.randint(256, (BATCH, *own.spec.shape)).byte()
        own.conditionals(x, given)
        began = time.perf_counter()
        for _ in range(NAIVE_CALLS):
            own.conditionals(x, given)[:, -1].quantile(torch.rand(BATCH))
        found[name] = BATCH * NAIVE_CALLS / (time.perf_counter() - began)
        found[f"cached over {name}"] = cached / found[name]
    return found


def by_digit(model: WaveNet, data: Dataset, args: Any) -> dict[str, Any]:
    judge = learned(data)
    assert judge is not None
    label = np.arange(10 * args.drawn) % 10
    drawn = sim.sample(model, len(label), condition={"label": label}, seed=SEED)
    if args.picture and isinstance(model.spec.x, Sound):
        spectrogram_picture(drawn[:20], model.spec.x).save(args.picture)
    share = (judge.classes(drawn, "label") == label).mean()
    unheard = (judge.classes(np.array(data.test.x), "label") == data.test.field("label")).mean()
    return {
        "n": len(label),
        "agreement": float(share),
        "chance": 0.1,
        "ceiling": judge.accuracy["label"],
        "on the test speakers": float(unheard),
    }


if __name__ == "__main__":
    main()
