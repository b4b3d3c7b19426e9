"""Every model on a GPU, and whether it is there what it is on a CPU: `python benchmarks/on_gpu.py [MODELS]`.

For each: a fit of some steps on the GPU in fp32 and one with the precision of a GPU, and of these weights

apart          the largest |log p_gpu(x) - log p_cpu(x)| in nats, of 32 test items, of models with a likelihood
reconstructed  the share of pixels that are the same where items are encoded and decoded on either
translated     the same of items that are mapped to another domain
rounded        the largest |G_gpu(z) - G_cpu(z)| before it is rounded to the grid, of models that map codes to items
again          whether the same seed draws the same samples twice
resumed        whether 2k steps are bitwise k and k more; where they are not, the largest difference of a weight, and
               that of two uninterrupted runs
steps_per_second   with the defaults, in either precision (not comparable where several workers share the GPU)

    python benchmarks/on_gpu.py --workers 8
    python benchmarks/on_gpu.py dcgan vae gated-pixelcnn
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import tempfile
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import conclude, parser

import simulacra as sim
from simulacra.capabilities import ClosedForm, Decoder, Density, Encoder, Prior, Sampler, Translator, can, need
from simulacra.condition import Condition
from simulacra.feed import feed
from simulacra.model import Model
from simulacra.training import Observer
from simulacra.training.runtime import Runtime

Columns = dict[str, torch.Tensor]
Part = Callable[[str, int, str, Path], dict[str, Any]]
ITEMS = 32
WARM, LAST = 50, 150  # steps between which rates are measured, both of which are in metrics.jsonl
LABEL = ("label",)
SERIES, PEOPLE = ("mdn-rnn", "series-vae", "timegan"), ("social-gan", "recurrent-mixture")
CLIPS = ("videogan", "motion-mixture")
DATA = (  # others: digits
    {"rnade": "ring", "spade": "scenes", "text2image": "scenes", "sg2im": "scenes"}
    | dict.fromkeys(CLIPS, "bouncing")
    | dict.fromkeys(SERIES, "sines")
    | dict.fromkeys(PEOPLE, "eth-ucy:test=zara1")  # where $SIMULACRA_DATA holds it
)
GIVEN = dict.fromkeys(("acgan", "biggan", "cgan", "m2", "cyclegan", "stargan"), LABEL) | {
    "pix2pix": ("mask:kind=half",),
    "puzzle-gan": ("parts",),
    "srgan": ("down:factor=2",),
    "spade": ("map",),
    "text2image": ("caption",),
    "sg2im": ("objects", "relations"),
    **dict.fromkeys(PEOPLE, ("past",)),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("models", nargs="*", help="by default all of them")
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--workers", type=int, default=1, help="models at once")
    options.add_argument("--device", default="cuda")
    options.add_argument("--no-rates", action="store_true", help="leave out the steps a second")
    options.add_argument("--free", action="store_true", help="let the GPU add up in any order")
    args = options.parse_args()
    names = args.models or [entry.name for entry in sim.models()]
    parts = (compared, resumed) if args.no_rates else (compared, resumed, fits)
    steps = 4 if args.smoke else args.steps
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, mp_context=context) as pool:
        running = {pool.submit(measured, name, steps, args.device, args.free, parts): name for name in names}
        rows = dict.fromkeys(names)
        for done in as_completed(running):
            name = running[done]
            rows[name] = done.result()
            print(name, rows[name], flush=True)
    record = "on_gpu_free" if args.free else "on_gpu"
    conclude(record, rows, smoke=args.smoke, seeds=[0], notes=f"{args.workers} workers share the GPU")


def measured(name: str, steps: int, device: str, free: bool, parts: Sequence[Part]) -> dict[str, Any]:
    """One row, or what failed."""
    if free:
        Runtime.deterministic = lambda self: contextlib.nullcontext()
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    row: dict[str, Any] = {}
    for part in parts:
        try:
            with tempfile.TemporaryDirectory() as folder:
                row |= part(name, steps, device, Path(folder))
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            row[part.__name__] = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    return row


def fit(name: str, out: Path, steps: int, device: str, **given: Any) -> Model:
    given |= {"condition": GIVEN[name]} if name in GIVEN else {}
    given |= {"labels": 100} if name == "m2" else {}
    limits = {} if can(sim.registry.find(name).model, ClosedForm) else {"steps": steps}
    return sim.fit(name, data_for(name), out, device=device, progress=None, **limits, **given)


def data_for(name: str) -> sim.data.Dataset:
    """A shipped set; for two domains even and odd digits."""
    data = sim.data.load(DATA.get(name, "digits"))
    if name != "cyclegan":
        return data
    whole = data.split("all")
    return sim.data.from_arrays(np.array(whole.x), whole.field("label") % 2, levels=data.spec.levels)


def fits(name: str, steps: int, device: str, folder: Path) -> dict[str, Any]:
    """Steps a second by the clock of the run, once it is warm."""
    if can(sim.registry.find(name).model, ClosedForm):
        return {}
    rates = {}
    for precision in ("fp32", "auto"):
        out = folder / precision
        fit(name, out, max(steps, LAST), device, precision=precision, every=10**9)
        lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
        at = {line["step"]: line["seconds"] for line in lines}
        rates[precision] = (LAST - WARM) / (at[LAST] - at[WARM])
    return {"steps_per_second": rates}


def compared(name: str, steps: int, device: str, folder: Path) -> dict[str, Any]:
    fit(name, folder / "run", steps, device)
    there, here = sim.load(folder / "run", device), sim.load(folder / "run", "cpu")
    data = data_for(name)
    x, condition = feed(data.test, np.arange(ITEMS), here.spec, here.device)
    moved = condition.to(device)
    with torch.no_grad():
        row = both(there, here, x, condition, moved)
    if can(here, Density):
        sim.score(there, data, limit=ITEMS)
    return row


def both(there: Model, here: Model, x: torch.Tensor, condition: Condition, moved: Condition) -> dict[str, Any]:
    """One model on two devices."""
    row: dict[str, Any] = {}
    if can(here, Density):
        apart = there.log_prob(x.to(there.device), moved).cpu().double() - here.log_prob(x, condition).double()
        row["apart"] = float(apart.abs().max())
    if can(here, Encoder) and can(here, Decoder):
        either = [sim.reconstruct(model, x, condition or None) for model in (there, here)]
        row["reconstructed"] = float((either[0] == either[1]).double().mean())
    if can(here, Prior) and hasattr(here, "rendered"):
        z = here.prior(ITEMS, condition).sample(torch.Generator().manual_seed(0))
        apart = there.rendered(z.to(there.device), there.conditioned(moved, ITEMS)).cpu() - here.rendered(
            z, here.conditioned(condition, ITEMS)
        )
        row["rounded"] = float(apart.abs().max())
    if can(here, Translator):
        pairs = ((there, moved), (here, condition))
        either = [need(model, Translator).translate(x.to(model.device), own) for model, own in pairs]
        row["translated"] = float((either[0].cpu() == either[1]).double().mean())
    if can(here, Sampler):
        drawn = [sim.sample(there, 4, condition=condition.rows(slice(0, 4)) or None) for _ in range(2)]
        row["again"] = bool(np.array_equal(np.asarray(drawn[0]), np.asarray(drawn[1])))
    return row


def resumed(name: str, steps: int, device: str, folder: Path) -> dict[str, Any]:
    if can(sim.registry.find(name).model, ClosedForm):
        return {}
    same = {"precision": "fp32", "every": max(1, steps // 2)}
    whole, twin = (fit(name, folder / out, steps, device, **same) for out in ("whole", "twin"))
    halted = Halted(steps // 2)
    try:
        given = {"observers": [halted]}
        fit(name, folder / "parts", steps, device, **same, **given)
    except Halted.Stop:
        pass
    parts = fit(name, folder / "parts", steps, device, **same)
    if apart(whole, parts) == 0:
        return {"resumed": True}
    return {"resumed": {"apart": apart(whole, parts), "of_two_runs": apart(whole, twin)}}


class Halted(Observer):
    """Ends a run by an error once a checkpoint of so many steps is written."""

    class Stop(Exception):
        pass

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def saved(self, at: Any, folder: Any) -> None:
        if at.step >= self.steps:
            raise self.Stop


def apart(one: Model, other: Model) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel())


if __name__ == "__main__":
    main()
