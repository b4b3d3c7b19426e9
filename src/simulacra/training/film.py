"""A film of training on points of the plane, made by an observer: `fit(..., film=True)`, `fit gan ring --film`.

    RUN/film/step-00000001.npz, ...    the frames: a surface and generated points
    RUN/film.gif                       the film, written when training ends or is interrupted

Frames lie evenly over the steps 1, 1 + k, 1 + 2k, ..., with k the smallest power of two by which there are at most MOST
of them: as a run grows, every second one is dropped. Which are kept is a function of the step alone, and so a run that
was interrupted has the same film as one that was not.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from simulacra.capabilities import Adversarial, ClosedForm, Density, Sampler, need
from simulacra.data.npy import npz_array
from simulacra.errors import DataError, UsageError, warn
from simulacra.feed import feed
from simulacra.files import write_arrays, write_bytes
from simulacra.films import SIDE, Film, Frame, Window
from simulacra.model import Model, evaluating
from simulacra.randomness import generator, some_of
from simulacra.training.observers import Moment, Observer
from simulacra.training.plan import Plan

MOST = 60  # frames, and the newest step
POINTS = 400  # held-out ones at most, and generated ones
MOST_CLASSES = 100


def spacing(step: int) -> int:
    """Steps from one frame to the next in a run of so many steps."""
    apart = 1
    while (step - 1) // apart + 1 > MOST:
        apart *= 2
    return apart


class Filmed(Observer):
    """Takes a frame every so many steps, and shows them one after the other at the end.

    Raises UsageError, when it is made, for data or a model of which there is no film.
    """

    def __init__(self, plan: Plan) -> None:
        model, held_out = plan.model, plan.dataset.valid
        _refuse_unless_shown(model)
        self.path, self.frames = plan.folder.path / "film.gif", plan.folder.path / "film"
        self.seed, self.model = plan.options.seed, None
        x, given = feed(held_out, some_of(len(held_out), POINTS, self.seed, "film"), model.spec, torch.device("cpu"))
        points, classes = x.numpy(), None
        for field in list(given)[:1]:
            classes = (given[field].numpy(), model.every_class(POINTS)[field].cpu().numpy())
        critic = isinstance(model, Adversarial)
        kind = "score" if critic else "density" if isinstance(model, Density) else "none"
        boundary = model.boundary() if critic else None
        self.film = Film(f"{model.name} on {plan.dataset.name}", points, classes, kind, boundary, Window.around(points))

    def stepped(self, at: Moment, model: Model) -> None:
        if self.model is None:  # what a run that was cut off has taken after its last checkpoint is taken again
            self._drop(lambda step: step >= at.step)
            self.model = model
        if (at.step - 1) % spacing(at.step) == 0:
            self._take(at.step, model)

    def ended(self, at: Moment, why: str) -> None:
        if self.model is not None and at.step not in self._taken():  # it is dropped again where the run goes on
            self._take(at.step, self.model)
        taken = self._taken()
        if not taken:
            warn(f"there is no film of {self.path.parent}: its steps were taken without one; begin anew with --fresh")
            return
        write_bytes(self.path, self.film.gif([_read(step, path, self.film.kind) for step, path in taken.items()]))

    def _take(self, step: int, model: Model) -> None:
        assert isinstance(model, Sampler)
        apart = spacing(step)
        self._drop(lambda each: (each - 1) % apart != 0)
        with evaluating(model):
            noise = generator(model.device, self.seed, "film")
            made = model.sample(POINTS, model.every_class(POINTS), generator=noise).float().cpu().numpy()
        arrays = {"generated": made}
        if self.film.kind != "none":
            arrays["surface"] = surface(model, self.film.window.cells()).reshape(SIDE, SIDE)
        write_arrays(self.frames / f"step-{step:08d}.npz", arrays)

    def _taken(self) -> dict[int, Path]:
        """The frames in their order."""
        named = ((re.fullmatch(r"step-(\d{8,})\.npz", path.name), path) for path in self.frames.glob("step-*.npz"))
        return dict(sorted((int(match[1]), path) for match, path in named if match))

    def _drop(self, which: Callable[[int], bool]) -> None:
        for step, path in self._taken().items():
            if which(step):
                path.unlink()


def surface(model: Model, points: np.ndarray) -> np.ndarray:
    """The critic's score of points (N, 2), or their log-density, (N,): under the class in which it is largest."""
    classes = model.spec.classes(model.name)
    x, found = torch.from_numpy(points).to(model.device), []
    of_points = model.critic_scores if isinstance(model, Adversarial) else need(model, Density).log_prob
    with evaluating(model):
        for each in itertools.product(*(range(field.count) for field in classes.values())):
            found.append(of_points(x, dict(zip(classes, each, strict=True))).float())
    return torch.stack(found).amax(0).cpu().numpy()


def _read(step: int, path: Path, kind: str) -> Frame:
    """Raises DataError for a file that holds no frame."""
    made = npz_array(path, "generated").read()
    values = np.zeros((0, 0), np.float32) if kind == "none" else npz_array(path, "surface").read()
    if made.shape != (POINTS, 2) or (kind != "none" and values.shape != (SIDE, SIDE)):
        raise DataError(f"{path} holds no frame of a film; remove it")
    return Frame(step, made, values)


def _refuse_unless_shown(model: Model) -> None:
    """Raise UsageError for a model whose film could not be drawn."""
    spec = model.spec
    if spec.shape != (2,) or spec.levels is not None:
        raise UsageError(
            f"a film shows points of the plane, and {spec.describe()} has none: leave out --film, or fit ring or grid; "
            "samples of every validation are in samples/ of the run"
        )
    need(model, Sampler)
    classes = [own.count for own in spec.classes(f"a film of {model.name}").values()]
    if math.prod(classes) > MOST_CLASSES:
        raise UsageError(f"a film shows {MOST_CLASSES} classes at most, not {math.prod(classes)}: leave out --film")
    if isinstance(model, ClosedForm):
        raise UsageError(f"{model.name} is fitted in one pass, of which there is no film: leave out --film")
