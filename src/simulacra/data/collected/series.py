"""Series that others collected, read where $SIMULACRA_DATA holds them: `stocks`, `energy`, and the two stations `ett`.

stocks   3,685 days, 6 columns      split by blocks spread over time, as the level drifts
energy   19,735 steps of ten minutes, 28 columns      the same
ett      17,420 hours, 7 columns, at two stations      12 months, then 4, then 4, as forecasts are compared on it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from simulacra.data.collected import held
from simulacra.data.dataset import Card
from simulacra.data.series import Series, series_source, table_series
from simulacra.data.source import Source
from simulacra.data.windows import Run, spread

STOCKS = Card(
    title="Google share, daily: open, high, low, close, adjusted close, volume",
    source="https://github.com/jsyoon0823/TimeGAN, data/stock_data.csv",
    licence="not stated; public daily prices",
    reference="Yoon, Jarrett & van der Schaar, Time-series Generative Adversarial Networks, NeurIPS 2019",
)
ENERGY = Card(
    title="Appliances energy prediction: one house in Belgium, every ten minutes",
    source="https://archive.ics.uci.edu/dataset/374",
    licence="CC BY 4.0",
    reference="Candanedo, Feldheim & Deramaix, Data driven prediction models of energy use of appliances in a "
    "low-energy house, Energy and Buildings 2017",
)
ETT = Card(
    title="Electricity transformer temperature, hourly, with six power loads",
    source="https://github.com/zhouhaoyi/ETDataset, ETT-small",
    licence="CC BY-ND 4.0",
    reference="Zhou et al., Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting, "
    "AAAI 2021",
)
STATIONS = ("ETTh1", "ETTh2")
MONTH = 30 * 24  # hours
PARTS = (12 * MONTH, 4 * MONTH, 4 * MONTH)


def stocks_source(window: int) -> Source:
    """Raises DataError where the file is missing or damaged."""
    return _spread("stocks", STOCKS, held("stocks", "stock_data.csv.xz")[0], window)


def energy_source(window: int) -> Source:
    """Raises DataError where the file is missing or damaged."""
    return _spread("energy", ENERGY, held("energy", "energydata_complete.csv.xz")[0], window)


def ett_source(window: int, stations: Sequence[str] = STATIONS) -> Source:
    """One station, or both as the classes of a field; raises DataError where a file is missing or damaged."""
    files = (*held("ett", *(f"{station}.csv.xz" for station in stations)),)
    each = [table_series(path) for path in files]
    runs = tuple(Run(own.runs[0].values, 0, station) for own, station in zip(each, stations, strict=True))
    several = len(stations) > 1
    series = Series(runs, each[0].columns, each[0].clock, "station" if several else "")
    part = np.repeat([0, 1, 2], PARTS)[: series.ticks]
    part = np.concatenate([part, np.full(series.ticks - len(part), -1)])
    name = "ett" if several else stations[0].lower()
    return series_source(name, ETT, files, series, window, part)


def etth1_source(window: int) -> Source:
    return ett_source(window, STATIONS[:1])


def etth2_source(window: int) -> Source:
    return ett_source(window, STATIONS[1:])


def _spread(name: str, card: Card, path: Path, window: int) -> Source:
    series = table_series(path)
    return series_source(name, card, (path,), series, window, spread(series.ticks, window))
