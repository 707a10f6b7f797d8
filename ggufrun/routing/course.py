"""One request's way through the engines of a route, until one of them answers for good.

Each engine is held only while it answers: the next one may need its place.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace

from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, ChatRequest, Completed, Meter
from ggufrun.errors import GgufrunError, RequestError, SchemaNotSatisfied
from ggufrun.routing.failures import Failures, Lease, leased
from ggufrun.routing.held import HeldAnswer
from ggufrun.routing.judge import Judge
from ggufrun.routing.order import Order
from ggufrun.routing.places import Places
from ggufrun.routing.reasons import in_one_line
from ggufrun.routing.settings import RouteSettings


@dataclass(slots=True)
class Settled:
    """An answer that is given. `meter` is its own, of the engine's clock; `late_s` what the client has waited before.

    `held`: all of it is there already.
    """

    engine: str
    events: AsyncGenerator[ChatEvent, None]
    meter: Meter
    late_s: float = 0.0
    held: bool = False
    whys: list[tuple[str, str]] = field(default_factory=list)

    @property
    def why(self) -> str:
        return in_one_line(self.whys)


class Course:
    """`meter` is the caller's: it shows what the engine that is asked now has used, and what all have cost."""

    def __init__(
        self, route: RouteSettings, order: Order, lease: Lease, judge: Judge | None, places: Places, meter: Meter
    ) -> None:
        self._route, self._order, self._lease, self._places, self._meter = route, order, lease, places, meter
        self._judge = judge if order.judged else None
        self._left = list(order.engines)
        self._failures = Failures(fallback=route.fallback)
        self._whys: list[tuple[str, str]] = []
        self._doubtful: Settled | None = None  # the best answer so far
        self._attempts: list[Meter] = []  # of the engines' clocks, the last one's included
        self._started: float | None = None  # when the first engine was there

    async def settled(self, request: AnyRequest, stack: AsyncExitStack) -> Settled:
        """The answer that is given; what it needs is closed with `stack`.

        Raises the first engine's error where none can answer, and what is wrong with the request.
        """
        while self._left:
            engine = self._meter.engine = self._left.pop(0)
            try:
                found = await self._tried(engine, request, stack)
            except GgufrunError as error:
                self._failures.note(engine, error, kept=self._doubtful is not None)
                self._whys.append(("fallback", self._failures.reasons[-1]))
            else:
                if found is not None:
                    found.whys = self._whys + found.whys or [self._order.why]
                    return found
        if self._doubtful is None:
            raise self._failures.error()
        self._doubtful.whys = [("kept", ""), *self._whys]
        return self._doubtful

    def show(self, answer: Settled) -> None:
        """Bring the caller's meter up to what the answer has used so far."""
        own, meter = answer.meter, self._meter
        self._count(own)
        meter.ttft_s = None if own.ttft_s is None else own.ttft_s + answer.late_s

    def timed(self, event: ChatEvent, answer: Settled) -> ChatEvent:
        """The last event with the client's times instead of the engine's."""
        if type(event) is not Completed or not answer.late_s:
            return event
        return replace(event, ttft_s=event.ttft_s + answer.late_s, total_s=event.total_s + answer.late_s)

    async def _tried(self, engine: str, request: AnyRequest, stack: AsyncExitStack) -> Settled | None:
        """The engine's answer, begun or held; None where it is doubtful, and another engine may do better."""
        own, judge = Meter(), self._judge if self._better(engine) else None
        self._attempts.append(own)
        async with AsyncExitStack() as inner:
            inner.callback(self._count, own)  # the last thing: a remote engine counts what it charges when it is closed
            model = await inner.enter_async_context(leased(self._lease, engine))
            began = time.perf_counter()
            self._started = self._started or began
            answering = self._places.of(engine, model)
            if judge is None:
                events = await inner.enter_async_context(aclosing(answering.complete(request, own)))
                first = await anext(events)
                stack.push_async_exit(inner.pop_all())
                return self._by(engine, own, _from(first, events), began - self._started)
            held = await self._for_judge(answering, request, judge, own)
        words = await judge.doubt(request, held, engine)
        settled = self._held(engine, own, held, request)
        if not words:
            return settled
        self._left, self._doubtful = self._better(engine), settled
        self._whys = [*self._whys, *settled.whys, ("escalated", words)]
        return None

    def _better(self, engine: str) -> list[str]:
        """Those of the rest that stand behind it in the file."""
        behind = self._route.engines[self._route.engines.index(engine) + 1 :]
        return [each for each in self._left if each in behind]

    async def _for_judge(self, model: ChatModel, request: AnyRequest, judge: Judge, own: Meter) -> HeldAnswer:
        """An engine that has no log-probabilities is asked without: only we want them, so it is not passed over."""
        once = _once(request) if judge.checks_json else request
        if not judge.needs_logprobs or request.options.logprobs is not None:
            return await self._collected(model, once, own)
        try:
            return await self._collected(model, replace(once, options=replace(once.options, logprobs=0)), own)
        except RequestError as error:
            if error.param != "logprobs":
                raise
            return await self._collected(model, once, own)

    async def _collected(self, model: ChatModel, request: AnyRequest, own: Meter) -> HeldAnswer:
        held = HeldAnswer()
        async with aclosing(model.complete(request, own)) as events:
            try:
                async for event in events:
                    held.events.append(event)
                    self._count(own)
            except SchemaNotSatisfied as error:
                held.error = error
        return held

    def _held(self, engine: str, own: Meter, held: HeldAnswer, request: AnyRequest) -> Settled:
        """The client sees its first token when all of it is there."""
        waited = time.perf_counter() - (self._started or 0.0)
        late_s = waited - (own.ttft_s or 0.0)
        events = held.replay(logprobs=request.options.logprobs is not None)
        return self._by(engine, own, events, late_s, held=True)

    def _by(
        self, engine: str, own: Meter, events: AsyncGenerator[ChatEvent, None], late_s: float, *, held: bool = False
    ) -> Settled:
        """An engine that is a route itself says who answers, and why."""
        whys = [(engine, own.why)] if own.engine and own.why else []
        return Settled(own.engine or engine, events, own, late_s, held, whys)

    def _count(self, own: Meter) -> None:
        meter = self._meter
        meter.prompt_tokens, meter.cached_tokens = own.prompt_tokens, own.cached_tokens
        meter.completion_tokens = own.completion_tokens
        meter.spent_usd = sum(each.spent_usd for each in self._attempts)
        others = (each.all_tokens for each in self._attempts if each is not own)
        meter.thrown_tokens = own.thrown_tokens + sum(others)


async def _from(first: ChatEvent, events: AsyncIterator[ChatEvent]) -> AsyncGenerator[ChatEvent, None]:
    """The last one when the engine has ended: the caller reads then what the answer has cost."""
    yield first
    last: ChatEvent | None = None
    async for event in events:
        if type(event) is Completed:
            last = event
        else:
            yield event
    if last is not None:
        yield last


def _once(request: AnyRequest) -> AnyRequest:
    """Instead of sampling an answer again that breaks its schema, another engine is asked."""
    return replace(request, live=True) if isinstance(request, ChatRequest) else request
