"""`ggufrun list`: the models on this machine, those of other programs too. Names and sizes only: no file is read."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.store.places import Places
from ggufrun.store.stored import SOURCES, StoredModel
from ggufrun.userconfig import data_folder

_HEADS = ("NAME", "QUANT", "SIZE", "WHERE", "CARD")


def show_list(*, as_json: bool) -> None:
    """Raises OptionError for a faulty card."""
    models = Places.here(os.environ, data_folder(os.environ)).models()
    if as_json:
        print(json.dumps([*map(_plain, models)], indent=2))
    elif models:
        print_grid(_HEADS, [*map(_row, models)], right=(2,))
    else:
        print("There are no models here. Fetch one: ggufrun pull ministral-3-8b", file=sys.stderr)


def _row(model: StoredModel) -> list[Cell]:
    size: Cell = gigabytes(model.size)
    if model.partial is not None:
        total = f" of {gigabytes(model.partial[1])}" if model.partial[1] else ""
        size = (f"{size}{total}, not whole", "yellow")
    return [model.name, model.quant or "-", size, SOURCES[model.source], model.card.name if model.card else ""]


def _plain(model: StoredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "quant": model.quant or None,
        "bytes": model.size,
        "source": model.source,
        "card": model.card.name if model.card else None,
        "partial": {"bytes": model.partial[0], "of": model.partial[1] or None} if model.partial else None,
        "modified": datetime.fromtimestamp(model.modified, UTC).isoformat(timespec="seconds"),
        "files": [str(file.path) for file in model.files],
        "projectors": [str(file.path) for file in model.projectors],
    }


def gigabytes(count: int) -> str:
    """In GB as the hub has them, small files in MB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
