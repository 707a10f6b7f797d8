"""Shadow traffic: a share of a route's answers is answered by another engine, too, for whoever compares the two.

Off the critical path: what comes too fast is dropped and counted, one request at a time is asked, and only while nobody
else needs the engine. What is asked but not answered when the program ends is lost.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from ggufrun.chat.types import AnyRequest, ChatModel, ChatRequest, Meter, ModelInfo
from ggufrun.errors import GgufrunError, ModelLoading
from ggufrun.records.shadows import ShadowAnswer, ShadowPair
from ggufrun.routing.engines import Engines
from ggufrun.routing.settings import ShadowSettings
from ggufrun.routing.shadow_agreement import agreement
from ggufrun.routing.shadow_answer import TOO_BUSY, GaveWay, asked, real_answer
from ggufrun.routing.shadow_question import digest, last_question, size
from ggufrun.routing.watcher import Answered

WAITING: Final = 100  # requests that may wait; more are dropped
WAITING_SIZE: Final = 64 << 20  # characters and bytes of pictures in them, answers included
_LOOK_S: Final = 0.1  # between looks whether the engine is free, or in somebody's way
_AGAIN_S: Final = 1.0  # until an engine that had no room for us is asked again; twice as long each time
_TRIES: Final = 6
_REST_S: Final = 30.0  # behind an engine that could not be had: to try costs something, too
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spent:
    """What one shadow answer has used, for the ledger. `reason` as in `records.ledger.Entry`."""

    began: float  # since the epoch
    info: ModelInfo
    meter: Meter
    total_s: float
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a shadow needs of the server that it runs in."""

    engines: Engines
    keep: Callable[[ShadowPair], object]  # blocks; raises GgufrunError or sqlite3.Error
    spent: Callable[[Spent], None]  # never blocks


@dataclass(slots=True)
class Counts:
    """Of one run of the server."""

    kept: int = 0
    failed: int = 0  # of those kept, where the shadow had no whole answer
    dropped: int = 0  # too many waited
    same: int = 0  # the shadow's own engine had answered
    lost: int = 0  # the file could not be written


@dataclass(frozen=True, slots=True)
class ShadowState:
    route: str
    engine: str
    share: float
    waiting: int  # the one that is answered included
    counts: Counts


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: ChatRequest
    real: ShadowAnswer  # without its events: those of one answer may take as much memory as a hundred texts
    time: float  # since the epoch
    since: float  # monotonic
    size: int


class Shadow:
    """Of one route. Implements `Watcher`; all of it belongs to the event loop."""

    def __init__(
        self,
        route: str,
        settings: ShadowSettings,
        surroundings: Surroundings,
        draw: Callable[[], float] = random.random,
        *,
        waiting: int = WAITING,
        waiting_size: int = WAITING_SIZE,
    ) -> None:
        self._route, self._settings, self._around, self._draw = route, settings, surroundings, draw
        self._most, self._most_size = waiting, waiting_size
        self._queue: deque[_Waiting] = deque()
        self._size = 0  # of all in it
        self._counts = Counts()
        self._task: asyncio.Task[None] | None = None
        self._closed = self._rests = self._complained = False

    @property
    def state(self) -> ShadowState:
        settings = self._settings
        return ShadowState(self._route, settings.engine, settings.share, len(self._queue), replace(self._counts))

    def wants(self, request: AnyRequest) -> bool:
        """Of several answers to one question none would be the one to compare with."""
        return isinstance(request, ChatRequest) and request.options.n == 1 and self._draw() < self._settings.share

    def answered(self, request: AnyRequest, answer: Answered) -> None:
        try:
            if isinstance(request, ChatRequest):
                self._put(request, answer)
        except Exception:  # whatever it is: the real call has its answer, and must not fail by ours
            _log.exception("The shadow of %s could not take an answer.", self._route)

    async def close(self) -> None:
        """End what is being asked; what waits is dropped. Nothing is asked afterwards."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        left = len(self._queue)
        if left or self._counts.dropped or self._counts.lost:
            _log.warning(
                "The shadow of %s has left out %d answers: %d were too many at a time, %d waited at the end, %d could "
                "not be written.",
                self._route,
                left + self._counts.dropped + self._counts.lost,
                self._counts.dropped,
                left,
                self._counts.lost,
            )
        self._queue.clear()

    def _put(self, request: ChatRequest, answer: Answered) -> None:
        served = self._around.engines.served
        if served(answer.engine).lower() == served(self._settings.engine).lower():
            self._counts.same += 1
            return
        real = real_answer(answer)
        weight = size(request) + len(real.text) + sum(len(arguments) for _, arguments in real.tool_calls)
        if self._closed or len(self._queue) >= self._most or self._size + weight > self._most_size:
            self._counts.dropped += 1
            if self._counts.dropped == 1:
                _log.warning("The shadow of %s has too much to do: answers are left out.", self._route)
            return
        self._queue.append(_Waiting(request, real, time.time(), time.monotonic(), weight))
        self._size += weight
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"shadow of {self._route}")

    async def _run(self) -> None:
        """Until nothing waits."""
        while self._queue:
            first = self._queue[0]
            with self._around.engines.wish(self._settings.engine, first.since):
                try:
                    answer, temperature = await self._answer(first)
                except Exception:  # of an engine of any kind, or a bug of ours: the next one may go well
                    self._counts.lost += 1
                    _log.exception("The shadow of %s could not compare an answer.", self._route)
                    self._take_out(first)
                else:
                    await self._compare(first, answer, temperature)
            if self._rests:
                self._rests = False
                await asyncio.sleep(_REST_S)

    async def _compare(self, waiting: _Waiting, shadow: ShadowAnswer, temperature: float) -> None:
        """To its end, also where this is cancelled meanwhile: what is answered is paid for, and kept."""
        keeping = asyncio.ensure_future(asyncio.to_thread(self._keep, waiting, shadow, temperature))
        try:
            await asyncio.wait({keeping})
        finally:
            await asyncio.wait({keeping})
            self._take_out(waiting)
            self._counts.failed += bool(shadow.error)
            self._count(keeping.exception())

    def _count(self, error: BaseException | None) -> None:
        """Of keeping one pair of answers."""
        if error is None:
            self._counts.kept += 1
            return
        self._counts.lost += 1
        if not isinstance(error, GgufrunError | sqlite3.Error):
            _log.error("The shadow of %s could not compare an answer.", self._route, exc_info=error)
        elif not self._complained:  # once, not for each of them
            self._complained = True
            _log.warning("The shadow of %s could not keep an answer: %s", self._route, error)

    def _take_out(self, first: _Waiting) -> None:
        """Of the queue, where it stays until all is done: it counts as waiting."""
        self._queue.popleft()
        self._size -= first.size

    def _keep(self, waiting: _Waiting, shadow: ShadowAnswer, temperature: float) -> None:
        """Blocks."""
        real = waiting.real
        kind, similar = agreement(real, shadow)
        question, hashed = last_question(waiting.request), digest(waiting.request)
        self._around.keep(
            ShadowPair(waiting.time, self._route, hashed, temperature, kind, similar, question, real, shadow)
        )

    async def _answer(self, waiting: _Waiting) -> tuple[ShadowAnswer, float]:
        """The shadow's, and the temperature of both: waits until nobody else needs the engine."""
        engine, engines = self._settings.engine, self._around.engines
        failed: GgufrunError
        for tries in range(1, _TRIES + 1):
            while not engines.spare(engine):  # noqa: ASYNC110 - of models that come and go, no one event
                await asyncio.sleep(_LOOK_S)
            try:
                return await self._unless_in_the_way(self._borrowed(waiting.request))
            except (*TOO_BUSY, ModelLoading, GaveWay) as error:
                failed = error
                if tries < _TRIES:
                    await asyncio.sleep(_AGAIN_S * 2 ** (tries - 1))
            except GgufrunError as error:
                failed, self._rests = error, True
                break
        # It cannot be had, which is worth knowing.
        return ShadowAnswer(engine, type(failed).__name__, None, 0.0, 0, 0, 0.0, error=failed.message), 0.0

    async def _unless_in_the_way(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What `work` returns; it is given up, and GaveWay raised, once somebody waits for a place."""
        doing = asyncio.create_task(work)
        try:
            while not (await asyncio.wait({doing}, timeout=_LOOK_S))[0]:
                if self._around.engines.in_the_way(self._settings.engine):
                    raise GaveWay(self._settings.engine)
            return doing.result()
        finally:
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)

    async def _borrowed(self, request: ChatRequest) -> tuple[ShadowAnswer, float]:
        async with self._around.engines.borrow(self._settings.engine) as model:
            return await self._asked(model, request)

    async def _asked(self, model: ChatModel, request: ChatRequest) -> tuple[ShadowAnswer, float]:
        """Raises what `TOO_BUSY` has: nothing was answered then."""
        meter, began, clock = Meter(), time.time(), time.perf_counter()
        status, reason = 499, "cancelled"
        try:
            answer = await asked(model, self._settings.engine, request, meter)
            status, reason = 500 if answer.error else 200, answer.finish_reason
        finally:
            if status != 499 or meter.prompt_tokens or meter.spent_usd:
                self._around.spent(Spent(began, model.info, meter, time.perf_counter() - clock, status, reason))
        given, usual = request.options.temperature, model.info.defaults.temperature
        return answer, usual if given is None else given
