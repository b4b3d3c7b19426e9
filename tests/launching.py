"""Real processes, as `torchrun` starts them, and what they leave for the tests of every worker."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def launched(script: Path, *arguments: object, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Run a script in several processes on this machine, one thread each, and wait for their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    command = [sys.executable, *launch, "--master-port", str(port), str(script), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def refuse_unless_well(done: subprocess.CompletedProcess[str]) -> None:
    """Fail with what the processes said before the launcher's account of it, and with the end of that."""
    if done.returncode:
        pytest.fail(f"exit code {done.returncode}\n{done.stderr[:6000]}\n[...]\n{done.stderr[-1500:]}", pytrace=False)


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that the first worker to come here lets `make` fill; the others wait until it is filled."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # that of all workers
    folder = base / name
    with (base / f"{name}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            lock.write("filled")
    return folder
