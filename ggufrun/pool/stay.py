"""One stay of a model in memory, from the wish for it to the end of its process."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Literal

from ggufrun.chat.types import ChatModel, ModelInfo
from ggufrun.errors import EngineClosed, GgufrunError, OutOfMemory
from ggufrun.pool.offer import Opener

_log = logging.getLogger(__name__)
_RETRY_S: Final = (1, 60)  # the least and the most that a client is told to wait
_UNKNOWN_S: Final = 5  # said where loading has not come far enough to tell


class Superseded(Exception):
    """The model is open after all: an earlier stay takes its users again."""


class Stay:
    """Its task alone opens and closes the model. Who waits for it or uses it is a user: it is closed when none is left.

    `enter` returns when the model may be loaded, `squeeze` says whether it could free memory for a second try, and
    `changed` hears of every change that somebody may be waiting for. One that is not `needed` is there only for those
    who take what is spare.
    """

    def __init__(
        self,
        info: ModelInfo,
        open: Opener,
        *,
        ttl_s: float,
        enter: Callable[["Stay"], Awaitable[None]],
        squeeze: Callable[["Stay"], Awaitable[bool]],
        changed: Callable[["Stay"], None],
        weightless: bool = False,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.info = info  # as planned, then the engine's
        self.weightless = weightless
        self.state: Literal["waiting", "loading", "ready"] = "waiting"
        self.progress = 0.0
        self.users = 0
        self.closing = False  # takes no new users
        self.ordered = False  # somebody wished for it who does not wait for it
        self.logged = True  # why it cannot be loaded; else only who waits for it hears that
        self.needed = False  # somebody has wished for it who does not only take what is spare
        self.used_at: float | None = None  # monotonic seconds; None: never
        self.opened_at = 0.0  # monotonic seconds, once it is
        self.load_s = 0.0
        self.error = ""
        self.opened: asyncio.Future[ChatModel] = loop.create_future()
        self.ended = asyncio.Event()
        self._open, self._ttl_s, self._enter, self._squeeze, self._changed = open, ttl_s, enter, squeeze, changed
        self._final = False  # closing, and not only to make room for another
        self._over = asyncio.Event()  # closing, and without users
        self._timer: asyncio.TimerHandle | None = None
        self.began = time.monotonic()
        self._task = loop.create_task(self._run(), name=f"model {info.name}")
        self._task.add_done_callback(self._end)

    @property
    def present(self) -> bool:
        """Whether it takes memory."""
        return not self.weightless and self.state != "waiting" and not self.ended.is_set()

    @property
    def idle(self) -> bool:
        """Whether it could be closed at once."""
        return self.state == "ready" and not self.closing and not self.users

    @property
    def lent(self) -> bool:
        """Whether nobody would miss it but those who take what is spare."""
        return self.idle and self.present and not self.needed

    def retry_s(self) -> int:
        """Seconds after which it is likely to be loaded."""
        left = float(_UNKNOWN_S)
        if self.progress >= 0.05:
            left = (time.monotonic() - self.began) * (1 - self.progress) / self.progress
        return max(_RETRY_S[0], min(_RETRY_S[1], round(left)))

    def join(self) -> None:
        """One user more; not once it is closing."""
        self.users += 1
        self._disarm()

    def leave(self) -> None:
        """One user less. Without any left, one that has no place yet wants none: it would put others out for nobody.

        Nor is one loaded to its end that nobody needs.
        """
        self.users -= 1
        if self.state == "ready":
            self.used_at = time.monotonic()
        elif not self.users and not self.ordered and (self.state == "waiting" or not self.needed):
            self.closing = True
        self._settle()

    def close_soon(self) -> None:
        """Close it when its users have left; a load that nobody waits for is given up."""
        self._final = True
        self.make_room()

    def make_room(self) -> None:
        """Close it when its users have left, unless `reopen` comes before."""
        self.closing = True
        self._settle()

    def reopen(self) -> bool:
        """Take users again instead of making room. False where it closes all the same."""
        if self._final or self._over.is_set():
            return False
        self.closing = False
        self._settle()
        return True

    def supersede(self) -> None:
        """End a wish whose users another stay takes: each of them hears Superseded."""
        if not self.opened.done():
            self._refuse(Superseded())
        self.closing = True
        self._over.set()
        self._task.cancel()

    async def close(self) -> None:
        self.close_soon()
        await self.ended.wait()

    async def abort(self) -> None:
        """Close it although it has users: their answers end with an error."""
        self.closing = True
        if not self._over.is_set():
            self._over.set()
            self._task.cancel()
        await self.ended.wait()

    async def _run(self) -> None:
        try:
            await self._enter(self)
            self.state, self.began = "loading", time.monotonic()
            try:
                await self._live()
            except OutOfMemory:
                if self.opened.done() or not await self._squeeze(self):
                    raise
                self.progress = 0.0
                await self._live()
        except Exception as error:  # the task ends here: who waits hears of it
            self._fail(error)

    async def _live(self) -> None:
        async with self._open(self._progressed) as model:
            self.info, self.state, self.progress = model.info, "ready", 1.0
            self.opened_at = time.monotonic()
            self.load_s = self.opened_at - self.began
            self.opened.set_result(model)
            self._settle()
            await self._over.wait()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, GgufrunError):
            _log.exception("%s failed.", self.info.name)
        elif self.logged:
            _log.warning("%s cannot be loaded: %s", self.info.name, error)
        self.closing = True
        self.error = str(error) if isinstance(error, GgufrunError) else "It failed; the server's log has the details."
        if not self.opened.done():
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        self.opened.set_exception(error)
        self.opened.exception()  # there may be nobody to hear it

    def _end(self, _: asyncio.Task[None]) -> None:
        """Also where the task was cancelled before its first step."""
        self._disarm()
        self.closing = True
        if not self.opened.done():
            self._refuse(EngineClosed())
        self.ended.set()
        self._changed(self)

    def _settle(self) -> None:
        """Draw the consequences of a change of users or state."""
        if self.ended.is_set():
            return
        self._disarm()
        if self.closing and not self.users and not self._over.is_set():
            self._over.set()
            if not self.opened.done():
                self._task.cancel()
        elif self._ttl_s and self.idle:
            self._timer = asyncio.get_running_loop().call_later(self._ttl_s, self.close_soon)
        self._changed(self)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _progressed(self, fraction: float) -> None:
        self.progress = fraction
