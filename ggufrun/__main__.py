"""`python -m ggufrun`."""

from ggufrun.cli import main

main()
