"""Structured generation: a picture, a map, a sentence or a graph is given, and items of it are drawn.

Each preset is a record over the parts of the house: what reads the condition, where it enters, the critic, the losses.
"""

from simulacra.structured.cyclegan import CycleGAN
from simulacra.structured.grounded import Grounded
from simulacra.structured.objects import Boxes, Masks, Objects
from simulacra.structured.pix2pix import pix2pix
from simulacra.structured.puzzle_gan import puzzle_gan
from simulacra.structured.sg2im import sg2im
from simulacra.structured.spade import Spade
from simulacra.structured.srgan import srgan
from simulacra.structured.stargan import StarGAN
from simulacra.structured.text2image import text2image

__all__ = [
    "Boxes",
    "CycleGAN",
    "Grounded",
    "Masks",
    "Objects",
    "Spade",
    "StarGAN",
    "pix2pix",
    "puzzle_gan",
    "sg2im",
    "srgan",
    "text2image",
]
