"""Latent-variable models, one idea per file."""

from simulacra.latent.ladder import LadderVAE
from simulacra.latent.vae import VAE

__all__ = ["VAE", "LadderVAE"]
