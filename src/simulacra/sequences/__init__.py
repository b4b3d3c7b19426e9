"""Sequences: models of series in time, one idea per file."""

from simulacra.sequences.mdn_rnn import MDNRNN
from simulacra.sequences.series_vae import SeriesVAE

__all__ = ["MDNRNN", "SeriesVAE"]
