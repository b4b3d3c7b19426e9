"""Sequences: models of series in time, one idea per file."""

from simulacra.sequences.mdn_rnn import MDNRNN

__all__ = ["MDNRNN"]
