"""`python -m simulacra` is `simulacra`."""

import sys

from simulacra.cli import main

if __name__ == "__main__":
    sys.exit(main())
