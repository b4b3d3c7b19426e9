"""What is told while a model trains: the figures of this very step, and no time left before anybody can know it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

import simulacra


class Heard:
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.left: list[float | None] = []
        self.reconstruction: list[float] = []

    def update(self, done: float, left: float | None, step: int, values: Mapping[str, SupportsFloat]) -> None:
        self.steps.append(step)
        self.left.append(left)
        self.reconstruction.append(float(values["reconstruction"]))

    def say(self, line: str) -> None: ...


def test_every_step_tells_its_own_figures_and_all_but_the_first_the_time_left(tmp_path: Path) -> None:
    heard = Heard()
    simulacra.fit("vae", "digits", tmp_path / "run", progress=heard, steps=6, hidden=8, latent=2)
    assert heard.steps == [1, 2, 3, 4, 5, 6]
    assert heard.left[0] is None
    assert all(left is not None and left > 0 for left in heard.left[1:])
    assert len(set(heard.reconstruction)) == 6
