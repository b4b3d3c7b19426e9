"""Every preset of the adversarial family on one data set in the same budget: `python benchmarks/presets.py DATA`.

digits, mnist, stacked-digits, stacked-mnist   every preset, by default widths
cifar10, emoji                                 five of them at a quarter of the papers' widths or less, in colour at
                                               32×32 and 64×64; the part of CIFAR-10 at hand, OpenMoji

A preset with `+label` learns p(x | label). Each fit has `--minutes` of one thread, or `--steps`; the figures are those
of `simulacra.evaluate` on the test split, touched once a fit: the Fréchet distance in three kinds of features and its
position between held-out items, 0, and independent pixels, 1; precision and recall; where there are labels the share
of samples that are of the class they were drawn for; near-copies; where modes are known their number, the share of
high quality and the reverse KL of 26,000 draws. `infogan` has the purity of its categorical code besides: the share of
samples that are of the commonest class of their category, by the same classifier.

    python benchmarks/presets.py digits --minutes 5
    python benchmarks/presets.py stacked-digits r3gan dcgan sngan wgan-gp --minutes 5 --workers 2
    python benchmarks/presets.py mnist sngan+label --minutes 5             # its row of the record is replaced

With several workers as many fits run at once. `--picture FILE` is a picture of samples, a row of each preset.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import COMMIT, conclude, earlier, parser

import simulacra as sim
from simulacra.pictures import rows_picture, save_image

PRESETS = (
    *("gan", "dcgan", "lsgan", "wgan", "wgan-gp", "sngan", "sagan", "infogan", "progan", "stylegan", "stylegan2"),
    *("r3gan", "cgan+label", "acgan+label", "sngan+label", "biggan+label"),
)
QUARTER = {"dcgan": 32, "sngan": 32, "biggan": 24, "stylegan2": 16, "r3gan": 16}  # channels next to the image
DATA = ("digits", "mnist", "stacked-digits", "stacked-mnist", "cifar10", "emoji")
FIGURES = (
    *("frechet_distance_learned", "frechet_distance_random", "frechet_distance", "frechet_position_learned"),
    *("frechet_position_random", "frechet_position", "kernel_distance_learned", "precision", "recall", "density"),
    *("coverage", "near_copies", "modes", "high_quality", "reverse_kl"),
)
SHOWN = 10


@dataclass(frozen=True)
class Job:
    """One fit: in so many minutes or steps."""

    data: str
    preset: str
    seed: int
    minutes: float | None
    steps: int | None
    device: str
    width: int | None
    threads: int
    run: Path | None


def main() -> None:
    options = parser(__doc__)
    options.add_argument("data", choices=DATA)
    options.add_argument("presets", nargs="*", help="by default all of them; NAME+label is conditional")
    options.add_argument("--minutes", type=float, default=5.0, help="of a fit")
    options.add_argument("--steps", type=int, help="of a fit, in place of minutes")
    options.add_argument("--seeds", type=int, nargs="*", default=[0])
    options.add_argument("--workers", type=int, default=1, help="fits at once")
    options.add_argument("--device", default="cpu")
    options.add_argument("--width", type=int, help="channels next to the image, in place of the usual ones")
    options.add_argument("--threads", type=int, default=1, help="of a fit")
    options.add_argument("--fitted", type=Path, metavar="RUN", help="of one preset, in place of a fit")
    options.add_argument("--record", help="the name of the record; by default presets_DATA")
    options.add_argument("--picture", type=Path, help="samples of every preset, as a PNG")
    args = options.parse_args()
    wanted = args.presets or list(PRESETS if args.data not in ("cifar10", "emoji") else conditional_where_it_must())
    minutes, steps = (None, 20) if args.smoke else (None, args.steps) if args.steps else (args.minutes, None)
    budget = (minutes, steps, args.device, args.width, args.threads, args.fitted)
    jobs = [Job(args.data, preset, seed, *budget) for preset in wanted for seed in args.seeds]
    record = args.record or f"presets_{args.data}"
    rows, shown = earlier(record) if args.presets else {}, {}
    fork = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, mp_context=fork, max_tasks_per_child=1) as pool:
        running = {pool.submit(fitted, job): job for job in jobs}
        for done in as_completed(running):
            job = running[done]
            name = job.preset if len(args.seeds) == 1 else f"{job.preset}, seed {job.seed}"
            rows[name], shown[name] = done.result()
            print(name, json.dumps(rows[name]), flush=True)
    rows = {name: rows[name] for name in sorted(rows, key=lambda name: place(name))}
    data = sim.data.load(args.data)
    if args.picture and shown:
        draw(args.picture, data, {name: shown[name] for name in rows if name in shown})
    conclude(
        record,
        rows,
        smoke=args.smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=args.seeds,
        notes=f"budget of a fit: {f'{steps} steps' if steps else f'{minutes} minutes'} on {args.device}, "
        f"{args.workers} at once, threads of each: {args.threads}; each row names the commit it was measured at",
    )


def conditional_where_it_must() -> list[str]:
    return [f"{name}+label" if name == "biggan" else name for name in QUARTER]


def place(row: str) -> tuple[int, str]:
    name = row.split(",")[0]
    return PRESETS.index(name) if name in PRESETS else len(PRESETS), row


def classes_of(data: sim.data.Dataset) -> dict[str, sim.data.ClassLabel]:
    return {name: own for name, own in data.spec.condition.items() if isinstance(own, sim.data.ClassLabel)}


def fitted(job: Job) -> tuple[dict[str, Any], np.ndarray]:
    """The figures of one fit, and a row of samples: of the classes in turn where it is conditional."""
    torch.set_num_threads(job.threads)
    data, (name, *labelled) = sim.data.load(job.data), job.preset.split("+")
    given: dict[str, Any] = {"width": QUARTER[name]} if job.data in ("cifar10", "emoji") else {}
    given |= {"width": job.width} if job.width else {}
    given |= {"condition": tuple(classes_of(data))} if labelled else {}
    budget = {"steps": job.steps} if job.steps else {"minutes": job.minutes}
    with tempfile.TemporaryDirectory() as folder:
        out = job.run or Path(folder) / "run"
        if job.run is None:
            sim.fit(name, data, out, seed=job.seed, device=job.device, **budget, **given)
        model, ended = sim.load(out), json.loads((out / "run.json").read_text())["finished"]
    row: dict[str, Any] = {"steps": ended["steps"], "minutes": ended["seconds"] / 60}
    row["parameters"] = sum(each.numel() for each in model.parameters())
    began = time.perf_counter()
    found = sim.evaluate(model, data, seed=job.seed)
    row["evaluation_minutes"] = (time.perf_counter() - began) / 60
    wanted = [key for key in found if key in FIGURES or key.startswith("class_agreement")]
    row |= {key: found[key].value for key in wanted}
    row["floors"] = {key: found[key].floor for key in wanted if found[key].floor is not None}
    if name == "infogan":
        row["purity"] = purity(model, data, job.seed)
    classes = {field: np.arange(SHOWN) % classes_of(data)[field].count for field in model.spec.condition}
    return row | {"commit": COMMIT}, sim.sample(model, SHOWN, condition=classes or None, seed=job.seed)


def purity(model: sim.Model, data: sim.data.Dataset, seed: int) -> dict[str, Any]:
    """Of samples of each category: the share that is of the category's commonest class, and these classes."""
    from simulacra.evaluation.learned import predicted, trained_once

    labels, count = np.array(data.train.field("label")), classes_of(data)["label"].count
    network, _, _ = trained_once(data.spec, np.asarray(data.train.x), {"class": labels}, {"class": count})
    with torch.no_grad():
        noise = torch.Generator(model.device).manual_seed(seed)
        z = model.prior(2000).sample(noise)
        x = model.decode(z).value.cpu().numpy()
    category = z[:, :count].argmax(1).cpu().numpy()
    table = np.zeros((count, count), int)
    np.add.at(table, (category, predicted(network, x)["class"]), 1)
    return {"value": float(table.max(1).sum() / table.sum()), "classes": table.argmax(1).tolist()}


def draw(path: Path, data: sim.data.Dataset, shown: dict[str, np.ndarray]) -> None:
    rows = {"real": np.asarray(data.test.x[:SHOWN])} | shown
    save_image(rows_picture(np.stack(list(rows.values())), data.spec, list(rows), [""] * SHOWN), path)


if __name__ == "__main__":
    main()
