"""What a comparison is called: its model, and the id of its report, which is its folder's name, too"""

import re
import time
from collections.abc import Sequence
from typing import Final

from ggufrun.compare.results import Report
from ggufrun.compare.run.contender import Contender, is_one_model

_NO_SLUG: Final = re.compile(r"[^A-Za-z0-9.]+")


def model_of(found: Sequence[Contender]) -> str:
    """What their files are called without the quant, if that is one name; else as the first calls itself, and how many
    others there are if they are no quants of it."""
    first, *others = dict.fromkeys(each.model for each in found)
    if not others:
        return first
    if not is_one_model(found):
        return f"{first} and {others[0] if len(others) == 1 else f'{len(others)} others'}"
    names = (each.header.text("general.name") or each.found.name for each in found if each.found is not None)
    return next(names, found[0].path.stem)


def report_id(report: Report) -> str:
    """Date, time and title."""
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(report.created))
    return f"{when}-{_NO_SLUG.sub('-', report.title).strip('-.').lower()[:60]}"
