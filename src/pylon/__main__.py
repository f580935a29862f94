"""`python -m pylon` is `pylon`."""

import sys

from pylon.cli import main

if __name__ == "__main__":
    sys.exit(main())
