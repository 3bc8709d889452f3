"""`python -m detectors.cli`: the command line where no `curvesense` is on the path."""

import sys

from detectors.cli import main

if __name__ == "__main__":
    sys.exit(main())
