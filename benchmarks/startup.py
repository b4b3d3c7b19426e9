"""Start-up: wall time of fresh processes, and whether one of them imports torch.

    simulacra --help               target: under 0.5 s
    python -c "import simulacra"
    python -c pass                 what Python itself takes, for comparison

The median of ten, after one that fills the disk cache.

    python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from record import conclude, parser

COMMANDS = {
    "simulacra --help": [str(Path(sys.executable).with_name("simulacra")), "--help"],
    "import simulacra": [sys.executable, "-c", "import simulacra"],
    "python": [sys.executable, "-c", "pass"],
}
DONE_INSIDE = {
    "simulacra --help": "from simulacra.cli import main; main(['--help'])",
    "import simulacra": "import simulacra",
}


def main() -> None:
    smoke = parser(__doc__).parse_args().smoke
    figures: dict[str, dict[str, float | bool]] = {}
    for name, command in COMMANDS.items():
        taken = [seconds(command) for _ in range(3 if smoke else 11)][1:]
        figures[name] = {"median_seconds": median(taken), "min": min(taken), "max": max(taken)}
    for name, code in DONE_INSIDE.items():
        look = [sys.executable, "-c", f"{code}; import sys; print('torch' in sys.modules)"]
        figures[name]["imports_torch"] = subprocess.check_output(look, text=True).split()[-1] == "True"
    conclude("startup", figures, smoke=smoke)


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
