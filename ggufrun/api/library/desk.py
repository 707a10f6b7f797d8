"""The library, and what compares models, with their jobs and their threads, as one server has them."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import Request

from ggufrun.api.calls.event_stream import unless_left
from ggufrun.api.compare.comparer import Comparer
from ggufrun.api.library.beside import Beside
from ggufrun.api.library.jobs import Jobs
from ggufrun.api.library.library import Library
from ggufrun.api.named_file import named_file

Answer = TypeVar("Answer")


class Desk:
    """Where the routes ask. Close it when the server has ended: jobs that run are stopped then."""

    def __init__(self, library: Library, comparer: Comparer | None = None) -> None:
        """Without a comparer nothing can be compared."""
        self.library, self.comparer = library, comparer
        self.jobs = Jobs()
        self._beside = Beside()

    async def ask(self, request: Request, work: Callable[[], Answer]) -> Answer:
        """What a blocking call returns or raises. ClientLeft where nobody waits for it any more."""
        with named_file():
            return await unless_left(request.receive, self._beside.do(work))

    def close(self) -> None:
        self.jobs.close()
