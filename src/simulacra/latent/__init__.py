"""Latent-variable models, one idea per file."""

from simulacra.latent.autoencoder import Autoencoder
from simulacra.latent.ladder import LadderVAE
from simulacra.latent.m2 import M2
from simulacra.latent.objectives import ELBO, IWAE, DReG
from simulacra.latent.sampled_priors import Draws, Modes
from simulacra.latent.structured_prior import Structured
from simulacra.latent.vae import VAE
from simulacra.latent.vqvae import VQVAE, vqvae2
from simulacra.latent.wae import WAEMMD

__all__ = [
    "ELBO",
    "IWAE",
    "M2",
    "VAE",
    "VQVAE",
    "WAEMMD",
    "Autoencoder",
    "DReG",
    "Draws",
    "LadderVAE",
    "Modes",
    "Structured",
    "vqvae2",
]
