"""`ggufrun list`: the models on this machine, those of other programs too. Names and sizes only: no file is read."""

import json
import sys

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.figures import gb, gb_of
from ggufrun.library.local import model_json, places
from ggufrun.store.hub_models import is_left_over
from ggufrun.store.stored import SOURCES, StoredModel

_HEADS = ("NAME", "QUANT", "SIZE", "WHERE", "CARD")


def show_list(*, as_json: bool) -> None:
    """Raises OptionError for a faulty card."""
    models = places().models()
    if as_json:
        print(json.dumps([*map(model_json, models)], indent=2))
    elif models:
        print_grid(_HEADS, [*map(_row, models)], right=(2,))
    else:
        print("There are no models here. Fetch one: ggufrun pull ministral-3-8b", file=sys.stderr)


def _row(model: StoredModel) -> list[Cell]:
    size: Cell = gb(model.size)
    if model.partial is not None:
        here, whole = model.partial
        lacks = "of no model" if is_left_over(model) else "not whole"
        size = (f"{gb_of(here, whole) if whole else gb(here)}, {lacks}", "yellow")
    return [model.name, model.quant or "-", size, SOURCES[model.source], model.card.name if model.card else ""]
