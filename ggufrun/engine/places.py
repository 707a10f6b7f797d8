"""Places in a service's queue, all of them taken before the first request: several requests come in together or not."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from ggufrun.engine.generation import Generation, GenerationService
from ggufrun.engine.types import GenerationRequest


class Keeper(GenerationService, Protocol):
    """What keeps the places."""

    def give_back(self, places: int) -> None: ...


class Places:
    """Implements `GenerationService`; once its places are used up, with those that are free for all.

    Leaving it as a context manager gives back the places that were not used.
    """

    def __init__(self, keeper: Keeper, count: int) -> None:
        """`count` places that the keeper has put aside."""
        self._keeper, self._left = keeper, count

    @property
    def context(self) -> int:
        return self._keeper.context

    @property
    def capacity(self) -> int:
        return self._keeper.capacity

    def next_id(self) -> int:
        return self._keeper.next_id()

    def submit(self, request: GenerationRequest) -> Generation:
        self._spend(1)
        return self._keeper.submit(request)

    def reserve(self, count: int) -> AbstractContextManager[GenerationService]:
        """Of these places as many as there are."""
        self._spend(count)
        return self._keeper.reserve(count)

    def __enter__(self) -> "Places":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spend(self._left)

    def _spend(self, count: int) -> None:
        """Nobody else can take them before the caller does: all of this is one step of the event loop."""
        spent = min(count, self._left)
        self._left -= spent
        self._keeper.give_back(spent)
