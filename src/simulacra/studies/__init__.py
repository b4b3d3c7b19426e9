"""Protocols over many fits, and what a fitted model is good for: classification from few labels, and planning."""

from simulacra.studies.finetune import Finetuning, finetune
from simulacra.studies.planning import CEM, Course, Nothing, Shooting, control, hanging, learned, linear, upright

__all__ = [
    "CEM",
    "Course",
    "Finetuning",
    "Nothing",
    "Shooting",
    "control",
    "finetune",
    "hanging",
    "learned",
    "linear",
    "upright",
]
