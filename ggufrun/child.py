"""Python processes that are started beside this one: from where they import. What they do is their modules'."""

import os
import sys


def child_environment() -> dict[str, str]:
    """A child imports from where this process does, as multiprocessing's do: a checkout works uninstalled."""
    path = os.pathsep.join(dict.fromkeys(entry or os.getcwd() for entry in sys.path))
    return {**os.environ, "PYTHONPATH": path}
