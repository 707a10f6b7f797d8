"""The hosted entry point: the chat page, as `make run` and `ggufrun` open it."""

import sys

from ggufrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
