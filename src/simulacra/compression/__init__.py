"""Items as bytes and back, without loss: -log2 p(x) bits each by a chain of conditionals, -ELBO / ln 2 by a bound."""

from simulacra.compression.codec import compress, decompress
from simulacra.compression.files import compress_file, decompress_file

__all__ = ["compress", "compress_file", "decompress", "decompress_file"]
