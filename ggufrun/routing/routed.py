"""The chat model over several engines: one of them answers each request. Which, `course` finds out."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from copy import copy
from random import Random
from typing import TypeVar

from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, Completed, Embeddings, Meter, ModelInfo
from ggufrun.errors import GgufrunError
from ggufrun.routing.course import Course, Settled
from ggufrun.routing.failures import Failures, Lease, leased
from ggufrun.routing.judge import Judge
from ggufrun.routing.order import Order, order_of
from ggufrun.routing.places import Places
from ggufrun.routing.settings import RouteSettings
from ggufrun.routing.watcher import Answered, NoWatcher, Watcher

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class RoutedChatModel:
    """Implements `ChatModel`. It holds an engine only while that one works for it."""

    def __init__(
        self,
        info: ModelInfo,
        settings: RouteSettings,
        lease: Lease,
        watcher: Watcher | None = None,
        random: Random | None = None,
    ) -> None:
        """`lease` takes the engines by the names that `settings` has. `random` draws by the weights."""
        self._info, self._settings, self._lease = info, settings, lease
        self._watcher = watcher or NoWatcher()
        self._random = random or Random()
        self._places = Places()
        escalate = settings.escalate
        self._judge = Judge(escalate) if escalate is not None and escalate.judges else None

    @property
    def info(self) -> ModelInfo:
        return self._info

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        """The first event comes when it is settled which engine answers; then `meter` says which, and why.

        Until then nothing of an answer has been seen, and another engine may be asked. An answer that may escalate is
        whole by then.
        """
        return self._completed(request, meter or Meter(), self._places)

    @contextmanager
    def reserve(self, answers: int, param: str) -> Iterator[ChatModel]:
        """Places are taken when the first answer is begun, since no engine is held before. None of these escalates."""
        with Places(answers, param) as places:
            reserved = copy(self)
            reserved._places = places
            yield reserved

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        """By the first engine that can say: each has its own tokens."""
        return await self._by_first(lambda model: model.tokens(request))

    async def count_tokens(self, request: AnyRequest) -> int:
        return await self._by_first(lambda model: model.count_tokens(request))

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        return await self._by_first(lambda model: model.embed(inputs))

    async def close(self) -> None:
        """The engines are others'."""

    async def _by_first(self, work: Callable[[ChatModel], Awaitable[_T]]) -> _T:
        failures = Failures(fallback=self._settings.fallback)
        for engine in self._settings.engines:
            try:
                async with leased(self._lease, engine) as model:
                    return await work(model)
            except GgufrunError as error:
                failures.note(engine, error)
        raise failures.error()

    def _order(self, request: AnyRequest, places: Places) -> Order:
        if places.engine:
            return Order((places.engine,), ("first", ""), judged=False)
        return order_of(self._settings, request, self._random)

    async def _completed(self, request: AnyRequest, meter: Meter, places: Places) -> AsyncGenerator[ChatEvent, None]:
        order = self._order(request, places)
        judge = None if places else self._judge
        course = Course(self._settings, order, self._lease, judge, places, meter)
        seen: list[ChatEvent] | None = [] if self._watcher.wants(request) else None
        async with AsyncExitStack() as stack:
            answer = await course.settled(request, stack)
            places.settle()
            meter.engine, meter.why = answer.engine, answer.why
            async for event in await stack.enter_async_context(aclosing(answer.events)):
                course.show(answer)
                event = course.timed(event, answer)
                if seen is not None:
                    seen.append(event)
                yield event
        if seen:
            self._show(request, answer, meter, seen)

    def _show(self, request: AnyRequest, answer: Settled, meter: Meter, events: Sequence[ChatEvent]) -> None:
        done = events[-1]
        if not isinstance(done, Completed):
            return
        answered = Answered(
            route=self._info.name,
            engine=answer.engine,
            why=answer.why,
            events=tuple(events),
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            ttft_s=meter.ttft_s,
            total_s=done.total_s,
            spent_usd=meter.spent_usd,
        )
        try:
            self._watcher.answered(request, answered)
        except Exception:  # the client has its answer, whatever becomes of the comparison
            _log.exception("An answer of %s could not be compared.", self._info.name)
