"""Protocols over many fits: what a model is worth to somebody with few labels."""

from simulacra.studies.finetune import Finetuning, finetune

__all__ = ["Finetuning", "finetune"]
