"""The models on this machine, each with what the server says of it: local files and served models. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.ui.served_here import served_as

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
    chats: bool = True
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
        mine = served_as(model, free)
        if mine is not None:
            free.remove(mine)
        found.append(_row(model, mine))
    return [*found, *(_row(_elsewhere(each), each) for each in free)]


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
        sees=bool(model.get("projectors") or (served or {}).get("vision")),
        served=served["name"] if served else "",
        state=served["state"] if served else "",
        chats=bool(served.get("completion_chat", True)) if served else True,
        progress=served["progress"] if served else 0.0,
        error=served["error"] if served else "",
    )
