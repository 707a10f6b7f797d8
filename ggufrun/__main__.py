"""`python -m ggufrun`."""

import sys

from ggufrun.cli import main

sys.exit(main())
