"""The library as the routes see it: models on this machine and on the hub. `ggufrun.library` implements it.

All of it blocks, some of it for minutes: the routes call it from threads. What it answers is JSON; `replies` has it.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ggufrun.settings import EngineOverrides, ModelOverrides

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be planned: a model, the knobs that are pinned, and a machine that is not this one (--gpu, --ram)."""

    spec: str
    revision: str | None = None
    pinned: ModelOverrides = field(default_factory=ModelOverrides)
    engine: EngineOverrides = field(default_factory=EngineOverrides)
    gpu: str | None = None
    ram: str | None = None
    mmproj: bool = True


class Report(Protocol):
    """Where a job tells how it goes on, from any thread."""

    def note(self, sentence: str) -> None: ...

    def file(self, name: str, state: str, done: int, size: int) -> None:
        """How far a file is, in bytes. `state`: coming, waiting, fetching, checking, here; of a check: reading."""


class Library(Protocol):
    """Raises `GgufrunError` for what cannot be."""

    def local(self) -> list[Json]: ...

    def cards(self) -> list[Json]: ...

    def search(self, words: str, limit: int) -> list[Json]: ...

    def show(self, wanted: Wanted) -> Json: ...

    def fit(self, wanted: Wanted) -> Json: ...

    def machine(self) -> Json: ...

    def remove(self, name: str, in_use: Collection[str]) -> Json:
        """`in_use`: paths of files that are not to go."""

    def pull(self, spec: str, revision: str | None, mmproj: bool, report: Report, stop: threading.Event) -> Json:
        """Returns when all is here, or with an error soon after `stop` is set."""

    def verify(self, names: Sequence[str], report: Report, stop: threading.Event) -> Json:
        """Without names all of ours. Returns with an error soon after `stop` is set."""
