"""Sequences: forecasts of where people go, given where they come from.

social-gan          a game with one code for each scene, and variety among several forecasts
recurrent-mixture   an exact density of every next step, given all those before it
"""

from simulacra.sequences.recurrent_mixture import RecurrentMixture
from simulacra.sequences.social_gan import SocialGAN
from simulacra.sequences.walker import Walker

__all__ = ["RecurrentMixture", "SocialGAN", "Walker"]
