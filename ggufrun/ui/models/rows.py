"""The models on this machine, each with what the server says of it: local files and served models, joined. Values only.

The API names neither's counterpart: they are joined by file name and quant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

Json = dict[str, Any]

LEFT_OVER: Final = ":left-over"  # behind a repository's name: files of no model of it


@dataclass(frozen=True, slots=True)
class Row:
    """`served` is the name that requests use; "": it is not served. `of`: what a partial one should have."""

    name: str
    quant: str = ""
    bytes: int = 0
    source: str = ""  # "": it lies in no store
    partial: bool = False
    of: int | None = None
    sees: bool = False
    served: str = ""
    state: str = ""
    progress: float = 0.0
    error: str = ""

    @property
    def whole(self) -> bool:
        return not self.partial and not self.name.endswith(LEFT_OVER)

    @property
    def resumable(self) -> bool:
        return self.partial and self.source == "hub" and not self.name.endswith(LEFT_OVER)


def rows(local: Sequence[Json], served: Sequence[Json]) -> list[Row]:
    """Whole ones first, then those in part, then what is served from elsewhere."""
    free = list(served)
    found = []
    for model in sorted(local, key=lambda each: (each["partial"] is not None, str(each["name"]).lower())):
        mine = _served_as(model, free)
        if mine is not None:
            free.remove(mine)
        found.append(_row(model, mine))
    return [*found, *(_row(_elsewhere(each), each) for each in free)]


def _served_as(model: Json, served: Sequence[Json]) -> Json | None:
    """Of several that it may be the one whose name and quant are the nearest."""
    if model["partial"] is not None:
        return None
    names = {PurePath(file).name for file in model["files"]}
    may_be = [each for each in served if each["file"] in names and _may_be(_quant(model), _quant(each))]
    called = str(model["name"]).lower()
    may_be.sort(key=lambda each: not called.startswith(str(each["name"]).partition(":")[0].lower()))
    return next(iter(may_be), None)


def _quant(model: Json) -> str:
    return str(model["quant"] or "").lower()


def _may_be(one: str, other: str) -> bool:
    """A file's name need not tell its quant, where its header does."""
    return one == other or "" in (one, other)


def _elsewhere(served: Json) -> Json:
    return {"name": served["name"], "quant": served["quant"], "bytes": 0, "source": "", "partial": None}


def _row(model: Json, served: Json | None) -> Row:
    partial = model["partial"]
    return Row(
        name=model["name"],
        quant=model["quant"] or "",
        bytes=model["bytes"],
        source=model["source"],
        partial=partial is not None,
        of=partial["of"] if partial else None,
        sees=bool(model.get("projectors")),
        served=served["name"] if served else "",
        state=served["state"] if served else "",
        progress=served["progress"] if served else 0.0,
        error=served["error"] if served else "",
    )
