"""Which keys a server takes, asked anew after a second: one that is revoked is no good for longer than that."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

Standing = Literal["good", "bad", "silent"]  # silent: the server does not answer, and never has for this key

KNOWN_S: Final = 1.0
_MOST: Final = 1000  # wrong ones, that somebody tries


@dataclass(slots=True)
class _Known:
    asking: "asyncio.Task[Standing]"
    standing: Standing = "silent"
    until: float = 0.0


class KnownKeys:
    """`ask` gives the status of a reply to a request with that key ("": none), 0 where there is no reply."""

    def __init__(self, ask: Callable[[str], Awaitable[int]]) -> None:
        self._ask = ask
        self._known: dict[str, _Known] = {}

    async def standing(self, key: str) -> Standing:
        """Whoever asks at the same time waits for the same reply. While the server is silent, it is as it was."""
        known = self._known.get(key)
        if known is not None and known.asking.done() and time.monotonic() < known.until:
            return known.standing
        if known is None or known.asking.done():
            before: Standing = "silent" if known is None else known.standing
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[key] = _Known(asyncio.create_task(self._asked(key, before)))
        known.standing = await asyncio.shield(known.asking)
        known.until = time.monotonic() + KNOWN_S
        return known.standing

    async def _asked(self, key: str, before: Standing) -> Standing:
        status = await self._ask(key)
        if status in (401, 403):
            return "bad"
        return "good" if 200 <= status < 300 else before
