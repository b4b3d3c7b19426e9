"""Sound in figures: the classifier of `evaluate` hears pitches, whatever their phase."""

import numpy as np
import torch

from simulacra.data import Card, Dataset, DataSpec, Split, mulaw
from simulacra.evaluation.learned import learned
from simulacra.fields import ClassLabel, Sound
from simulacra.nn import Spectrum

SOUND = Sound((400,), rate=1000)


def chords(n: int, seed: int) -> Split:
    """Tones of 60, 100 or 140 Hz and any phase and loudness, by class."""
    rng, label = np.random.default_rng(seed), np.arange(n) % 3
    phase, loud = rng.uniform(0, 2 * np.pi, (n, 1)), rng.uniform(0.1, 0.9, (n, 1))
    hertz = 60 + 40 * label[:, None]
    x = mulaw.encode(loud * np.sin(2 * np.pi * hertz * np.arange(400) / 1000 + phase))
    return Split(x, {"label": label.astype(np.int64)}, "train")


def test_a_classifier_of_sound_knows_pitches_apart():
    spec = DataSpec(SOUND, {"label": ClassLabel(3)})
    splits = {name: chords(n, seed) for seed, (name, n) in enumerate({"train": 240, "valid": 60, "test": 60}.items())}
    data = Dataset("tones", spec, **splits, card=Card("tones", "a test", "none"), fingerprint="tones")
    judge = learned(data)
    assert judge is not None
    assert (judge.classes(data.test.x, "label") == data.test.field("label")).mean() > 0.9


def test_a_spectrum_has_its_peak_at_the_pitch_and_is_that_of_the_sound_before_mu_law():
    x = mulaw.encode(0.5 * np.sin(2 * np.pi * 250 * np.arange(400) / 1000))[None]
    y = torch.from_numpy(x).double() * (2 / 255) - 1
    net = Spectrum(1000)
    found = net(y)
    assert found.shape == (1, 1, net.size // 2 + 1, 400 // (net.size // 2) + 1)
    assert found[0, 0, :, 5].argmax().item() == round(250 / 1000 * net.size)
    size = net.size
    whole = mulaw.decode(x[0, 2 * size : 3 * size]) * torch.hann_window(size).double().numpy()
    wanted = np.log(np.abs(np.fft.rfft(whole)) + 1e-3)
    assert np.allclose(found[0, 0, :, 5].numpy(), wanted, atol=0.02)
