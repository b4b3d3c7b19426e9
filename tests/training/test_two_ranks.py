"""Two processes are one: the same global batch gives the same weights, to rounding, resumed as well."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import SPECS, dataset

import simulacra as sim

TESTS = Path(__file__).parents[1]
OPTIONS = {"width": 6, "layers": 3, "kernel": 3, "dropout": 0.0, "steps": 5, "every": 5, "warmup": 2, "ema": 0.0}
OPTIONS |= {"schedule": "constant"}  # so that a larger budget changes no step that was taken before
BATCHES = (8, 7)  # shared evenly, and not

SCRIPT = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from small import SPECS, dataset
import simulacra as sim

for batch in {BATCHES}:
    out = f"{{sys.argv[1]}}/two-{{batch}}"
    for steps in (3, {OPTIONS["steps"]}):
        sim.fit("gated-pixelcnn", dataset(SPECS["grey"]), out, batch=batch, **({OPTIONS} | {{"steps": steps}}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "train.py").write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command = [sys.executable, *launch, "--master-port", str(port), str(folder / "train.py"), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("batch", BATCHES)
def test_two_ranks_are_one_rank_on_the_same_batch(runs, tmp_path, batch):
    one = sim.fit("gated-pixelcnn", dataset(SPECS["grey"]), tmp_path / "one", batch=batch, **OPTIONS)
    records = [
        json.loads((run / "run.json").read_text())["finished"] for run in (tmp_path / "one", runs / f"two-{batch}")
    ]
    assert [record["best_step"] for record in records] == [5, 5]
    two = sim.load(runs / f"two-{batch}")
    start = {name: tensor for name, tensor in one.state_dict().items() if tensor.is_floating_point()}
    for name, tensor in start.items():
        torch.testing.assert_close(two.state_dict()[name], tensor, rtol=0, atol=1e-5)
