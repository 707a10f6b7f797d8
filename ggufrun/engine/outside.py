"""What a model needs besides this machine, as the service sees it: looked for before its worker is started again."""

import asyncio
import itertools
from contextlib import suppress
from typing import Final, Protocol

from ggufrun.errors import EngineCrashed

_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # between two looks; the last one for all more


class EngineWaits(EngineCrashed):
    """Its process ended because something outside of this machine did, and starts again when that is back."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, restarting=False)
        self.hint = "It starts again by itself when that is back; send the request again then."
        self.retry_s = 2


class Outside(Protocol):
    def missing(self) -> str:
        """What is not there, as a part of a sentence ("the RPC worker 10.0.0.2:50052 is off"); "": nothing.

        May take seconds: called from a thread.
        """

    def blamed(self, ending: str) -> str:
        """How the worker ended, in better words where what is outside made it end; "" where that was something else."""


async def until_back(outside: Outside) -> None:
    """Look again and again, until nothing is missing."""
    for delay in itertools.chain(_DELAYS_S, itertools.repeat(_DELAYS_S[-1])):
        await asyncio.sleep(delay)
        with suppress(RuntimeError, OSError):  # no thread, no socket: the next time, perhaps
            if not await asyncio.to_thread(outside.missing):
                return
