"""Structured generation on real sets: what is given, what is made of it, and how well, beside the trivial answers.

Each task is a data set, the fields that are given, and the models that are fitted on it in the same budget; its figures
are all those of `simulacra.evaluate` on the test split, with their baselines, control and ceiling. Beside the networks
of a game stands, where it is listed, an exact conditional density on the same task.

    mnist-large       28×28 of 7×7              mnist-lower     the lower half of a digit
    emoji-colour      colours of a line drawing emoji-grey      colours of a grey drawing
    emoji-style       Twemoji of Noto, in pairs emoji-unpaired  the same styles, without a pair
    facades-photo     a photograph of a map     facades-map     a map of a photograph
    horse2zebra       without pairs             avatars         smile, glasses and beard
    scenes-text       a picture of a caption    scenes-graph    a picture of a scene graph
    emoji-text        a picture of its name     puzzle-*        the whole of two or one of four parts, or of loose ones
    cifar10-grey      colours of a photograph, exactly; beside it the density without a condition
    emoji-exact       the same of emoji         coco-layouts, quickdraw   a short fit of each

    python benchmarks/structured.py mnist-large facades-photo --minutes 5
    python benchmarks/structured.py scenes-text --minutes 30 --record structured_half-hour

A row is a fit, and a new one replaces it in the record. With `--pictures FOLDER` each task leaves a picture of what was
given, some answers, and the truth.
"""

from __future__ import annotations

import functools
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from record import COMMIT, conclude, earlier, parser

import simulacra as sim
from simulacra.capabilities import Translator, can
from simulacra.nn import is_map


@dataclass(frozen=True)
class Task:
    """A data set, how it is read, the fields that are given, and models with arguments of their own."""

    data: str
    given: tuple[str, ...]
    models: Mapping[str, Mapping[str, Any]]
    read: Mapping[str, Any] = field(default_factory=dict)


ALSO = {
    "sg2im": {", of the graph alone": {"boxes": "predicted"}}
}  # further options of `sample`, by what a row is called
SMALL, FACADES, STYLES = {"resize": 32}, {"resize": 64}, {"resize": 32, "domains": ("x", "noto")}
PIXELS: dict[str, Any] = {"width": 32, "layers": 6}
EXACT = {"gated-pixelcnn": PIXELS, "gated-pixelcnn unconditional": PIXELS}
TASKS = {
    "mnist-large": Task("mnist", ("down:factor=4",), {"srgan": {}, "gated-pixelcnn": {}}),
    "mnist-lower": Task("mnist", ("mask:kind=half",), {"pix2pix": {}, "gated-pixelcnn": {}}),
    "emoji-colour": Task("emoji", ("line",), {"pix2pix": {}}, SMALL),
    "emoji-grey": Task("emoji", ("grey",), {"pix2pix": {}}, SMALL),
    "emoji-style": Task("emoji", ("noto",), {"pix2pix": {}}, SMALL | {"target": "twemoji"}),
    "emoji-unpaired": Task("emoji", ("domain",), {"cyclegan": {}, "stargan": {}}, STYLES),
    "facades-photo": Task("facades", ("map",), {"pix2pix": {}, "spade": {}}, FACADES),
    "facades-map": Task("facades", ("x",), {"pix2pix": {}}, FACADES | {"target": "map"}),
    "horse2zebra": Task("horse2zebra", ("domain",), {"cyclegan": {}}, {"resize": 64}),
    "avatars": Task("avatars", ("smiling", "glasses", "beard"), {"stargan": {}}, SMALL),
    "scenes-text": Task("scenes", ("caption",), {"text2image": {}}),
    "scenes-graph": Task("scenes", ("objects", "relations"), {"sg2im": {}}),
    "emoji-text": Task("emoji", ("caption",), {"text2image": {}}, SMALL),
    "cifar10-grey": Task("cifar10", ("grey",), EXACT),
    "emoji-exact": Task("emoji", ("grey",), EXACT, SMALL),
    "coco-layouts": Task("coco-layouts", ("map",), {"pix2pix": {}}, SMALL),
    "quickdraw": Task("quickdraw", ("edges",), {"pix2pix": {}}),
} | {
    f"puzzle-{name}-{kept}": Task(name, (f"parts:kept={kept}",), {"puzzle-gan": {}}, read)
    for name, read in (("digits", {}), ("mnist", {}), ("emoji", SMALL))
    for kept in (2, 1)
}
TASKS["puzzle-mnist-loose"] = Task("mnist", ("parts:kept=2,loose=true",), {"puzzle-gan": {}})


def main() -> None:
    options = parser(__doc__)
    options.add_argument("tasks", nargs="*", help="by default all of them")
    options.add_argument("--models", nargs="*", help="of the tasks, by default all that are listed")
    options.add_argument("--minutes", type=float, default=5.0, help="of a fit")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--device", default="cpu")
    options.add_argument("--given", type=json.loads, default={}, help="arguments of the models: '{\"width\": 64}'")
    options.add_argument("--record", default="structured", help="the name of the record")
    options.add_argument("--pictures", type=Path, help="a folder")
    args = options.parse_args()
    if unknown := set(args.tasks) - set(TASKS):
        options.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    torch.set_num_threads(args.threads)
    rows = earlier(args.record)
    for name in args.tasks or TASKS:
        task = TASKS[name]
        for model in args.models or task.models:
            for row, figures in fitted(name, task, model, args).items():
                rows[row] = figures
                print(row, json.dumps(figures), flush=True)
    conclude(
        args.record,
        rows,
        smoke=args.smoke,
        seeds=[args.seed],
        notes=f"budget of a fit: {args.minutes} minutes on {args.device}, threads: {args.threads} unless a row says "
        "other; evaluate on the test split, touched once a fit; each row names its commit",
    )


def fitted(name: str, task: Task, model: str, args: Any) -> dict[str, dict[str, Any]]:
    """The figures of one fit, and of its samples under other options, with its picture."""
    data = sim.data.load(task.data, **task.read)
    given = {} if model.endswith("unconditional") else {"condition": task.given}
    budget = {"steps": 10} if args.smoke else {"minutes": args.minutes}
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        out, began = Path(folder) / "run", time.perf_counter()
        chosen = {**given, **task.models[model], **args.given, **budget}
        fit = sim.fit(model.split()[0], data, out, seed=args.seed, device=args.device, progress=None, **chosen)
        seconds = time.perf_counter() - began
        steps = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"]
        for ending, options in {"": {}, **ALSO.get(model, {})}.items():
            if options:
                fit.sample = functools.partial(fit.sample, **options)
            figures = {key: slim(own) for key, own in sim.evaluate(fit, data, quick=args.smoke).to_json().items()}
            about = {"commit": COMMIT, "minutes": args.minutes, "seconds": seconds, "steps": steps}
            about |= {"threads": args.threads, "n": len(data.test)}
            about |= {"given": args.given} if args.given else {}
            rows[f"{name}, {model}{ending}"] = about | {"figures": figures}
        if args.pictures:
            draw(args.pictures / f"{name}-{model.replace(' ', '-')}.png", out, data)
    return rows


def slim(measure: Mapping[str, Any]) -> dict[str, Any]:
    """A figure without what is the same for all."""
    return {key: value for key, value in measure.items() if value is not None and key not in ("protocol", "kind")}


def draw(path: Path, run: Path, data: sim.data.Dataset) -> None:
    """What was given, some answers, and the truth where it is a picture."""
    from simulacra import cli

    path.parent.mkdir(parents=True, exist_ok=True)
    model = sim.load(run)
    pictured = can(model, Translator) or any(map(is_map, model.spec.condition.values()))
    more = ["translate", "-n", "3"] if pictured else ["sample"]
    if can(model, Translator) and len(model.spec.condition) > 1:
        more += ["--to", f"{next(iter(model.spec.condition))}=yes"]
    cli.main([more[0], str(run), data.source, *more[1:], "--out", str(path)])


if __name__ == "__main__":
    main()
