"""`kill -9` at random moments: what is left loads, and the run goes on to the very same bits.

A VAE learns `digits` and validates and saves every 5 of 400 steps. Five times over, such a run is begun and killed ten
times at moments drawn at random; each time the folder must load (or, if the kill came before the first weights were
saved, be refused with a plain message: `before_first_save`), and the same call continues. The run is then left to its
end, and `model/weights.safetensors` must equal that of a run that was never interrupted, byte for byte.

    kills, before_first_save    how many, and how many of them so early that there was nothing to load yet
    loads                       kills after which the model loads
    unloadable                  kills after which `load` failed though weights had been saved; target 0
    refused_to_continue         lives that ended by an error instead of training on; target 0
    equal_weights               finished runs with every bit of every tensor of the uninterrupted one; target: all
    bitwise_equal               finished runs whose whole weights file equals its; target: all
    leftover_files              temporary files that dead processes left in the five finished folders

Children are forked from a parent that has imported everything and uses one thread, so that a life costs no start-up.

    python benchmarks/crash.py
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from record import conclude, parser

import simulacra as sim
from simulacra.weights import digest

RUNS, KILLS, SEED = 5, 10, 0
OPTIONS: dict[str, Any] = {"steps": 400, "every": 5, "patience": 0}


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    torch.set_num_threads(1)  # a parent with more threads must not be forked
    sim.models()
    torch.optim.AdamW([torch.zeros(1)])  # the first one imports a second's worth of modules
    data = sim.data.load("digits")
    runs, kills, options = (2, 4, OPTIONS | {"steps": 60}) if smoke else (RUNS, KILLS, OPTIONS)
    rng = random.Random(SEED)
    counted = ("kills", "loads", "before_first_save", "unloadable", "refused_to_continue")
    figures = dict.fromkeys((*counted, "equal_weights", "bitwise_equal"), 0)
    with tempfile.TemporaryDirectory() as scratch:
        calm, began = Path(scratch) / "calm", time.perf_counter()
        assert ended(begin(calm, data, options))
        between = (time.perf_counter() - began) / kills  # at most this long from one kill to the next
        for number in range(runs):
            run = Path(scratch) / f"killed-{number}"
            for _ in range(kills):
                child = begin(run, data, options)
                time.sleep(rng.uniform(0, between))
                os.kill(child, signal.SIGKILL)
                figures["refused_to_continue"] += not killed(child)
                figures["kills"] += 1
                figures[what_is_left(run)] += 1
            if ended(begin(run, data, options)):
                figures["bitwise_equal"] += file_of(run).read_bytes() == file_of(calm).read_bytes()
                figures["equal_weights"] += digest(sim.load(run).state_dict()) == digest(sim.load(calm).state_dict())
            else:
                figures["refused_to_continue"] += 1
        leftover = [path for path in Path(scratch).rglob(".*") if path.name != ".lock"]
    figures |= {"runs": runs, "leftover_files": len(leftover)}
    where = {"name": data.name, "split": "train", "fingerprint": data.fingerprint}
    conclude("crash", figures, smoke=smoke, data=where, seeds=[SEED])


def begin(run: Path, data: sim.data.Dataset, options: dict[str, Any]) -> int:
    """Begin or continue the run in a child process; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        sim.fit("vae", data, run, **options)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(child: int) -> bool:
    """Wait for a child; whether it came to the end of its run."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def killed(child: int) -> bool:
    """Wait for a child that was sent SIGKILL; False if it had failed by itself before."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, -signal.SIGKILL)


def what_is_left(run: Path) -> str:
    try:
        sim.load(run)
    except Exception as error:
        early = isinstance(error, sim.SimulacraError) and not file_of(run).exists()
        if not early:
            traceback.print_exc()
        return "before_first_save" if early else "unloadable"
    return "loads"


def file_of(run: Path) -> Path:
    return run / "model" / "weights.safetensors"


if __name__ == "__main__":
    main()
