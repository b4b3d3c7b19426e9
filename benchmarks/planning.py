"""Swinging a pendulum up by plans that are made with a learned density p(next state | state, action).

    python benchmarks/planning.py [--models rnade vae ...] [--starts 10] [--seed 0]

Each model is fitted to `pendulum`, which is 5,000 steps of random play for training and validation together, by its
defaults but for the shorter of 2,000 steps and five minutes. Then the same planner, from the same starts, with the same
noise in the same true simulator, plans with the true model, with each learned one, with two linear ones by least
squares, and with none (random actions). Up is who is within 0.35 rad of the top for the whole last second of six.

The linear model of `cos, sin` reads and predicts what the learned ones do; that of `angle` reads θ in its place.
Ratios are of costs to those of the true model; their intervals are of the paired differences over starts (normal).
Draws docs/pictures/planning.png and planning.gif.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from record import conclude, parser

import simulacra as sim
from simulacra.data.shipped.pendulum import Pendulum, angle
from simulacra.studies import CEM, Course, Nothing, Shooting, control, hanging, learned, linear, upright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
STEPS, MINUTES, LONG = 2000, 5, 60  # of a fit; steps of an episode
SIDE, REACH, COLOURS = 150, 55, {"up": (30, 60, 140), "not": (190, 90, 40)}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--models", nargs="+", default=["rnade"])
    made.add_argument("--starts", type=int, default=10)
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    data, world = sim.data.load("pendulum"), Pendulum()
    starts, steps = hanging(2 if given.smoke else given.starts, given.seed), 3 if given.smoke else LONG
    figures: dict[str, Any] = {"fits": {}, "truth": {"nats": truth(data, world)}}
    dynamics = {"true model": world.next}
    for name in given.models:
        dynamics[name], figures["fits"][name] = fitted(name, data, 20 if given.smoke else STEPS, given.seed)
        print(name, figures["fits"][name], flush=True)
    dynamics["linear, of cos and sin"] = linear(data.train)
    dynamics["linear, of the angle"] = linear(
        data.train, features=lambda state: np.stack([angle(state), state[:, 2]], 1)
    )
    courses: dict[str, dict[str, Course]] = {}
    for planner in (CEM(), Shooting()):
        kind = type(planner).__name__.lower()
        courses[kind] = {}
        for name, own in dynamics.items():
            began = time.perf_counter()
            course = courses[kind][name] = control(world, own, planner, starts, steps, seed=given.seed)
            seconds = (time.perf_counter() - began) / steps / len(starts)
            figures.setdefault(kind, {})[name] = row(course, courses[kind]["true model"], seconds)
            print(kind, name, figures[kind][name], flush=True)
    none = control(world, world.next, Nothing(), starts, steps, seed=given.seed)
    figures["random actions"] = row(none, courses["cem"]["true model"], 0.0)
    if not given.smoke:
        chart({**courses["cem"], "random actions": none}).save(PICTURES / "planning.png", optimize=True)
        film({"planned with a learned model": courses["cem"][given.models[0]], "random actions": none})
    origin = {"name": data.name, "fingerprint": data.fingerprint, "steps of random play": 5000}
    conclude("planning", figures, smoke=given.smoke, data=origin, seeds=[given.seed])


def fitted(name: str, data: sim.data.Dataset, steps: int, seed: int) -> tuple[Any, dict[str, Any]]:
    """The dynamics of a model, and how well it knows the test steps."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        options = {"steps": steps, "minutes": MINUTES, "seed": seed}
        model = sim.fit(name, data, Path(folder) / "run", condition=("state", "action"), **options)
        seconds = time.perf_counter() - began
    score = sim.score(model, data)
    about = {"nats": score.nats, "kind": score.kind, "standard_error": score.standard_error, "seconds": seconds}
    return learned(model), about


def truth(data: sim.data.Dataset, world: Pendulum) -> float:
    """Mean negative log-density of the test steps under the density that they were drawn from: no model has less."""
    test = data.test
    return float(-world.log_prob(np.asarray(test.x), test.field("state"), test.field("action")).mean())


def row(course: Course, best: Course, seconds: float) -> dict[str, Any]:
    """Starts that end upright, the mean cost and its ratio to that of the true model, and seconds for one action."""
    ratio, apart = course.cost.mean() / best.cost.mean(), course.cost - best.cost
    half = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart)) / best.cost.mean()
    interval = {"low": ratio - half, "high": ratio + half}
    up = int(upright(course).sum())
    return {"up": up, "of": len(apart), "cost": course.cost.mean(), "ratio": ratio, **interval, "seconds": seconds}


def chart(courses: dict[str, Course]) -> Image.Image:
    """For each way to plan the angle over time, a line a start: 0 is the top, ±π the bottom."""
    width, height, font = 290, 150, ImageFont.load_default(size=14)
    whole = Image.new("RGB", (width * 3 + 20, (height + 34) * -(-len(courses) // 3) + 10), "white")
    draw = ImageDraw.Draw(whole)
    for number, (name, course) in enumerate(courses.items()):
        left, top = 15 + number % 3 * width, 30 + number // 3 * (height + 34)
        ups = upright(course)
        draw.text((left, top - 22), f"{name}: {ups.sum()} of {len(ups)} up", "black", font)
        draw.rectangle((left, top, left + width - 15, top + height), outline=(200, 200, 200))
        draw.line((left, top + height / 2, left + width - 15, top + height / 2), (150, 150, 150))
        for states, up in zip(course.states, ups, strict=True):
            turned = angle(states)
            points = [
                (left + (width - 15) * t / (len(turned) - 1), top + height * (1 - (value + np.pi) / (2 * np.pi)))
                for t, value in enumerate(turned)
            ]
            for one, other in itertools.pairwise(points):
                if abs(one[1] - other[1]) < height / 2:  # it did not pass the bottom
                    draw.line((*one, *other), COLOURS["up" if up else "not"])
    return whole.quantize(32, dither=Image.Dither.NONE)


def film(courses: dict[str, Course]) -> None:
    """The first start of each, side by side, in real time: ten frames a second."""
    frames, font = [], ImageFont.load_default(size=11)
    steps = min(course.actions.shape[1] for course in courses.values())
    for t in range(steps):
        frame = Image.new("RGB", (SIDE * len(courses), SIDE), "white")
        draw = ImageDraw.Draw(frame)
        for i, (name, course) in enumerate(courses.items()):
            cos, sin, _ = course.states[0, t]
            middle, tip = (SIDE * (i + 0.5), SIDE / 2 + 6), (SIDE * (i + 0.5) + REACH * sin, SIDE / 2 + 6 - REACH * cos)
            draw.text((SIDE * (i + 0.5), 8), name, "black", font, "mm")
            draw.line((*middle, *tip), (60, 60, 60), 5)
            draw.ellipse((tip[0] - 9, tip[1] - 9, tip[0] + 9, tip[1] + 9), fill=COLOURS["up"])
            share = course.actions[0, t, 0] / Pendulum().limit
            draw.line((middle[0], SIDE - 6, middle[0] + share * SIDE / 3, SIDE - 6), COLOURS["not"], 5)
        frames.append(frame.quantize(16, dither=Image.Dither.NONE))
    path = PICTURES / "planning.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0, optimize=True)


if __name__ == "__main__":
    main()
