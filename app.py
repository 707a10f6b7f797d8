"""The hosted entry point: for now the same terminal chat as `make run`."""

import sys

from ggufrun.cli import main

if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["run", "demo"]
    main()
