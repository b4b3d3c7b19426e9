"""Sequences: series in time, video, and where people go, given where they come from.

mdn-rnn             an exact density of every next step of a series, given all those before it
series-vae          a series as a code, by a recurrent encoder and decoder
timegan             a game in the latent series of an autoencoder, with supervised steps
social-gan          a game with one code for each scene, and variety among several forecasts
recurrent-mixture   an exact density of every next step of people who walk, given all those before it
motion-mixture      an exact density of clips: each frame is the one before, moved by one of some motions, and changed
videogan            a game over clips: frames of one image generator along a path, and critics of frames and of clips
"""

from simulacra.sequences.mdn_rnn import MDNRNN
from simulacra.sequences.motion_mixture import MotionMixture
from simulacra.sequences.recurrent_mixture import RecurrentMixture
from simulacra.sequences.series_vae import SeriesVAE
from simulacra.sequences.social_gan import SocialGAN
from simulacra.sequences.timegan import TimeGAN
from simulacra.sequences.videogan import videogan
from simulacra.sequences.walker import Walker

__all__ = ["MDNRNN", "MotionMixture", "RecurrentMixture", "SeriesVAE", "SocialGAN", "TimeGAN", "Walker", "videogan"]
