"""Ctrl-C as an event of the loop instead of an exception, for as long as a chat runs."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def on_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """Run `action` in the event loop at each SIGINT; the handler that was there before comes back afterwards.

    Without `loop.add_signal_handler`, which Windows' loops lack. Call it from the main thread.
    """
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
