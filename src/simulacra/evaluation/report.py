"""A report that is one HTML file: no script, nothing to fetch, readable on a phone."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

from simulacra.data import Dataset
from simulacra.evaluation.measure import Measure
from simulacra.files import write_atomically
from simulacra.pictures import picture, png
from simulacra.randomness import some_of

SHOWN = 64  # real items

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; white-space: nowrap; border-bottom: 1px solid #8884; }
img { max-width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px; }
svg { width: 100%; max-width: 36rem; height: auto; } .quiet { opacity: .75; font-size: .9rem; }
"""

_READING = """<p><b>bits/dim</b>: how well held-out items are explained, lower is better. <i>exact</i>: the likelihood
itself; <i>bound</i>: the truth is at most this high; <i>none</i>: the model assigns no probability.
<b>FD / floor</b>: distance of the samples from held-out items, in multiples of what real items score (1 is perfect).
<b>position</b>: where that distance lies between real items (0) and independent pixels (1).
<b>near-copies</b>: share of samples that lie suspiciously nearer to a training item than to any other real one; 1 % of
fresh real items do on average, much more means memorising.</p>"""


@dataclass(frozen=True)
class Chapter:
    """What the report says of one model."""

    name: str
    paper: str
    pictures: Mapping[str, Image]
    measures: Mapping[str, Measure]
    curve: Sequence[Mapping[str, Any]]


def write_report(path: Path, data: Dataset, rows: Sequence[Mapping[str, str]], chapters: Sequence[Chapter]) -> None:
    """Write the report of some models on one data set."""
    real = picture(np.asarray(data.test.x[some_of(len(data.test), SHOWN, 0, "report")]), data.spec)
    counts = f"{len(data.train):,} items to learn from, figures on {len(data.test):,} others"
    source = f"Data: {data.card.source}; {data.card.licence}. Fingerprint {data.fingerprint[:16]}."
    parts = [
        f"<h1>{escape(data.card.title)}, learnt three ways</h1>",
        f"<p>{escape(data.spec.describe())}: {counts}.</p>",
        _table(rows),
        _READING,
        f"<h3>Real items</h3>{_image(real, 'held-out items')}",
        *(_chapter(chapter) for chapter in chapters),
        f"<p class=quiet>{escape(source)}</p>",
    ]
    head = "<meta charset=utf-8><meta name=viewport content='width=device-width'><title>Simulacra</title>"
    head += f"<style>{_STYLE}</style>"
    write_atomically(
        path, f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>".encode()
    )


def _chapter(chapter: Chapter) -> str:
    pictures = [f"<h3>{escape(title)}</h3>{_image(image, title)}" for title, image in chapter.pictures.items()]
    rows = [
        {
            "metric": name,
            "value": f"{measure.value:.4g}",
            "95 %": f"{measure.low:.4g} to {measure.high:.4g}",
            "floor": "" if measure.floor is None else f"{measure.floor:.4g}",
            "kind": measure.kind,
            "n": str(measure.n),
            "protocol": measure.protocol,
        }
        for name, measure in chapter.measures.items()
    ]
    title = f"<h2>{escape(chapter.name)}</h2><p class=quiet>{escape(chapter.paper)}</p>"
    return title + "".join(pictures) + _curve(chapter.curve) + "<h3>All figures</h3>" + _table(rows)


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _image(image: Image, title: str) -> str:
    return (
        f"<img alt='{escape(title, quote=True)}' src='data:image/png;base64,{base64.b64encode(png(image)).decode()}'>"
    )


def _curve(entries: Sequence[Mapping[str, Any]], width: int = 560, height: int = 180) -> str:
    """Validation bits/dim over the steps as an inline drawing; nothing for a model without a likelihood."""
    points = [(entry["step"], entry["valid_bits_per_dim"]) for entry in entries if "valid_bits_per_dim" in entry]
    if len(points) < 2:
        return ""
    steps, bits = zip(*points, strict=True)
    low, high = min(bits), min(max(bits), min(bits) * 1.5)  # the first steps would hide all others
    span = max(high - low, 1e-9)

    def at(step: float, value: float) -> str:
        return (
            f"{50 + (width - 60) * step / max(steps):.1f},{10 + (height - 40) * (high - min(value, high)) / span:.1f}"
        )

    line = " ".join(at(step, value) for step, value in points)
    labels = (
        f"<text x=0 y=16>{high:.2f}</text><text x=0 y={height - 26}>{low:.2f}</text>"
        f"<text x=50 y={height - 6}>step 0</text><text x={width - 70} y={height - 6}>{max(steps):,}</text>"
    )
    drawing = f"<polyline points='{line}' fill=none stroke='#3b6fd4' stroke-width=2 />"
    inside = f"<g font-size='12' fill='currentColor'>{drawing}{labels}</g>"
    return f"<h3>Validation bits/dim while it learnt</h3><svg viewBox='0 0 {width} {height}'>{inside}</svg>"
