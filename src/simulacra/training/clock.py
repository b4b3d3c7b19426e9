"""What a run does by the clock: save and validate often enough where steps are slow, and end in time.

Everything else follows from the number of steps. Where a run is fast the clock changes nothing, so that two runs of
the same command are the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from simulacra.parts import convert

SAVED_EVERY = 300.0  # seconds after which a checkpoint is due, however few steps that were,
VALIDATED_EVERY = 600.0  # and a validation, unless the user has said after how many steps
ESTIMATED_AFTER = 3.0  # seconds of training from which the time of the whole run is estimated
JUDGED = 1000  # items, about, that a judge looks at


class Clock:
    """seconds: of training, over all sittings and with validations; validation: of the longest one."""

    def __init__(self) -> None:
        self.seconds = self.validation = 0.0
        self.before = self._saved = self._validated = 0.0
        self._began = time.monotonic()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Raises KeyError or UsageError for a state that is none."""
        self.seconds = convert(float, state["seconds"], "seconds")
        self.validation = convert(float, state.get("validation", 0.0), "validation")

    def state(self) -> dict[str, float]:
        return {"seconds": self.seconds, "validation": self.validation}

    def start(self) -> None:
        """A sitting begins: `before` is what the sittings before it took."""
        self.before = self._saved = self._validated = self.seconds
        self._began = time.monotonic() - self.seconds

    def tick(self) -> None:
        self.seconds = time.monotonic() - self._began

    def saved(self) -> None:
        self._saved = self.seconds

    def validated(self) -> None:
        """A validation, which began at the last tick, has ended."""
        began = self.seconds
        self.tick()
        self.validation, self._validated = max(self.validation, self.seconds - began), self.seconds

    @property
    def sitting(self) -> float:
        """Seconds since training began or was taken up again."""
        return self.seconds - self.before

    @property
    def save_is_due(self) -> bool:
        return self.seconds - self._saved >= SAVED_EVERY

    @property
    def validation_is_due(self) -> bool:
        return self.seconds - self._validated >= VALIDATED_EVERY

    def at_the_end(self, steps: int, batch: int, items: int) -> float:
        """The seconds at which the run could end: now, and the time of a last validation on so many items.

        Before any was taken that is the time of as many forward passes, each a third of a training step.
        """
        ahead = self.seconds / max(steps, 1) * min(items, JUDGED) / (3 * batch)
        return self.seconds + (self.validation or ahead)
