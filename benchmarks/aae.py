"""Autoencoders matched to priors of which only draws are needed: is every mode used, and by which class, on MNIST.

Fitted without labels to a Gaussian (8 dimensions), a ring of ten Gaussians, a swiss roll and a prior defined here (all
three of the plane); and with labels to the first three. For each:

    mmd              between codes of test items and draws of the prior (of the item's class), 0 where they agree
    classes          share of each class among 1,000 samples, as a 3-nearest-neighbour classifier judges them
    agreement        with labels: share of 1,000 samples, 100 a class, that it assigns to the class conditioned on; on
                     real test items it is `real_agreement`
    occupancy        with a prior of ten modes: share of test items whose code lies in each; modes_used: how many hold
                     at least 1 %; total_variation: from a tenth in each (without labels) or the classes' own shares
    own_mode         with labels: share of test items whose code lies in the mode of their class
    purity           without labels: share of test items that are of the most frequent class of their mode

A code lies in the mode of the nearest of 5,000 draws. The codes of the plane, coloured by class, and samples are drawn
in docs/pictures/aae.png (wae-mmd.png). Three minutes of training a fit, seven fits:

    python benchmarks/aae.py [--model wae-mmd] [--minutes 3] [--data mnist]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from record import conclude, parser
from sklearn.neighbors import KNeighborsClassifier

import simulacra as sim
from simulacra.data import Dataset
from simulacra.latent import Draws
from simulacra.latent.wae import mmd
from simulacra.model import Model
from simulacra.parts import part
from simulacra.pictures import beside, picture, save_image

FITS = [  # prior, dimensions, whether with labels
    ("gaussian", 8, False),
    ("ring", 2, False),
    ("swiss-roll", 2, False),
    ("square", 2, False),
    ("gaussian", 8, True),
    ("ring", 2, True),
    ("swiss-roll", 2, True),
]
LIKELIHOOD = "continuous-bernoulli"  # the cross-entropy of the paper, with its constant
JUDGED_BY, SAMPLES, USED, MATCHED = 10_000, 1000, 0.01, 2000
SIDE = 150  # pixels: height of a picture
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
COLOURS = [
    (31, 119, 180),
    (255, 127, 14),
    (44, 160, 44),
    (214, 39, 40),
    (148, 103, 189),
    (140, 86, 75),
    (227, 119, 194),
    (127, 127, 127),
    (188, 189, 34),
    (23, 190, 207),
]


@part("sampled-prior", "square")
class Square(Draws):
    """Uniform between -2 and 2 in every dimension."""

    def draw(self, n: int, latent: int, generator: torch.Generator | None) -> torch.Tensor:
        return 4 * torch.rand(n, latent, generator=generator) - 2


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--model", choices=["aae", "wae-mmd"], default="aae")
    options.add_argument("--minutes", type=float, default=3.0, help="of training, for each fit")
    options.add_argument("--data", default="mnist")
    args = options.parse_args()
    data = sim.data.load(args.data)
    train, label = data.train.x[:JUDGED_BY], data.train.condition["label"][:JUDGED_BY]
    classifier = KNeighborsClassifier(3).fit(train.reshape(len(train), -1), label)
    test = data.test.x[:SAMPLES].reshape(-1, data.spec.dims)
    figures: dict[str, Any] = {"real_agreement": classifier.score(test, data.test.condition["label"][:SAMPLES])}
    pictures: dict[str, Image.Image] = {}
    for prior, latent, supervised in FITS:
        name = f"{prior}{', labels' if supervised else ''}"
        fit_options: dict[str, Any] = {"steps": 20} if args.smoke else {"minutes": args.minutes}
        fit_options |= {"condition": "label"} if supervised else {}
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            model = sim.fit(args.model, data, run, prior=prior, latent=latent, likelihood=LIKELIHOOD, **fit_options)
        figures[name], codes = measured(model, data, classifier)
        print(name, figures[name], flush=True)
        pictures[name] = look(model, codes, data)
    rows = [
        {name: image for name, image in pictures.items() if ("labels" in name) == with_labels}
        for with_labels in (False, True)
    ]
    whole = joined([beside(row, size=14) for row in rows], down=True).quantize(128)
    print(f"picture: {whole.width}×{whole.height}")
    if not args.smoke:
        save_image(whole, PICTURES / f"{args.model}.png")
    conclude(
        args.model,
        figures,
        smoke=args.smoke,
        data={"name": data.name, "split": "test", "n": len(data.test), "fingerprint": data.fingerprint},
        seeds=[0],
    )


def measured(model: Model, data: Dataset, classifier: KNeighborsClassifier) -> tuple[dict[str, Any], np.ndarray]:
    """Its figures, and the codes of the test items."""
    codes, label = sim.encode(model, data)["mean"], data.test.condition["label"]
    condition = {"label": np.arange(SAMPLES) % 10} if model.spec.condition else {}
    judged = classifier.predict(sim.sample(model, SAMPLES, condition=condition).reshape(SAMPLES, -1))
    figures: dict[str, Any] = {"mmd": gap(model, codes, label), "classes": shares(judged)}
    if condition:
        figures["agreement"] = float((judged == condition["label"]).mean())
    if model.codes.modal:
        figures |= modes(model, codes, label)
    return figures, codes


def gap(model: Model, codes: np.ndarray, label: np.ndarray) -> float:
    """MMD² of test codes and of as many draws of the prior."""
    z, kinds = torch.from_numpy(codes[:MATCHED]), torch.from_numpy(np.array(label[:MATCHED]))
    condition = {"label": kinds} if model.spec.condition else {}
    w, other = (model.prior(len(z), condition).sample(torch.Generator().manual_seed(seed)) for seed in (0, 1))
    width = float((w - other).square().sum(1).mean())  # two draws of the same class
    return float(mmd(z, w, width, kinds if condition else None))


def modes(model: Model, codes: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """How the codes of test items are spread over the ten modes, and over classes within them."""
    mode = torch.arange(10).repeat_interleave(500)
    p = model.codes.codes(mode, 10, 2, torch.zeros(1))
    own = KNeighborsClassifier(1).fit(p.sample(torch.Generator().manual_seed(0)), mode).predict(codes)
    table = np.stack([np.bincount(label[own == k], minlength=10) for k in range(10)])  # modes × classes
    occupancy, fair = shares(own), np.full(10, 0.1)
    found = {"occupancy": occupancy, "modes_used": int((np.array(occupancy) >= USED).sum())}
    if model.spec.condition:
        fair = np.array(shares(label))
        found["own_mode"] = float(np.trace(table) / len(label))
    else:
        found["purity"] = float(table.max(axis=1).sum() / len(label))
    return found | {"total_variation": float(np.abs(occupancy - fair).sum() / 2)}


def shares(values: np.ndarray) -> list[float]:
    return (np.bincount(values, minlength=10) / len(values)).tolist()


def scatter(codes: np.ndarray, label: np.ndarray, side: int = SIDE, shown: int = 2000) -> Image.Image:
    """Codes of the plane within [-3.5, 3.5]², coloured by class."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for (x, y), kind in zip((codes[:shown] / 3.5 + 1) / 2 * side, label[:shown], strict=True):
        draw.ellipse((x - 1, side - y - 1, x + 1, side - y + 1), fill=COLOURS[kind])
    return image


def look(model: Model, codes: np.ndarray, data: Dataset) -> Image.Image:
    """Codes of test items, where they lie in the plane, beside samples; with labels a column is a class."""
    samples = picture(sim.sample(model, 50), data.spec, columns=10)
    samples = samples.resize((SIDE * samples.width // samples.height, SIDE), Image.Resampling.LANCZOS)
    return joined([scatter(codes, data.test.condition["label"]), samples]) if codes.shape[1] == 2 else samples


def joined(images: list[Image.Image], down: bool = False) -> Image.Image:
    """Side by side, or one below the other."""
    array = [np.asarray(image) for image in images]
    axis, across = (0, 1) if down else (1, 0)
    widest = max(each.shape[across] for each in array)
    pads = [[(0, 0), (0, 0), (0, 0)] for _ in array]
    for pad, each in zip(pads, array, strict=True):
        pad[across] = (0, widest - each.shape[across])
    padded = [np.pad(each, pad, constant_values=255) for each, pad in zip(array, pads, strict=True)]
    return Image.fromarray(np.concatenate(padded, axis))


if __name__ == "__main__":
    main()
