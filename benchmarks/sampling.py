"""How much faster the cached sampler is than the naive one, and how far it is from the matrix products alone.

    OMP_NUM_THREADS=1 python benchmarks/sampling.py            # every model, default settings, batch 16
    python benchmarks/sampling.py --record sampling_all_threads
    python benchmarks/sampling.py made --batch 100

Both samplers draw from the same untrained weights with the same noise. The naive one runs the whole network for every
coordinate; where a network is run once a pixel (`pixelcnn++`, `pixelsnail`), the ratio counts one run a pixel. Naive
runs that would take longer than `--patience` seconds are timed on their first coordinates and scaled up, each
coordinate costing the same.

That both draw the same is asserted in float64 for every coordinate, by the law that x is the naive draw if and only if
drawing all x_i anew, given x and the same noise, changes nothing. What is timed is float32, where sums in another order
may round to the other side of the noise: `draws_that_differ` counts such coordinates.

`floor_ms` is the time that the matrix products of the cached walk take when they are run alone, with the same shapes
and as often; `over_floor` is the cached time in multiples of it; `mflops_per_pixel` are those of a whole forward pass,
masked weights counted, per pixel or dimension and item.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from record import conclude, parser
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from simulacra import registry
from simulacra.autoregressive.chain import Autoregressive
from simulacra.autoregressive.samplers import WholeSteps
from simulacra.data import DataSpec
from simulacra.fields import Levels

BINARY, COLOUR, VECTOR = (
    DataSpec(Levels((1, 28, 28), 2)),
    DataSpec(Levels((3, 32, 32), 256)),
    DataSpec(Levels((784,), 2)),
)
SETTINGS: dict[str, tuple[DataSpec, dict[str, Any]]] = {
    "nade": (VECTOR, {"hidden": 500}),
    "made": (VECTOR, {"hidden": 2000}),
    "pixelcnn": (BINARY, {}),
    "gated-pixelcnn": (BINARY, {}),
    "pixelcnn++": (COLOUR, {}),
    "pixelsnail": (BINARY, {}),
    "pixelrnn-row": (BINARY, {}),
    "pixelrnn-diagonal": (BINARY, {}),
    "multiscale-pixelrnn": (BINARY, {}),
}
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "convolution", "mv", "addmv", "dot")


class Walked(TorchDispatchMode):
    """Counts the operations of a walk, and the shapes of its matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.products = 0, Counter[tuple[Any, ...]]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        if func.overloadpacket.__name__.strip("_") in PRODUCTS:
            form = tuple((tuple(a.shape), a.stride()) if isinstance(a, torch.Tensor) else a for a in map(_frozen, args))
            self.products[(func.overloadpacket, form)] += 1
        return func(*args, **(kwargs or {}))

    def floor(self, device: torch.device) -> float:
        """Seconds for the products alone."""
        total = 0.0
        for (func, form), count in self.products.items():
            arguments = [_operand(a, device) for a in form]
            total += count * timed(lambda: func(*arguments), device, repeat=min(count, 50))  # noqa: B023
        return total


def _frozen(argument: Any) -> Any:
    return tuple(argument) if isinstance(argument, list) else argument


def _operand(form: Any, device: torch.device) -> Any:
    if isinstance(form, tuple) and len(form) == 2 and isinstance(form[0], tuple):
        shape, stride = form
        extent = 1 + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
        return torch.randn(extent, device=device).as_strided(shape, stride)
    return list(form) if isinstance(form, tuple) else form


def timed(call: Callable[[], Any], device: torch.device, repeat: int = 1) -> float:
    """Seconds of one call: the median of three rounds of `repeat`."""
    rounds = []
    for _ in range(3):
        _wait(device)
        began = time.perf_counter()
        for _ in range(repeat):
            call()
        _wait(device)
        rounds.append((time.perf_counter() - began) / repeat)
    return statistics.median(rounds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def measure(name: str, batch: int, patience: float, device: torch.device) -> dict[str, Any]:
    spec, arguments = SETTINGS[name]
    torch.manual_seed(0)
    model = registry.build(name, spec, **arguments).to(device).eval().requires_grad_(False)
    assert isinstance(model, Autoregressive)
    exact = differing(copy.deepcopy(model).double(), batch)
    assert exact == 0, f"{name}: {exact} draws of the cached sampler are not those of the naive one"

    def cached() -> torch.Tensor:
        return model.sample(batch, generator=noise_of(model))

    x, seconds = cached(), timed(cached, device)
    per_coordinate, coordinates = naive(model, x, patience)
    runs = spec.dims if name not in ("pixelcnn++", "pixelsnail") else spec.dims // spec.shape[0]
    with Walked() as walked:
        cached()
    with FlopCounterMode(display=False) as counter:
        model.conditionals(x)
    floor, pixels = walked.floor(device), spec.dims // (spec.shape[0] if spec.is_image else 1)
    figures = {
        "data": spec.describe(),
        "batch": batch,
        "parameters": sum(p.numel() for p in model.parameters()),
        "cached_seconds": seconds,
        "naive_seconds": per_coordinate * runs,
        "naive_coordinates_run": coordinates,
        "ratio": per_coordinate * runs / seconds,
        "items_per_second": batch / seconds,
        "draws_that_differ": differing(model, batch),
        "draws_that_differ_in_float64": exact,
        "mflops_per_pixel": counter.get_total_flops() / batch / pixels / 1e6,
        "operations_per_pixel": walked.operations / pixels,
        "microseconds_per_operation": 1e6 * seconds / walked.operations,
        "floor_ms": 1e3 * floor,
        "over_floor": seconds / floor,
    }
    print(name, {key: value if isinstance(value, str | int) else round(value, 3) for key, value in figures.items()})
    return figures


def noise_of(model: Autoregressive) -> torch.Generator:
    return torch.Generator(model.device).manual_seed(1)


def differing(model: Autoregressive, batch: int) -> int:
    """How many coordinates of a cached draw the naive sampler would draw otherwise, each given those before it."""
    x = model.sample(batch, generator=noise_of(model))
    noise = torch.rand(x.shape, generator=noise_of(model), device=model.device)
    return int((model.conditionals(x).quantile(noise) != x).sum())


def naive(model: Autoregressive, x: torch.Tensor, patience: float) -> tuple[float, int]:
    """Seconds for one coordinate of the naive sampler, which walks along x, and how many were run."""
    order = model.order()
    noise = torch.rand(x.shape, generator=noise_of(model), device=x.device)
    steps, drawn, wanted = WholeSteps(model, len(x), {}, order), noise.flatten(1), x.flatten(1)
    began, done = time.perf_counter(), 0
    for place in order.tolist():
        steps.conditional().quantile(drawn[:, place])
        steps.append(wanted[:, place])
        done += 1
        if time.perf_counter() - began > patience:
            break
    _wait(x.device)
    return (time.perf_counter() - began) / done, done


def main() -> None:
    options = parser(__doc__)
    options.add_argument("models", nargs="*", help="by default all of them")
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--patience", type=float, default=60.0, help="seconds for one naive run")
    options.add_argument("--device", default="cpu")
    options.add_argument("--record", default="sampling", metavar="NAME", help="write the figures to results/NAME.json")
    args = options.parse_args()
    device, patience = torch.device(args.device), 2.0 if args.smoke else args.patience
    figures = {name: measure(name, args.batch, patience, device) for name in args.models or SETTINGS}
    suffix = "" if not args.models and args.batch == 16 else f"_{'_'.join(args.models)}_{args.batch}"
    conclude(
        f"{args.record}{suffix}",
        figures,
        smoke=args.smoke,
        seeds=[0, 1],
        notes="seed 0 of the weights, seed 1 of the noise; cached: median of three draws; naive_seconds: of a whole "
        "draw, scaled up from naive_coordinates_run",
    )


if __name__ == "__main__":
    main()
