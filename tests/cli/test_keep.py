"""`simulacra sample RUN --keep SHARE --judge DATA`"""

from __future__ import annotations

import json

import numpy as np

import simulacra as sim


def test_what_a_judge_keeps_is_written_with_its_labels(printed, runs, tmp_path):
    run, out = runs["gated-pixelcnn"], tmp_path / "kept.npz"
    words = ["-n", "5", "--keep", "0.5", "--judge", "digits", "--seed", "3", "--out", out, "--json"]
    assert json.loads(printed("sample", run, *words)) == {"n": 5, "seed": 3, "out": str(out)}
    with np.load(out) as written:
        assert written["label"].tolist() == [0, 1, 2, 3, 4]
        assert (written["x"] == sim.sample(run, 5, keep=0.5, judge="digits", seed=3)).all()


def test_what_makes_no_sense_is_refused(refused, runs, tmp_path):
    run = runs["gated-pixelcnn"]
    assert "--keep SHARE and --judge DATA go together" in refused("sample", run, "--keep", "0.5")
    assert "--keep SHARE and --judge DATA go together" in refused("sample", run, "--judge", "digits")
    assert "above 0 and at most 1, not 2.0" in refused("sample", run, "--keep", "2", "--judge", "digits")
    assert "--condition label" in refused("sample", runs["vae"], "--keep", "0.5", "--judge", "digits")
    assert not (run / "samples.png").exists()
