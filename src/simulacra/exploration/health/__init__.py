"""Whether a model works, whatever its family: figures of its run, its codes or its game, and one verdict on them."""

from simulacra.exploration.health.examined import health
from simulacra.exploration.health.findings import Diagnosis, Finding, Health
from simulacra.exploration.health.picture import health_picture

__all__ = ["Diagnosis", "Finding", "Health", "health", "health_picture"]
