"""Video: models of clips on `bouncing` (16×32²) and, by action, on `actions-video` (16×64²); memory of longer clips.

    python benchmarks/video.py                                          # both sets by the defaults, 5 minutes each
    python benchmarks/video.py --sets bouncing --given '{"generator": "tgan", "critic": "clips:seen=4"}'
    python benchmarks/video.py --sets bouncing --model motion-mixture --given '{"padding": "zeros", "first": "placed"}'
    python benchmarks/video.py --sets actions-video --minutes 30 --picture docs/pictures/actions.gif
    python benchmarks/video.py --memory                                 # of a step at 48×64² and 12×128²
    python benchmarks/video.py --smoke

distances   Fréchet distance of frames and of clips from held-out ones; beside them training clips in the place of
            samples (floor), held-out clips whose frames do not move, and those whose frames are in random order
law         of `bouncing`: the share of samples that move by the law of the set, and of frames that show one digit
action      of `actions-video`: the share of samples in which a classifier sees the action that they are drawn by
memory      the most that a process held while it took three steps of four random clips, beyond what it held before; of
            a GPU what torch held there. Seconds are those of a step after the first

A fit ends after its minutes, of so many threads. A row is a fit, named by its set, its model, what is given and its
seed, and a new one replaces it in the record. `actions-video` is read where $SIMULACRA_DATA holds it, and left out,
with a line, elsewhere. Its 29 test clips are of eight films: what is said of them is a hint.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from large_images import Clock
from record import COMMIT, at_hand, conclude, earlier, parser

import simulacra as sim
from simulacra.data import Dataset
from simulacra.evaluation.bounces import bounces, motion_of_digits
from simulacra.evaluation.clips import distances_of_clips
from simulacra.evaluation.measure import Measure
from simulacra.evaluation.samples import agreement_with_conditions
from simulacra.evaluation.subject import Subject
from simulacra.model import Model
from simulacra.pictures import clips_gif, picture
from simulacra.training.fit import fit  # without a judge, whose samples would need memory of their own

CONDITIONS = {"bouncing": (), "actions-video": ("action",)}
LONG = {"48×64²": (48, 3, 64, 64), "12×128²": (12, 3, 128, 128)}
BATCH, STEPS, SHOWN = 4, 3, 16


def figures_of(subject: Subject) -> dict[str, Any]:
    """What is measured of a model on the test split, each with its interval and what stands beside it."""
    found: dict[str, Measure] = distances_of_clips(subject)
    if bounces(subject):
        found |= motion_of_digits(subject)
    if subject.model.spec.condition:
        found |= agreement_with_conditions(subject)
    return {key: measure.to_json() for key, measure in found.items()}


def row(
    name: str,
    which: str,
    given: Mapping[str, Any],
    seed: int,
    budget: Mapping[str, Any],
    smoke: bool,
    place: Path | None,
) -> dict[str, Any]:
    data = few(sim.data.load(name)) if smoke else sim.data.load(name)
    with tempfile.TemporaryDirectory() as folder:
        began, out = time.process_time(), Path(folder) / "run"
        model = sim.fit(which, data, out, condition=CONDITIONS[name], seed=seed, **given, **budget)
        seconds = time.process_time() - began
    subject = Subject(model, data, "test", seed)
    if place is not None:
        show(subject.samples[:SHOWN], model, place)
    own = {
        "seconds of processors": seconds,
        "steps": model.trained_steps,
        "parameters": parameters(model),
        "commit": COMMIT,
    }
    return own | {"figures": figures_of(subject)}


def few(data: Dataset) -> Dataset:
    """The first clips of each split."""
    train, valid, test = (split.rows(np.arange(48)) for split in data.splits)
    return replace(data, train=train, valid=valid, test=test, order=None)


def show(clips: np.ndarray, model: Model, place: Path) -> None:
    """A film of clips in a .gif, and elsewhere their frames, a row each."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.suffix == ".gif":
        place.write_bytes(clips_gif(clips, model.spec))
    else:
        picture(clips, model.spec).save(place)


def parameters(model: Model) -> int:
    return sum(each.numel() for each in model.parameters())


def stepped(shape: tuple[int, ...], which: str, given: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The memory that some steps took, and the seconds of those after the first."""
    x = np.random.default_rng(0).integers(0, 256, (8 * BATCH, *shape), np.uint8)
    data, clock = sim.data.from_arrays(x, levels=256), Clock()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {"batch": BATCH, "steps": STEPS, "every": 10**9, "device": device, **given}
        model = fit(which, data, Path(folder) / "run", observers=[clock], **options)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else held * 1024
    return {"gigabytes": peak / 1e9, "seconds_a_step": clock.last, "parameters": parameters(model)}


def memory(which: str, given: Mapping[str, Any], device: str, smoke: bool) -> dict[str, Any]:
    """Each in a process of its own."""
    shapes = {"12×16²": (12, 3, 16, 16)} if smoke else LONG
    rows: dict[str, Any] = {}
    for name, shape in shapes.items():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            rows[name] = fresh.submit(stepped, shape, which, given, device).result()
        print(name, rows[name], flush=True)
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--sets", nargs="+", default=list(CONDITIONS), choices=list(CONDITIONS))
    arguments.add_argument("--model", default="videogan")
    arguments.add_argument(
        "--given", type=json.loads, default={}, help="parts and options that differ from the defaults"
    )
    arguments.add_argument("--seeds", nargs="+", type=int, default=[0])
    arguments.add_argument("--minutes", type=float, default=5.0, help="of each fit")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--picture", type=Path, help=f"{SHOWN} samples of the last fit: a .gif or a .png")
    arguments.add_argument("--memory", action="store_true", help="of a step of longer clips; nothing else is measured")
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--record", default="video")
    own = arguments.parse_args()
    if own.memory or own.smoke:
        found, notes = memory(own.model, own.given, own.device, own.smoke), f"batch {BATCH}, {STEPS} steps"
        conclude(f"{own.record}_memory_{own.device}", found, smoke=own.smoke, seeds=[0], notes=notes)
    if not own.memory:
        fits(own)


def fits(own: Any) -> None:
    """A row for each set and seed."""
    torch.set_num_threads(own.threads)
    own.sets = ["bouncing"] if own.smoke else own.sets
    budget = {"steps": 3} if own.smoke else {"steps": 10**9, "minutes": own.minutes}
    budget |= {"device": own.device}
    rows: dict[str, Any] = {} if own.smoke else earlier(own.record).get("rows", {})
    for name in filter(at_hand, own.sets):
        for seed in own.seeds:
            other = [] if own.model == "videogan" else [own.model]
            key = " ".join([name, *other, *(map(str, own.given.values()) if own.given else ["defaults"]), str(seed)])
            found = rows[key] = row(name, own.model, own.given, seed, budget, own.smoke, own.picture)
            values = {figure: round(measure["value"], 4) for figure, measure in found["figures"].items()}
            print(key, found["steps"], "steps", json.dumps(values), flush=True)
    conclude(
        own.record,
        {"rows": rows, "target": "`bouncing`: distance of clips below both controls, motion law >= 0.8"},
        smoke=own.smoke,
        seeds=own.seeds,
        notes=f"{own.threads} thread(s); {own.minutes:g} minutes a fit",
    )


if __name__ == "__main__":
    main()
