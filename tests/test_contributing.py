"""The model that CONTRIBUTING.md shows is a model: copied as it stands, it fits, samples and scores."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[1] / "CONTRIBUTING.md"

USE = """
import json, sys
import numpy as np
import marginals
import simulacra as sim
from simulacra.errors import UsageError

data = sim.data.load("digits")
model = sim.fit("marginals", data, sys.argv[1], steps=400, learning_rate=0.1)
refused = []
for wrong in (lambda: sim.fit("marginals", data, condition="label"), lambda: sim.sample(model, 2, label=3)):
    try:
        wrong()
    except UsageError as error:
        refused.append(str(error))
again = sim.load(sys.argv[1])
print(json.dumps({
    "bits": sim.score(again, data).bits_per_dim,
    "kind": sim.score(again, data).kind,
    "mean": float(np.abs(sim.sample(again, 2000).mean(0) - data.train.x.mean(0)).max()),
    "refused": refused,
}))
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory, own_cache) -> dict:
    folder = tmp_path_factory.mktemp("contributing")
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (folder / "marginals.py").write_text(example)
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", USE, str(folder / "run")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_learns_the_marginals_exactly(outcome):
    assert outcome["kind"] == "exact"
    assert outcome["bits"] == pytest.approx(2.43, abs=0.05)  # counted by hand, with one added everywhere: 2.43
    assert outcome["mean"] < 0.6  # levels


def test_it_refuses_what_it_cannot_do(outcome):
    assert len(outcome["refused"]) == 2
    assert "unconditional" in outcome["refused"][0]
