"""Ends a program's event loop in order when SIGTERM comes, also while nobody listens to it yet."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`. On SIGTERM `main` is cancelled, as on Ctrl-C, and then this process dies of it, as all do.

    A server that listens to it has its own way meanwhile. A second SIGTERM does not wait.
    """
    told = False

    async def watched() -> None:
        nonlocal told
        loop, begun = asyncio.get_running_loop(), asyncio.ensure_future(main)

        def end(_signal: int, _frame: FrameType | None) -> None:
            nonlocal told
            if told:
                _die()
            told = True
            loop.call_soon_threadsafe(begun.cancel)

        before = signal.signal(signal.SIGTERM, end)
        try:
            await begun
        finally:
            signal.signal(signal.SIGTERM, before)

    try:
        asyncio.run(watched())
    except asyncio.CancelledError:
        if not told:
            raise
    if told:
        _die()


def _die() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
