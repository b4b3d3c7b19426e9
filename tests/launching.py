"""Real processes, as `torchrun` starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def launched(script: Path, *arguments: object, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Run a script in several processes on this machine, one thread each, and wait for their end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    command = [sys.executable, *launch, "--master-port", str(port), str(script), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
