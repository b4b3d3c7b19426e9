"""How every benchmark ends: its figures on the screen and, unless it was a smoke run, in `results/<name>.json`.

A record says what was run, on which commit, when and on what machine. One name is one record: a new run replaces the
old one, and says so when the command was another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"
BEGAN = time.perf_counter()


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()


GIVEN = os.environ.get("COMMIT")  # of a tree that was exported without its history, by whoever exported it
COMMIT = GIVEN or _git("rev-parse", "--short", "HEAD")  # now: the tree may have moved on when a long run ends
DIRTY = None if GIVEN else bool(_git("status", "--porcelain", "--", "../src", ".", ":!results"))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with `--smoke`; the script's docstring is its help."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--smoke", action="store_true", help="a short run to see that it works; records nothing")
    return made


def earlier(name: str) -> dict[str, Any]:
    """The figures of the record that there is, for scripts that replace some of its rows; {} where there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["figures"] if path.exists() else {}


def at_hand(name: str) -> bool:
    """Whether a data set is here; where not, a line says that it is left out."""
    import simulacra as sim  # here, so that a script may time what imports nothing

    try:
        sim.data.load(name)
    except sim.errors.DataError as error:
        print(f"{name} is left out: {error}")
        return False
    return True


def conclude(
    name: str,
    figures: dict[str, Any],
    *,
    smoke: bool,
    data: dict[str, Any] | None = None,
    seeds: Sequence[int] = (),
    notes: str = "",
) -> None:
    """Print the figures and write the record."""
    figures = _tidy(figures)
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    if smoke:
        print("nothing recorded")
        return
    record = {
        "name": name,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "commit": COMMIT,
        "dirty": DIRTY,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "data": data,
        "seeds": list(seeds),
        "seconds": round(time.perf_counter() - BEGAN, 1),
        "figures": figures,
        "notes": notes,
    }
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text())["command"] if path.exists() else record["command"]
    if before != record["command"]:
        print(f"replaces the record of another command: {before}")
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print(f"recorded in benchmarks/results/{path.name}")


def hardware() -> dict[str, Any]:
    import torch  # here, so that a script may time what imports no torch

    cpus = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(": ")[1] for line in cpus.splitlines() if line.startswith("model name")), platform.machine()
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": model,
        "cores": cores,
        "threads": torch.get_num_threads(),
        "memory_gb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 // 0.1 / 10,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _tidy(value: Any) -> Any:
    """Real numbers to six significant digits, everything else as it is."""
    if isinstance(value, dict):
        return {str(key): _tidy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(item) for item in value]
    return value if isinstance(value, bool | int | str | None) else float(f"{float(value):.6g}")
