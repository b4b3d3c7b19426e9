"""Latent-variable models, one idea per file."""

from simulacra.latent.autoencoder import Autoencoder
from simulacra.latent.ladder import LadderVAE
from simulacra.latent.m2 import M2
from simulacra.latent.sampled_priors import modal_prior, sampled_prior
from simulacra.latent.vae import VAE
from simulacra.latent.vqvae import VQVAE, VQVAE2
from simulacra.latent.wae import WAEMMD

__all__ = ["M2", "VAE", "VQVAE", "VQVAE2", "WAEMMD", "Autoencoder", "LadderVAE", "modal_prior", "sampled_prior"]
