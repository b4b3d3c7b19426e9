"""`simulacra complete`"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from simulacra.cli.arguments import Json, OnData, Sampler, Seed, Watch, as_json, optional, parse
from simulacra.cli.heard import usual_ending, write_heard
from simulacra.cli.output import picture_or_array, place
from simulacra.fields import Sound, Text
from simulacra.files import write_arrays
from simulacra.terminal import number_of

if TYPE_CHECKING:
    from simulacra.data import DataSpec

MASK = (
    "what is unknown: top, bottom, left, right, centre, random:SHARE, or a file: .png (white: unknown) or .npy; by "
    "default what the model was fitted to fill, or bottom"
)


@dataclass(frozen=True)
class Complete(OnData):
    """Fill the unknown part of items several times, and say how probable the completions and the truth are."""

    mask: Annotated[str | None, optional("MASK", MASK)] = None
    n: Annotated[int, tyro.conf.arg(aliases=["-n"], help="how many items, drawn by the seed")] = 8
    samples: Annotated[int, tyro.conf.arg(help="completions of each item")] = 4
    temperature: Annotated[float, tyro.conf.arg(help="below 1: more typical and less varied")] = 1.0
    sampler: Sampler = None
    seed: Seed = 0
    watch: Watch = False
    out: Annotated[Path | None, optional("PATH", ".png, .npz, or .wav and .txt; by default RUN/completions.png")] = None
    json: Json = False

    def __call__(self) -> None:
        import simulacra
        from simulacra.cli.watch import watching
        from simulacra.exploration import completion_nats, mask_of
        from simulacra.exploration.holes import usual_mask
        from simulacra.feed import drawn

        model, data = self.loaded()
        path = place(self.out, self.run, "completions", _endings(model.spec))
        x, condition = drawn(data.split(self.split), self.n, model, self.seed)
        mask = self.mask or usual_mask(model.spec)
        unknown = mask_of(mask, model.spec, self.seed)
        with watching(model.spec, self.watch) as progress:
            found = simulacra.complete(
                model,
                x,
                unknown,
                self.samples,
                condition=condition,
                temperature=self.temperature,
                seed=self.seed,
                sampler=self.sampler,
                progress=progress,
            )
        items, truth = x.cpu().numpy(), completion_nats(model, x, unknown, condition)
        arrays = {"x": items, "completed": found.completed, "mask": unknown}
        arrays |= {} if found.nats is None or truth is None else {"nats": found.nats, "nats_truth": truth}
        _write(path, arrays, model.spec)
        record = {
            "n": len(items),
            "samples": self.samples,
            "mask": mask,
            "unknown": int(unknown.sum()),
            "known": int((~unknown).sum()),
            "late": int(found.late[0]),
            "unseen": int(found.unseen[0]),
            "orders": found.orders,
            "nats": None if found.nats is None else float(found.nats.mean()),
            "nats_truth": None if truth is None else float(truth.mean()),
            "out": str(path),
        }
        print(as_json(record) if self.json else "\n".join(_lines(record)))


def _lines(record: dict[str, Any]) -> list[str]:
    lines = [
        f"{number_of(record['n'], 'item')}, {number_of(record['samples'], 'completion')} of each, in {record['out']}"
    ]
    if record["nats"] is not None:
        bits = 1 / (record["unknown"] * math.log(2))
        lines += [
            f"-log p(unknown | seen), mean: {name} {nats:.2f} nats, {nats * bits:.3f} bits per unknown value"
            for name, nats in (("completions", record["nats"]), ("the truth", record["nats_truth"]))
        ]
    if record["unseen"] or record["late"]:
        places = [
            (record["unseen"], "lie after all unknown ones in its order and were not used"),
            (record["late"], "lie between unknown ones and were used for those that follow alone"),
        ]
        listed = " and ".join(f"{n:,} ({n / record['known']:.0%}) {where}" for n, where in places if n)
        lines.append(
            f"a chain conditions on what precedes: of {record['known']:,} known values {listed}; orderless-nade would "
            "use all"
        )
    if record["orders"] > 1:
        lines.append(
            "drawn and weighed in one order, with most known values first: its conditional, and not that of the "
            f"mixture of {record['orders']} orders that `score` reports"
        )
    return lines


def _endings(spec: DataSpec) -> tuple[str, ...]:
    if isinstance(spec.x, Sound | Text):
        return (usual_ending(spec.x), ".npz")
    return picture_or_array(spec.is_image)


def _write(path: Path, arrays: dict[str, np.ndarray], spec: DataSpec) -> None:
    from simulacra.pictures import completions_picture, save_image

    if path.suffix == ".npz":
        write_arrays(path, arrays)
    elif isinstance(spec.x, Sound | Text):  # each item, then its completions
        rows = np.concatenate([arrays["x"][:, None], arrays["completed"]], axis=1)
        write_heard(path, rows.reshape(-1, *spec.shape), spec.x)
    else:
        save_image(completions_picture(arrays["x"], arrays["mask"], arrays["completed"], spec), path)


def main(argv: Sequence[str]) -> None:
    parse(Complete, "complete", argv)()
