"""What a comparison is called: its model, and the id of its report, which is its folder's name, too"""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ggufrun.compare.results import Report
from ggufrun.compare.run.contender import Contender
from ggufrun.weights.folders import shard_of
from ggufrun.weights.quants import label_of

_NO_SLUG: Final = re.compile(r"[^A-Za-z0-9.]+")


def model_of(found: Sequence[Contender]) -> str:
    """What their files are called without the quant, if that is one name; else as the first calls itself."""
    bare = {_bare(each.path) for each in found}
    if len(bare) == 1:
        return bare.pop()
    names = (each.header.text("general.name") or each.found.name for each in found if each.found is not None)
    return next(names, found[0].path.stem)


def _bare(path: Path) -> str:
    shard, label = shard_of(path), label_of(path)
    stem = shard.stem if shard else path.stem
    at = stem.upper().rfind(label) if label else 0
    return (stem[:at] if at > 0 else stem).rstrip("-._ ")


def report_id(report: Report) -> str:
    """Date, time and title."""
    when = time.strftime("%Y%m%d-%H%M%S", time.localtime(report.created))
    return f"{when}-{_NO_SLUG.sub('-', report.title).strip('-.').lower()[:60]}"
