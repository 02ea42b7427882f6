"""Grade the course from a bare checkout: ``python grade.py --help``."""

import sys

from torchgrade.cli import main

if __name__ == "__main__":
    sys.exit(main())
