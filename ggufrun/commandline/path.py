"""`ggufrun path`: where a model's file lies, for other programs."""

import os

from ggufrun.store.resolve import locate
from ggufrun.weights.folders import data_folder


def path(name: str) -> None:
    """Of a split set the first file. Raises InputError."""
    print(locate(name, data_folder(os.environ)))
