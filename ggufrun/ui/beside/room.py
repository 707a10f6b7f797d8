"""Whether models fit in memory together: what they need, beside what is free. No HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ggufrun.figures import gib

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """`what` has `free` bytes left for more models."""

    free: int
    what: str

    @classmethod
    def of(cls, machine: Json, models: Sequence[Json]) -> "Room":
        """From /ggufrun/v1/library/machine and /ggufrun/v1/models.

        Cards with memory of their own decide where there are any: in RAM the models would run, but tell nothing of
        their speed. Mapped weights count as free although they are in use, so what all could hold is a limit too.
        """
        cards = [each for each in machine.get("gpus") or () if not each.get("shares_ram")]
        places, what = (cards, "GPU memory") if cards else ([machine.get("ram") or {}], "memory")
        loaded = sum(int(model.get("memory_bytes") or 0) for model in models)
        free, whole = (sum(_left(place, of) for place in places) for of in ("free_bytes", "total_bytes"))
        return cls(max(min(free, whole - loaded), 0), what)

    def holds(self, needed: int) -> bool:
        return needed <= self.free

    def compared(self, needed: int) -> str:
        return f"they need {gib(needed)} and {gib(self.free)} of {self.what} is free"


def to_load(names: Sequence[str], models: Sequence[Json]) -> int:
    """Bytes that these models will take which are not there yet. One that runs twice is there once."""
    return sum(
        int(each.get("needs_bytes") or 0) for each in models if each["name"] in names and each.get("state") != "ready"
    )


def _left(place: Json, of: str) -> int:
    """A server that does not say it has nothing to spare: then the models go one after the other."""
    return int(place.get(of) or 0) - int(place.get("margin_bytes") or 0)
