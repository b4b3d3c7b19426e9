"""The health of a run while it runs and at its end: figures in metrics.jsonl at every validation, and a verdict.

At each validation of a game: the mean scores of training, held-out and generated items, how varied samples are, and the
largest singular value of each player; see `simulacra.exploration.health.state`. At the end of a run of 200 steps or
more, or in closed form: RUN/health.json and RUN/health.png, of validation items.
"""

from __future__ import annotations

from simulacra.capabilities import Adversarial
from simulacra.errors import SimulacraError, warn
from simulacra.exploration.health.course import Course, course_of
from simulacra.exploration.health.examined import FEW, examined, of_log, too_short
from simulacra.exploration.health.files import write_health
from simulacra.exploration.health.findings import Health
from simulacra.exploration.health.state import FEWEST, gauges
from simulacra.model import Model, load
from simulacra.randomness import some_of
from simulacra.training import Moment, Observer, Plan, Verdict

GAUGED = 256  # items of each kind at a validation
EXAMINED = 500  # validation items at the end


class HealthLog(Observer):
    """`found` is the health at the end of the run, None before that."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.found: Health | None = None

    def validated(self, at: Moment, model: Model, verdict: Verdict | None) -> None:
        data = self.plan.dataset
        if isinstance(model, Adversarial) and len(data.valid) >= FEWEST:
            values = dict(gauges(model, data.valid, data.train, self.plan.options.seed, GAUGED))
            about = {"step": at.step, "epoch": at.epoch, "seconds": round(at.seconds, 3)}
            self.plan.folder.log(about | {name: float(f"{value:.6g}") for name, value in values.items()})

    def ended(self, at: Moment, why: str) -> None:
        if why == "interrupted":
            return
        path, seed = self.plan.folder.path, self.plan.options.seed
        model = load(path, self.plan.model.device)
        if at.step < FEW and why != "closed form":
            self.found = too_short(of_log(model, Course(), self.plan.dataset.name), at.step)
            return
        try:
            self.found = self._examined(model, seed)
        except SimulacraError as error:  # of a model of somebody else's: the run is whole, and saved
            warn(f"the health of this run could not be examined: {error}")
            return
        write_health(self.found, path, path)

    def _examined(self, model: Model, seed: int) -> Health:
        data, course = self.plan.dataset, course_of(self.plan.folder.path)
        if self.plan.labels is not None:  # an encoder may be conditioned on labels that are hidden
            return of_log(model, course, data.name)
        index = some_of(len(data.valid), EXAMINED, seed, "health")
        return examined(model, course, data.name, data.valid, index, data.train, seed)
